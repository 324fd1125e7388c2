package client

import (
	"sync/atomic"
	"time"
)

// The first time that a suspect member is left alone, and the longest. A
// member that paused is back in use soon; one that is gone costs one request
// in eight seconds AttemptAfter.
const (
	suspectMin = 500 * time.Millisecond
	suspectMax = 8 * time.Second
)

// health is what the client's own requests found out about a member. Times are
// since the client's start. It may be shared by goroutines.
type health struct {
	// until is the end of suspicion; 0: the member is believed responsive.
	until atomic.Int64
	// failures in a row that began or prolonged a suspicion.
	failures atomic.Int32
	// lastHeard is when the member last answered anything.
	lastHeard atomic.Int64
}

// heard: the member answered.
func (h *health) heard(now time.Duration) {
	h.lastHeard.Store(int64(now))
	if h.until.Load() != 0 {
		h.until.Store(0)
		h.failures.Store(0)
	}
}

// failed: the member did not answer or could not be reached. Many requests
// find that out at once; it counts once.
func (h *health) failed(now time.Duration) {
	if u := h.until.Load(); u <= int64(now) {
		h.prolong(u, now)
	}
}

func (h *health) prolong(from int64, now time.Duration) bool {
	n := min(h.failures.Load(), 8)
	if !h.until.CompareAndSwap(from, int64(now+min(suspectMin<<n, suspectMax))) {
		return false
	}
	h.failures.Add(1)
	return true
}

// usable reports whether the next request may go to the member. At the end of
// a suspicion it is true for one caller, whose request is the probe.
func (h *health) usable(now time.Duration) bool {
	u := h.until.Load()
	return u == 0 || u <= int64(now) && h.prolong(u, now)
}
