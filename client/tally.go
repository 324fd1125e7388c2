package client

// tally follows the attempts of one request and says what is known of it. It is
// a step machine: flight does what it decides.
//
// A write is known not to have been applied only if every attempt that was
// sent ended with an answer that says so. One attempt that ended otherwise
// leaves a doubt which only an acknowledgement lifts: a later attempt that is
// refused, say by a precondition that the first attempt's own effect broke,
// proves nothing.
type tally struct {
	write    bool
	inFlight int
	// doubt: an attempt of a write ended that may have been applied.
	doubt bool
	// silent: an attempt was given up that was sent and not answered.
	silent bool
	// settled is an answer that another attempt would not change.
	settled *Error
	// failed is the last failure that another attempt may mend.
	failed *Error
}

// step is what is to be done next.
type step uint8

const (
	stepRetry step = iota // make another attempt
	stepWait              // for the attempts in flight, and make no more
	stepEnd               // verdict is final
)

// ended takes in the failure of an attempt that was in flight.
func (t *tally) ended(err *Error) step {
	t.inFlight--
	if t.write && err.MaybeApplied {
		t.doubt = true
	}
	if codeTable[err.Code].final {
		t.settled = err
		if !t.write {
			return stepEnd
		}
	} else {
		t.failed = err
	}
	switch {
	case t.settled == nil:
		return stepRetry
	case t.inFlight > 0:
		return stepWait
	}
	return stepEnd
}

// abandoned takes in an attempt that is no longer waited for.
func (t *tally) abandoned(sent bool) {
	t.inFlight--
	if sent {
		t.silent = true
		t.doubt = t.doubt || t.write
	}
}

// verdict is the outcome if no further attempt is made and none is in flight.
// Its fields are those of the attempt that tells most.
func (t *tally) verdict() *Error {
	last := t.settled
	if last == nil {
		last = t.failed
	}
	switch {
	case last == nil && !t.silent && !t.doubt:
		return &Error{Code: CodeUnavailable, Message: "no member took it in time"}
	case last == nil:
		return &Error{Code: CodeUnknown, Message: "no answer in time", MaybeApplied: t.doubt}
	}
	e := *last
	e.MaybeApplied = t.doubt
	switch {
	case t.doubt && e.Code != CodeUnknown:
		e.Message = "an attempt was not answered, and the last failed: " + e.Code.String() + ": " + e.Message
		e.Code, e.Field = CodeUnknown, ""
	case t.silent && t.settled == nil:
		e.Code = CodeUnknown
	}
	return &e
}
