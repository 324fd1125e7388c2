package client

import (
	"errors"
	"testing"
	"time"
)

// Every course of up to three attempts, at once or in turn, held against the
// rule itself: not applied for sure if and only if each attempt surely was not.
func TestTallyOfWrites(t *testing.T) {
	kinds := []struct {
		name  string
		err   *Error // nil: given up
		sent  bool
		doubt bool
	}{
		{"unavailable", &Error{Code: CodeUnavailable}, true, false},
		{"unavailable, perhaps applied", &Error{Code: CodeUnavailable, MaybeApplied: true}, true, true},
		{"overloaded", &Error{Code: CodeOverloaded}, true, false},
		{"unknown", &Error{Code: CodeUnknown, MaybeApplied: true}, true, true},
		{"precondition", &Error{Code: CodePrecondition}, true, false},
		{"aborted", &Error{Code: CodeAborted}, true, false},
		{"aborted, perhaps applied", &Error{Code: CodeAborted, MaybeApplied: true}, true, true},
		{"given up when sent", nil, true, true},
		{"given up in the queue", nil, false, false},
	}
	n := len(kinds)
	for course := range n * n * n {
		for attempts := 1; attempts <= 3; attempts++ {
			for _, atOnce := range []bool{false, true} {
				ta := tally{write: true}
				if atOnce {
					ta.inFlight = attempts
				}
				var names []string
				var refusals []Code
				doubt, retryable := false, true
				made := 0
				for i, rest := 0, course; i < attempts && (atOnce || retryable); i, rest = i+1, rest/n {
					k := kinds[rest%n]
					names = append(names, k.name)
					made++
					doubt = doubt || k.doubt
					if !atOnce {
						ta.inFlight++
					}
					if k.err == nil {
						ta.abandoned(k.sent)
						continue
					}
					if codeTable[k.err.Code].final {
						refusals = append(refusals, k.err.Code)
					}
					next := ta.ended(k.err)
					retryable = len(refusals) == 0
					want := stepRetry
					if !retryable {
						want = stepEnd
						if ta.inFlight > 0 {
							want = stepWait
						}
					}
					if next != want {
						t.Fatalf("%q: step %v, want %v", names, next, want)
					}
				}
				got := ta.verdict()
				if ta.inFlight != 0 || (got.Code == CodeUnknown) != doubt || got.MaybeApplied != doubt {
					t.Fatalf("%q: %+v, doubt is %v", names, got, doubt)
				}
				if !doubt && len(refusals) > 0 && got.Code != refusals[len(refusals)-1] {
					t.Fatalf("%q: %+v", names, got)
				}
			}
		}
	}
}

func TestTallyOfReads(t *testing.T) {
	ta := tally{inFlight: 2}
	if ta.ended(&Error{Code: CodeNotFound}) != stepEnd {
		t.Error("a refusal of a read is not final")
	}
	ta.abandoned(true)
	if got := ta.verdict(); got.Code != CodeNotFound || got.MaybeApplied {
		t.Errorf("%+v", got)
	}
	ta = tally{inFlight: 1}
	ta.abandoned(true)
	if got := ta.verdict(); got.Code != CodeUnknown || got.MaybeApplied {
		t.Errorf("unanswered read: %+v", got)
	}
}

func TestBudget(t *testing.T) {
	b := newBudget(0.1)
	spent := 0
	for b.spend() {
		spent++
	}
	if spent != hedgeBurst {
		t.Errorf("a burst of %d", spent)
	}
	for range 1000 {
		b.earn()
		if b.spend() {
			spent++
		}
	}
	if spent != hedgeBurst+100 {
		t.Errorf("%d of 1000", spent-hedgeBurst)
	}
	if newBudget(0).spend() {
		t.Error("a share of 0 was spent")
	}
}

func TestHealth(t *testing.T) {
	var h health
	now := time.Minute
	for range 2 {
		if !h.usable(now) {
			t.Error("not used from the start")
		}
	}
	h.failed(now)
	h.failed(now)
	if h.failures.Load() != 1 {
		t.Error("two requests that find out the same count twice")
	}
	if h.usable(now + suspectMin - 1) {
		t.Error("used while suspect")
	}
	probes := 0
	for at := now; at < now+10*time.Minute; at += time.Millisecond {
		if h.usable(at) {
			probes++
		}
	}
	if least := int(10 * time.Minute / suspectMax); probes < least || probes > least+5 {
		t.Errorf("%d probes in ten minutes", probes)
	}
	h.heard(now + 10*time.Minute)
	if !h.usable(now + 10*time.Minute) {
		t.Error("not used after it answered")
	}
}

func TestParseCount(t *testing.T) {
	for s, want := range map[string]Count{"3": 3, "0": 0, "one": 1, "QUORUM": Quorum, "all": All, "none": None} {
		if got, err := ParseCount(s); got != want || err != nil {
			t.Errorf("%q: %v %v", s, got, err)
		}
	}
	for _, s := range []string{"", "-1", "1.5", "two", "99999999999"} {
		if _, err := ParseCount(s); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", s, err)
		}
	}
}
