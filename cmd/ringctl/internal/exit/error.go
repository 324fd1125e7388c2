package exit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/ringd/ringd/client"
)

// Error is a failure as ringctl reports it.
type Error struct {
	Code Code
	// Message says what is wrong, Hint what to do about it; Hint may be empty.
	Message, Hint string
	// Field that is not valid, if a member named one.
	Field string
	// Needed and Got count owners, where too few answered.
	Needed, Got  int
	MaybeApplied bool

	cause error
}

// Error returns the message and the hint as one sentence.
func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + "; " + e.Hint
}

// Unwrap returns the error that this one was made of, if any.
func (e *Error) Unwrap() error { return e.cause }

// New makes an error; hint says what to do and may be empty.
func New(code Code, hint, format string, args ...any) *Error {
	return &Error{Code: code, Hint: hint, Message: fmt.Sprintf(format, args...)}
}

// Usagef is an error of what was given on the command line.
func Usagef(format string, args ...any) *Error { return New(Usage, "", format, args...) }

// Of returns err as an Error, whatever it is made of: one of this package's,
// one of the client's, or anything else. Nil stays nil.
func Of(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	e := &Error{Code: Failed, Message: err.Error(), cause: err}
	if c, ok := errors.AsType[*client.Error](err); ok {
		e.Field, e.Needed, e.Got, e.MaybeApplied = c.Field, c.Needed, c.Got, c.MaybeApplied
		e.Code, e.Hint = codeOf(c.Code), hint(c)
		return e
	}
	switch {
	case errors.Is(err, client.ErrSiblings):
		e.Code = Siblings
	case errors.Is(err, fs.ErrNotExist):
		e.Code = NotFound
	case errors.Is(err, context.DeadlineExceeded):
		e.Code = Unknown
	}
	return e
}

func codeOf(c client.Code) Code {
	switch c {
	case client.CodeNotFound:
		return NotFound
	case client.CodeInvalid:
		return Usage
	case client.CodePrecondition, client.CodeAborted:
		return Precondition
	case client.CodeUnknown:
		return Unknown
	case client.CodeUnavailable, client.CodeOverloaded:
		return Unavailable
	}
	return Failed
}

func hint(e *client.Error) string {
	aboutKey := e.Key != ""
	switch e.Code {
	case client.CodePrecondition:
		if aboutKey {
			return "read the key and decide again"
		}
	case client.CodeAborted:
		if aboutKey {
			return "another write came first: read the key and decide again"
		}
		return "something else changed first: look and decide again"
	case client.CodeUnavailable:
		return `"ringctl status" shows who is up`
	case client.CodeUnknown:
		switch {
		case !e.MaybeApplied:
			return "try again, or allow more with --timeout"
		case aboutKey:
			return "read the key to find out, or allow more with --timeout"
		}
		return `"ringctl status" shows whether it was done`
	case client.CodeOverloaded:
		if e.RetryAfter > 0 {
			return fmt.Sprintf("try again in %v", e.RetryAfter)
		}
		return "try again later"
	}
	return ""
}
