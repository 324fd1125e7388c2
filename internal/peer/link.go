package peer

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/ringd/ringd/ring"
)

// link is what is known of one peer, and the lanes to it.
type link struct {
	t  *Transport
	id ring.MemberID
	// lanes are one for each of Config.Streams, by partition, and bulk, the last.
	lanes    []*lane
	bulk     *lane
	counters counters
	up       atomic.Int32 // lanes that are up, but for bulk

	mu struct {
		sync.Mutex
		hello   hello  // the last that was accepted
		problem string // why the last attempt failed; empty after one that did not
		logged  string // what of it was logged
	}
}

func newLink(t *Transport, id ring.MemberID) *link {
	l := &link{t: t, id: id}
	for range t.config.Streams + 1 {
		l.lanes = append(l.lanes, newLane(l))
	}
	l.bulk = l.lanes[t.config.Streams]
	return l
}

// lane returns the one that a partition's requests of a kind take.
func (l *link) lane(k requestKind, p ring.PartitionID) *lane {
	if k.isBulk() {
		return l.bulk
	}
	return l.lanes[int(p)%(len(l.lanes)-1)]
}

// connected reports whether a lane but bulk is up, and sets off those that never
// tried.
func (l *link) connected() bool {
	if l.up.Load() > 0 { // without a lock: every request asks
		return true
	}
	l.begin()
	return l.up.Load() > 0
}

// begin sets off the lanes that never tried, if there is an address to try; bulk
// begins with its first request.
func (l *link) begin() {
	if _, ok := l.t.config.Resolve(l.id); !ok {
		return
	}
	for _, ln := range l.lanes {
		ln.mu.Lock()
		ln.mu.leave = false
		if ln.mu.state == laneIdle && ln != l.bulk {
			ln.startLocked()
		}
		ln.mu.Unlock()
	}
}

// letGo ends the lanes and their attempts, until someone asks for the peer again.
func (l *link) letGo() {
	for _, ln := range l.lanes {
		ln.mu.Lock()
		s := ln.mu.session
		ln.mu.leave = ln.mu.state != laneIdle
		ln.mu.Unlock()
		if s != nil {
			s.end(errLetGo)
		}
		ln.again()
	}
}

// heard ends the lanes' wait for their next attempt: the peer is there.
func (l *link) heard() {
	for _, ln := range l.lanes {
		ln.again()
	}
}

// met takes in the hello of a peer that was accepted.
func (l *link) met(h hello) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.hello = h
}

// works notes that a lane came up.
func (l *link) works(addr string) {
	l.counters.connects.Add(1)
	l.mu.Lock()
	before := l.mu.logged
	l.mu.problem, l.mu.logged = "", ""
	l.mu.Unlock()
	if before != "" {
		l.t.config.Logger.Info("connected to peer again", "peer", l.id, "addr", addr)
	}
}

// fails notes why there is no connection, and logs it once per change: the text
// of a refusal, but of other errors, which name ports and change at every
// attempt, only that there is one.
func (l *link) fails(addr string, err error) {
	if errors.Is(err, ErrClosed) || errors.Is(err, errLetGo) {
		return
	}
	kind := "unreachable"
	if errors.Is(err, ErrRefused) {
		kind = err.Error()
	}
	l.mu.Lock()
	changed := l.mu.logged != kind
	l.mu.problem, l.mu.logged = err.Error(), kind
	l.mu.Unlock()
	if changed {
		l.t.config.Logger.Warn("no connection to peer", "peer", l.id, "addr", addr, "error", err)
	}
}
