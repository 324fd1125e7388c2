package replica

import (
	"errors"
	"fmt"
	"time"
)

// Kind is what went wrong, as far as whoever handles it cares. It survives the
// wire between members and on to the client.
type Kind uint8

// The kinds of failure.
const (
	KindInternal     Kind = iota // a fault in ringd; nothing else fits
	KindInvalid                  // the request is wrong; Field names where
	KindNotFound                 // named thing (bucket type, member) doesn't exist
	KindPrecondition             // if-absent or if-match doesn't hold
	KindAborted                  // a conditional write lost a race
	KindUnavailable              // not enough owners answered; certainly not applied unless MaybeApplied
	KindUnknown                  // the deadline passed, or a member was lost: outcome unknown
	KindOverloaded               // refused before it was begun; RetryAfter says when to come back
	KindStaleRing                // the sender's ring is older than the receiver's
	KindNotOwner                 // the receiver owns no such vnode in its own ring
	KindStorage                  // the disk returned an error; says nothing about the key
	KindCorrupt                  // a record failed its checksum; says nothing about the key
)

var kindNames = [...]string{
	"internal error", "invalid", "not found", "precondition failed", "aborted", "unavailable",
	"outcome unknown", "overloaded", "stale ring", "not an owner", "storage error", "corrupt record",
}

// String returns the kind in words.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Error is a failed request or message.
type Error struct {
	Kind    Kind
	Field   string // KindInvalid: the field or limit that was broken
	Message string
	// Needed and Got count owners, for KindUnavailable and KindUnknown.
	Needed, Got int
	// MaybeApplied says that a write may have been, or may yet be, applied.
	MaybeApplied bool
	RetryAfter   time.Duration // KindOverloaded
}

// Error implements error.
func (e *Error) Error() string {
	s := e.Message
	if s == "" {
		s = e.Kind.String()
	}
	if e.Needed > 0 {
		s += fmt.Sprintf(" (%d of %d owners answered)", e.Got, e.Needed)
	}
	if e.MaybeApplied {
		s += "; it may have been applied"
	}
	return s
}

// Errorf makes an error of a kind.
func Errorf(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Message: fmt.Sprintf(format, args...)}
}

// Invalid makes an error of KindInvalid that names the field.
func Invalid(field, format string, args ...any) *Error {
	return &Error{Kind: KindInvalid, Field: field, Message: field + ": " + fmt.Sprintf(format, args...)}
}

// KindOf returns the kind of err, KindInternal if it is not of this package.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindInternal
}
