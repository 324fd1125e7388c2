package peer

import (
	"errors"
	"fmt"
)

// The ways in which a request comes to nothing.
var (
	// ErrUnreachable: there is no connection to the member. The request was
	// surely not sent.
	ErrUnreachable = errors.New("the member is not connected")
	// ErrQueueFull: too much waits for that member, or waits for its answer. The
	// request was surely not sent.
	ErrQueueFull = errors.New("too many requests wait for the member")
	// ErrBroken: the stream broke after the request may have been sent.
	ErrBroken = errors.New("the connection to the member broke before it answered")
	// ErrNoAnswer: the deadline passed. See [MayHaveArrived].
	ErrNoAnswer = errors.New("the member did not answer in time")
	// ErrUnsendable: the message is local to a member, malformed, or larger than
	// Config.MessageBytesMax. The request was surely not sent.
	ErrUnsendable = errors.New("the message can't be sent")
	// ErrRefused: one of the two members will not talk to the other; the text
	// says why and what to do. For requests it comes wrapped in ErrUnreachable.
	ErrRefused = errors.New("refused")
	// ErrOtherLog, which is an ErrRefused, too: the member takes part in another log
	// than the one that a connection was to be for.
	ErrOtherLog = errors.New("it takes part in another log")
	// ErrClosed: the transport was closed. For requests it comes wrapped in
	// ErrUnreachable.
	ErrClosed = errors.New("the transport is closed")
)

// errMalformed: what came in is not what this protocol allows. It breaks the
// stream.
var errMalformed = errors.New("malformed frame")

// errLetGo: the member is none of this cluster's peers any more.
var errLetGo = errors.New("the member was let go")

// errExpired is the outcome of a request whose deadline passed while it waited
// to be sent.
var errExpired = fmt.Errorf("%w: the deadline passed before it was sent", ErrNoAnswer)

// MayHaveArrived reports whether the member may have taken a request whose
// outcome is err.
func MayHaveArrived(err error) bool {
	return errors.Is(err, ErrBroken) || (errors.Is(err, ErrNoAnswer) && !errors.Is(err, errExpired))
}

// refusal is an ErrRefused with its reason.
type refusal struct {
	reason   string
	otherLog bool // it is an ErrOtherLog
}

func refuse(format string, args ...any) error {
	return &refusal{reason: fmt.Sprintf(format, args...)}
}

func (r *refusal) Error() string { return "refused: " + r.reason }
func (r *refusal) Is(target error) bool {
	return target == ErrRefused || (target == ErrOtherLog && r.otherLog)
}
