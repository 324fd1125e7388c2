package client

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

// What a failed request is told by, with errors.Is. The error itself is an
// [*Error], for errors.As.
var (
	// ErrNotFound: the key has no value, or the bucket type doesn't exist.
	ErrNotFound = errors.New("not found")
	// ErrInvalid: the request breaks a rule or limit; Error.Field says which.
	ErrInvalid = errors.New("invalid")
	// ErrPrecondition: [IfAbsent] or [IfMatch] did not hold. Not applied.
	ErrPrecondition = errors.New("precondition failed")
	// ErrAborted: a conditional write lost a race. Not applied. Read again.
	ErrAborted = errors.New("aborted")
	// ErrUnavailable: too few owners, or no member at all, could be reached.
	// A write was certainly not applied.
	ErrUnavailable = errors.New("unavailable")
	// ErrUnknown: no answer that settles it came in time. A write may have
	// been applied, or may yet be: Error.MaybeApplied.
	ErrUnknown = errors.New("outcome unknown")
	// ErrOverloaded: refused before it was begun, by the members or by the
	// client's own bounds. Not applied.
	ErrOverloaded = errors.New("overloaded")
	// ErrDenied: who asked may not do this, or did not prove who it is.
	ErrDenied = errors.New("denied")
	// ErrInternal: a fault in a member. Not applied.
	ErrInternal = errors.New("internal error")

	// ErrClosed: [Client.Close] was called. Found in an [*Error] that is
	// ErrUnavailable or ErrUnknown.
	ErrClosed = errors.New("the client is closed")
)

// Code is what went wrong, one per sentinel.
type Code uint8

// The codes; see the sentinel of the same name.
const (
	CodeInternal Code = iota
	CodeNotFound
	CodeInvalid
	CodePrecondition
	CodeAborted
	CodeUnavailable
	CodeUnknown
	CodeOverloaded
	CodeDenied
)

var codeTable = [...]struct {
	sentinel error
	grpc     codes.Code
	// final: another attempt would be answered the same.
	final bool
}{
	CodeInternal:     {ErrInternal, codes.Internal, false},
	CodeNotFound:     {ErrNotFound, codes.NotFound, true},
	CodeInvalid:      {ErrInvalid, codes.InvalidArgument, true},
	CodePrecondition: {ErrPrecondition, codes.FailedPrecondition, true},
	CodeAborted:      {ErrAborted, codes.Aborted, true},
	CodeUnavailable:  {ErrUnavailable, codes.Unavailable, false},
	CodeUnknown:      {ErrUnknown, codes.DeadlineExceeded, false},
	CodeOverloaded:   {ErrOverloaded, codes.ResourceExhausted, false},
	CodeDenied:       {ErrDenied, codes.PermissionDenied, true},
}

// String returns the code in words.
func (c Code) String() string { return codeTable[c].sentinel.Error() }

// Error is a request that failed, or whose outcome is unknown.
type Error struct {
	Code Code
	// Op is "get", "put" and so on; Bucket and Key are what it was about.
	Op, Bucket, Key string
	// Message in words, mostly the member's.
	Message string
	// Field that was wrong, for CodeInvalid.
	Field string
	// Needed and Got count owners, where too few answered.
	Needed, Got int
	// MaybeApplied says that the write may have been, or may yet be, applied.
	// It is always false unless Code is CodeUnknown.
	MaybeApplied bool
	// RetryAfter is when to come back, for CodeOverloaded; 0 if nobody said.
	RetryAfter time.Duration
	// RequestID of the write. Sent again under the same id ([WithRequestID])
	// soon, an unconditional write whose outcome is unknown is applied once.
	RequestID RequestID
	// Attempts that were made, and the address of the last.
	Attempts int
	Address  string

	cause error
}

// Error says what was asked, what went wrong, and who said so.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(e.Op)
		if e.Bucket != "" {
			fmt.Fprintf(&b, " %q", e.Bucket)
		}
		if e.Key != "" {
			fmt.Fprintf(&b, " %q", e.Key)
		}
		b.WriteString(": ")
	}
	b.WriteString(e.Code.String())
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	} else if e.Field != "" {
		b.WriteString(": " + e.Field)
	}
	if e.Needed > 0 && e.Message == "" {
		fmt.Fprintf(&b, ": %d of %d owners answered", e.Got, e.Needed)
	}
	if e.MaybeApplied {
		b.WriteString("; it may have been applied")
	}
	if e.cause != nil {
		b.WriteString(": " + e.cause.Error())
	}
	if e.Attempts > 1 {
		fmt.Fprintf(&b, " (%d attempts, last at %s)", e.Attempts, e.Address)
	} else if e.Address != "" {
		fmt.Fprintf(&b, " (at %s)", e.Address)
	}
	return b.String()
}

// Is reports whether target is the sentinel of e's code.
func (e *Error) Is(target error) bool { return codeTable[e.Code].sentinel == target }

// Unwrap returns what ended the request, if that was the caller's context or
// [ErrClosed].
func (e *Error) Unwrap() error { return e.cause }

// GRPCStatus returns e as the status that members answer with.
func (e *Error) GRPCStatus() *status.Status {
	return status.New(codeTable[e.Code].grpc, e.Error())
}

func invalid(field, message string) *Error {
	return &Error{Code: CodeInvalid, Field: field, Message: field + ": " + message}
}

// codeOf maps the codes that design section 11 names; whatever else a member
// or gRPC itself answers is a fault.
func codeOf(c codes.Code) Code {
	switch c {
	case codes.InvalidArgument, codes.Unimplemented, codes.OutOfRange:
		return CodeInvalid
	case codes.NotFound:
		return CodeNotFound
	case codes.FailedPrecondition, codes.AlreadyExists:
		return CodePrecondition
	case codes.Aborted:
		return CodeAborted
	case codes.Unavailable:
		return CodeUnavailable
	case codes.DeadlineExceeded, codes.Canceled:
		return CodeUnknown
	case codes.ResourceExhausted:
		return CodeOverloaded
	case codes.Unauthenticated, codes.PermissionDenied:
		return CodeDenied
	}
	return CodeInternal
}

// fromDetail is a member's own word on a request.
func fromDetail(d *ringdv1.ErrorDetail) *Error {
	e := &Error{
		Code:         codeOf(codes.Code(d.GetCode())),
		Message:      d.GetMessage(),
		Field:        d.GetField(),
		Needed:       int(d.GetNeeded()),
		Got:          int(d.GetGot()),
		MaybeApplied: d.GetMaybeApplied(),
	}
	if d.GetRetryAfter() != nil {
		e.RetryAfter = max(0, d.GetRetryAfter().AsDuration())
	}
	// A deadline that passed settles nothing, whatever else was said.
	e.MaybeApplied = e.MaybeApplied || e.Code == CodeUnknown
	return e
}

// fromStatus is the outcome of a call that gRPC ended with an error: a member's
// word if it carries a detail, else gRPC's own, which says nothing about
// whether the member did what was asked.
func fromStatus(err error) *Error {
	st := status.Convert(err)
	for _, d := range st.Details() {
		if d, ok := d.(*ringdv1.ErrorDetail); ok {
			return fromDetail(d)
		}
	}
	e := &Error{Code: codeOf(st.Code()), Message: st.Message(), MaybeApplied: true}
	switch st.Code() {
	case codes.ResourceExhausted:
		// Without a detail this is gRPC's bound on a message, not overload.
		e.Code, e.MaybeApplied = CodeInvalid, false
	case codes.InvalidArgument, codes.Unimplemented, codes.NotFound, codes.FailedPrecondition,
		codes.Aborted, codes.Unauthenticated, codes.PermissionDenied:
		e.MaybeApplied = false
	}
	return e
}
