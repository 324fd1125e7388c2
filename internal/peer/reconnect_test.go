package peer

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// A member that comes back elsewhere is met without anybody sending to it.
func TestComesBackAtAnotherAddress(t *testing.T) {
	var n network
	a := startMember(t, &n, 1, echo{}, nil)
	a.SetPeers([]ring.MemberID{id(1), id(2)})
	b := startMember(t, &n, 2, echo{answer: func(replica.Envelope) replica.Message { return nil }}, nil)
	a.SetPeers([]ring.MemberID{id(1), id(2)})
	eventually(t, "connected", func() bool { return a.Connected(id(2)) })
	out := a.ask(2, 0, store(1), time.Time{})
	eventually(t, "in flight", func() bool { return a.statsOf(2).InFlight == 1 })
	b.stop()
	if o := get(t, out); !errors.Is(o.err, ErrBroken) || !MayHaveArrived(o.err) {
		t.Errorf("in flight: %v", o.err)
	}
	// At once, not after a timeout.
	if o := get(t, a.ask(2, 0, store(1), time.Time{})); o.err != nil && !errors.Is(o.err, ErrUnreachable) && !errors.Is(o.err, ErrBroken) {
		t.Errorf("while it is down: %v", o.err)
	}
	before := b.addr
	b = startMember(t, &n, 2, echo{}, nil)
	if b.addr == before {
		t.Skip("the system gave the same port again")
	}
	eventually(t, "connected again", func() bool { return a.statsOf(2).Connected == 2 })
	if o := get(t, a.ask(2, 0, store(1), time.Time{})); o.err != nil {
		t.Error(o.err)
	}
	if s := a.statsOf(2); s.Connects < 4 || s.Problem != "" {
		t.Errorf("stats: %+v", s)
	}
	if n := a.log.count("connected to peer again"); n == 0 {
		t.Error("that it is back was not logged")
	}
}

// A member that dials is dialed at once, whatever the backoff.
func TestDialedAtOnceWhenHeardOf(t *testing.T) {
	var n network
	n.set(id(2), "127.0.0.1:1")
	a := startMember(t, &n, 1, echo{}, func(c *Config) { c.BackoffMin, c.BackoffMax = time.Hour, time.Hour })
	for p := range ring.PartitionID(2) {
		if o := get(t, a.ask(2, p, store(1), time.Time{})); !errors.Is(o.err, ErrUnreachable) {
			t.Fatal(o.err)
		}
	}
	b := startMember(t, &n, 2, echo{}, nil)
	b.SetPeers([]ring.MemberID{id(1)})
	eventually(t, "connected", func() bool { return a.statsOf(2).Connected == 2 })
}

func TestSetPeers(t *testing.T) {
	var n network
	a := startMember(t, &n, 1, echo{}, nil)
	startMember(t, &n, 2, echo{}, nil)
	b := a.link(id(2))
	idle := func() bool {
		for _, ln := range b.lanes {
			ln.mu.Lock()
			state := ln.mu.state
			ln.mu.Unlock()
			if state != laneIdle {
				return false
			}
		}
		return true
	}
	for range 3 {
		a.SetPeers([]ring.MemberID{id(2)})
		eventually(t, "connected", func() bool { return a.statsOf(2).Connected == 2 })
		a.SetPeers(nil)
		eventually(t, "let go", idle)
	}
	// Changing one's mind at once leaves it connected.
	for range 100 {
		a.SetPeers(nil)
		a.SetPeers([]ring.MemberID{id(2)})
	}
	eventually(t, "connected after all", func() bool { return a.statsOf(2).Connected == 2 })
	// Without an address nothing is tried, and nothing runs.
	n.remove(id(2))
	a.SetPeers(nil)
	eventually(t, "let go", idle)
	if a.Connected(id(2)) || !idle() {
		t.Error("connecting to a member without an address")
	}
}

// Every request has exactly one outcome, whatever breaks when.
func TestOneOutcomeWhateverBreaks(t *testing.T) {
	var n network
	a := startMember(t, &n, 1, echo{}, func(c *Config) {
		c.QueueMessages, c.SweepAfter, c.FrameBytes = 64, time.Millisecond, 1<<10
	})
	answer := echo{answer: func(env replica.Envelope) replica.Message {
		if env.Partition%7 == 0 {
			return nil
		}
		return replica.StoreAnswer{}
	}}
	b := startMember(t, &n, 2, answer, nil)

	const workers, each = 8, 1500
	counts := make([]atomic.Int32, workers*each)
	var fine, failed atomic.Int64
	var outcomes sync.WaitGroup
	outcomes.Add(workers * each)
	var senders sync.WaitGroup
	for w := range workers {
		senders.Go(func() {
			for i := range each {
				at := w*each + i
				var deadline time.Time
				if i%2 == 0 {
					deadline = time.Now().Add(time.Duration(i%5) * time.Millisecond)
				}
				a.Send(replica.Envelope{To: id(2), Partition: ring.PartitionID(i), Deadline: deadline, Message: store(100)}, func(_ replica.Envelope, err error) {
					if counts[at].Add(1) == 1 {
						outcomes.Done()
					}
					if err == nil {
						fine.Add(1)
					} else {
						failed.Add(1)
					}
				})
				switch i % 100 {
				case 40: // so that some get through between the breaks
					for began := time.Now(); (<-a.ask(2, 1, store(1), time.Now().Add(time.Second))).err != nil; {
						if time.Since(began) > patience {
							t.Error("nothing gets through any more")
							return
						}
					}
				case 90:
					ln := a.link(id(2)).lanes[w%2]
					ln.mu.Lock()
					s := ln.mu.session
					ln.mu.Unlock()
					if s != nil {
						s.end(errors.New("broken by the test"))
					}
				}
			}
		})
	}
	senders.Wait()
	b.stop()
	a.stop()
	outcomes.Wait()
	for i := range counts {
		if c := counts[i].Load(); c != 1 {
			t.Fatalf("request %d had %d outcomes", i, c)
		}
	}
	t.Logf("%d answered, %d not, %d connections", fine.Load(), failed.Load(), a.statsOf(2).Connects)
	if fine.Load() == 0 || failed.Load() == 0 || a.statsOf(2).Connects < 4 {
		t.Error("nothing broke, or nothing worked")
	}
}
