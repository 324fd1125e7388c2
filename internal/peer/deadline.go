package peer

import (
	"sync"
	"time"
)

// deadline is what a net.Conn's SetReadDeadline sets: a time at which a channel
// is closed, that can be moved.
type deadline struct {
	mu struct {
		sync.Mutex
		timer   *time.Timer
		passed  chan struct{}
		setting int // counts calls of set: a timer of an earlier one has no say
	}
}

// done returns the channel that is closed when the deadline passes. One that is
// moved before it passes keeps its channel.
func (d *deadline) done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.passed == nil {
		d.mu.passed = make(chan struct{})
	}
	return d.mu.passed
}

// set moves the deadline; the zero time is never.
func (d *deadline) set(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.setting++
	if d.mu.timer != nil {
		d.mu.timer.Stop()
		d.mu.timer = nil
	}
	if d.mu.passed == nil || d.hasPassedLocked() {
		d.mu.passed = make(chan struct{})
	}
	if at.IsZero() {
		return
	}
	left := time.Until(at)
	if left <= 0 {
		close(d.mu.passed)
		return
	}
	setting := d.mu.setting
	d.mu.timer = time.AfterFunc(left, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.mu.setting == setting {
			close(d.mu.passed)
		}
	})
}

func (d *deadline) hasPassedLocked() bool {
	select {
	case <-d.mu.passed:
		return true
	default:
		return false
	}
}
