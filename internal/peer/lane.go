package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ringd/ringd/internal/clock"
	"github.com/ringd/ringd/replica"
)

type laneState uint8

const (
	laneIdle       laneState = iota // no goroutine: nobody asked, or there is no address
	laneConnecting                  // the first attempt: requests wait for it
	laneUp
	laneDown // requests fail at once; connecting goes on
)

// lane is one of the streams to a peer, over all its connections.
//
// Invariant: a request is in the queue, or in flight, or neither; who takes it
// out of both, under the lock, delivers its outcome, without the lock.
type lane struct {
	link *link
	wake chan struct{} // of capacity 1: the queue was empty and is not any more
	kick chan struct{} // of capacity 1: don't wait for the next attempt

	mu struct {
		sync.Mutex
		state   laneState
		session *session // if up
		down    error    // if down: the outcome of what is sent
		leave   bool     // whether to stop connecting
		queue   queue
		// flight are the requests handed to the stream, by their id there.
		flight map[uint64]flying
		lastID uint64 // of the session
		rtt    time.Duration
	}
}

func newLane(l *link) *lane {
	ln := &lane{link: l, wake: make(chan struct{}, 1), kick: make(chan struct{}, 1)}
	ln.mu.flight = make(map[uint64]flying)
	return ln
}

// enqueue takes a request in, or returns its outcome.
func (ln *lane) enqueue(it item) error {
	c := &ln.link.t.config
	ln.mu.Lock()
	if ln.mu.state == laneIdle {
		ln.startLocked()
	}
	if ln.mu.state == laneDown {
		err := ln.mu.down
		ln.mu.Unlock()
		return err
	}
	waiting := ln.mu.queue.len()
	if waiting+len(ln.mu.flight) >= c.QueueMessages || (waiting > 0 && ln.mu.queue.bytes+it.bytes > c.QueueBytes) {
		ln.mu.Unlock()
		ln.link.counters.queueFull.Add(1)
		return ErrQueueFull
	}
	ln.mu.queue.push(it)
	ln.mu.Unlock()
	if waiting == 0 {
		ln.ring()
	}
	return nil
}

func (ln *lane) ring() {
	select {
	case ln.wake <- struct{}{}:
	default:
	}
}

// again ends the wait for the next attempt.
func (ln *lane) again() {
	select {
	case ln.kick <- struct{}{}:
	default:
	}
}

// startLocked begins to connect.
func (ln *lane) startLocked() {
	if ln.link.t.spawn(ln.run) {
		ln.mu.state = laneConnecting
		return
	}
	ln.mu.state, ln.mu.down = laneDown, fmt.Errorf("%w: %w", ErrUnreachable, ErrClosed)
}

// run connects again and again until the transport is closed, or the peer has no
// address any more.
func (ln *lane) run() {
	t := ln.link.t
	for failures := 0; ; {
		addr, known := t.config.Resolve(ln.link.id)
		if !known {
			ln.fall(laneIdle, fmt.Errorf("no address of member %v is known", ln.link.id))
			return
		}
		if ln.left() {
			return
		}
		began := clock.Now()
		s, err := t.connect(ln.link, addr)
		if err == nil {
			began = clock.Now()
			err = ln.serve(s, addr)
		}
		if t.ctx.Err() != nil {
			err = ErrClosed
		}
		ln.link.fails(addr, err)
		ln.fall(laneDown, fmt.Errorf("member %v at %s: %w", ln.link.id, addr, err))
		if t.ctx.Err() != nil {
			return
		}
		// A connection that held for a while was a good one.
		if s != nil && time.Since(began) > t.config.BackoffMax {
			failures = 0
		}
		ln.pause(failures)
		failures++
	}
}

// left reports whether to stop connecting; then the lane is idle.
func (ln *lane) left() bool {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	// One that is connecting for the first time holds requests: it finishes that.
	if !ln.mu.leave || ln.mu.state == laneConnecting {
		return false
	}
	ln.mu.state, ln.mu.leave = laneIdle, false
	return true
}

// pause waits for the time of the next attempt, half of it by chance.
func (ln *lane) pause(failures int) {
	t := ln.link.t
	d := t.config.BackoffMax
	if failures < 30 {
		d = min(d, t.config.BackoffMin<<failures)
	}
	timer := time.NewTimer(d/2 + rand.N(d/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ln.kick:
	case <-t.ctx.Done():
	}
}

// serve runs a connected stream until it breaks, and returns why.
func (ln *lane) serve(s *session, addr string) error {
	s.pump.take = func(buf []item) []item { return ln.take(s, buf) }
	s.pump.reject = func(it item, err error) { ln.reject(s, it, err) }
	ln.mu.Lock()
	ln.mu.state, ln.mu.session, ln.mu.lastID = laneUp, s, 0
	ln.countLocked(1)
	leave := ln.mu.leave
	ln.mu.Unlock()
	if leave {
		s.end(errLetGo)
	}
	ln.link.works(addr)

	var streams sync.WaitGroup
	streams.Go(func() {
		// That the stream is over is all that writing knows: reading knows why.
		if err := s.pump.run(s.ctx, ln.wake); !errors.Is(err, io.EOF) {
			s.end(err)
		}
	})
	streams.Go(func() { s.end(ln.receive(s)) })
	ln.watch(s)
	err := context.Cause(s.ctx)
	ln.fall(laneDown, fmt.Errorf("member %v at %s: %w", ln.link.id, addr, err))
	s.close()
	streams.Wait()
	return err
}

// countLocked notes that the lane came up, 1, or went down, -1.
func (ln *lane) countLocked(n int32) {
	if ln != ln.link.bulk {
		ln.link.up.Add(n)
	}
}

// watch sweeps, and ends the session if the peer stalls, until it has ended.
func (ln *lane) watch(s *session) {
	c := &ln.link.t.config
	ticker := time.NewTicker(min(c.StallAfter, c.SweepAfter)/4 + 1)
	defer ticker.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case now := <-ticker.C:
			if s.pump.stalled(now, c.StallAfter) {
				ln.link.counters.stalls.Add(1)
				s.end(fmt.Errorf("the member took nothing for %v", c.StallAfter))
				return
			}
			ln.sweep(now)
		}
	}
}

// fall takes the lane down and delivers the outcome of all that it held: what
// waited was not sent, what was in flight may have been.
func (ln *lane) fall(to laneState, cause error) {
	unreachable := fmt.Errorf("%w: %w", ErrUnreachable, cause)
	ln.mu.Lock()
	if ln.mu.state == laneUp {
		ln.countLocked(-1)
	}
	ln.mu.state, ln.mu.session, ln.mu.down = to, nil, unreachable
	waiting := ln.mu.queue.drop(all)
	flight := ln.mu.flight
	if len(flight) > 0 {
		ln.mu.flight = make(map[uint64]flying)
	}
	ln.mu.Unlock()
	for i := range waiting {
		waiting[i].onAnswer(replica.Envelope{}, unreachable)
	}
	broken := fmt.Errorf("%w: %w", ErrBroken, cause)
	for _, f := range flight {
		f.onAnswer(replica.Envelope{}, broken)
	}
}
