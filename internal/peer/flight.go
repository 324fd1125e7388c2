package peer

import (
	"fmt"
	"time"

	"github.com/ringd/ringd/internal/clock"
	"github.com/ringd/ringd/internal/peer/peerpb"
	"github.com/ringd/ringd/replica"
)

// flying is a request that waits for its answer.
type flying struct {
	onAnswer func(replica.Envelope, error)
	id       uint64 // the sender's
	asked    requestKind
	sent     time.Time
	sweep    time.Time // zero: with the stream
}

// take moves a frame's worth of requests from the queue to the flight.
func (ln *lane) take(s *session, buf []item) []item {
	c := &ln.link.t.config
	now := clock.Now()
	var late []item
	ln.mu.Lock()
	for bytes := 0; ln.mu.session == s && ln.mu.queue.len() > 0 && bytes < c.FrameBytes; {
		if next := &ln.mu.queue.items[ln.mu.queue.head]; bytes > 0 && bytes+next.bytes > c.FrameBytes {
			break
		}
		it := ln.mu.queue.pop()
		if it.expired(now) {
			late = append(late, it)
			continue
		}
		ln.mu.lastID++
		it.id = ln.mu.lastID
		f := flying{onAnswer: it.onAnswer, id: it.env.ID, asked: kindOf(it.env.Message), sent: now}
		if !it.env.Deadline.IsZero() {
			f.sweep = it.env.Deadline.Add(c.SweepAfter)
		}
		ln.mu.flight[it.id] = f
		bytes += it.bytes
		buf = append(buf, it)
	}
	ln.mu.Unlock()
	for i := range late {
		late[i].onAnswer(replica.Envelope{}, errExpired)
	}
	return buf
}

// reject delivers the outcome of a request that could not be encoded.
func (ln *lane) reject(s *session, it item, err error) {
	ln.mu.Lock()
	mine := ln.mu.session == s
	if mine {
		delete(ln.mu.flight, it.id)
	}
	ln.mu.Unlock()
	if mine {
		it.onAnswer(replica.Envelope{}, err)
	}
}

// sweep gives up requests that are past their time.
func (ln *lane) sweep(now time.Time) {
	var late []func(replica.Envelope, error)
	ln.mu.Lock()
	expired := ln.mu.queue.drop(func(it *item) bool { return it.expired(now) })
	for id, f := range ln.mu.flight {
		if !f.sweep.IsZero() && now.After(f.sweep) {
			late = append(late, f.onAnswer)
			delete(ln.mu.flight, id)
		}
	}
	ln.mu.Unlock()
	for i := range expired {
		expired[i].onAnswer(replica.Envelope{}, errExpired)
	}
	for _, onAnswer := range late {
		onAnswer(replica.Envelope{}, ErrNoAnswer)
	}
}

// receive reads answers until the stream breaks, and returns why.
func (ln *lane) receive(s *session) error {
	for {
		frame, err := s.stream.Recv()
		if err != nil {
			return fromStatus(err)
		}
		if err := ln.settle(s, frame, clock.Now()); err != nil {
			return err
		}
	}
}

// settle delivers the answers of a frame.
func (ln *lane) settle(s *session, frame *peerpb.Frame, now time.Time) error {
	envs, bytes, err := decodeFrame(s.envs[:0], frame, now)
	s.envs, s.settled = envs, s.settled[:0]
	ln.mu.Lock()
	if ln.mu.session != s {
		// Its requests have had their outcome.
		ln.mu.Unlock()
		return err
	}
	for i := range envs {
		f, known := ln.mu.flight[envs[i].ID]
		if !known {
			if envs[i].ID > ln.mu.lastID {
				err = fmt.Errorf("%w: an answer to request %d, and there were %d", errMalformed, envs[i].ID, ln.mu.lastID)
			}
		} else if !f.asked.answeredBy(envs[i].Message) {
			err = fmt.Errorf("%w: a %T in answer to a request of another kind", errMalformed, envs[i].Message)
			f.onAnswer = nil // it stays in flight, and ends with the stream
		} else {
			delete(ln.mu.flight, envs[i].ID)
			ln.mu.rtt += (now.Sub(f.sent) - ln.mu.rtt) / rttWeight
		}
		s.settled = append(s.settled, f)
	}
	ln.mu.Unlock()
	for i := range envs {
		if f := s.settled[i]; f.onAnswer != nil {
			envs[i].From, envs[i].To, envs[i].ID = ln.link.id, ln.link.t.config.Self, f.id
			f.onAnswer(envs[i], nil)
		}
	}
	clear(s.settled)
	clear(s.envs)
	ln.link.counters.received(len(envs), bytes)
	return err
}

// rttWeight is the weight of the past in the average against one answer.
const rttWeight = 16
