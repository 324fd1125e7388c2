package sim

import (
	"time"

	"github.com/ringd/ringd/handoff"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/vnode"
)

const (
	// repairEvery is about how often a member looks for something to repair: far
	// more often than a real one, so that repairs meet all else.
	repairEvery = 150 * time.Millisecond
	secondLook  = 20 * time.Millisecond
	// transferIdle is when an op is given up that hears nothing.
	transferIdle = 300 * time.Millisecond
	// roundsMax bounds the rounds after which all owners agree.
	roundsMax = 8
)

// startRepairs has every member repair now and then while the clients work.
func (w *world) startRepairs() {
	for _, m := range w.members {
		w.after(w.upTo(repairEvery), func() { w.repairNow(m) })
	}
}

func (w *world) repairNow(m *member) {
	if w.clients == 0 {
		return
	}
	w.after(w.upTo(2*repairEvery), func() { w.repairNow(m) })
	if !m.up {
		return
	}
	p := ring.PartitionID(w.rng.IntN(w.config.Partitions))
	switch w.rng.IntN(3) {
	case 0:
		if pairs := m.pairs(p); len(pairs) > 0 {
			m.exchange(pairs[w.rng.IntN(len(pairs))], func(*handoff.Exchange, *replica.Error) {})
		}
	case 1:
		m.deliver(p, w.rng.IntN(w.config.Replicas), func(*replica.Error) {})
	case 2:
		m.reap(p)
	}
}

func (m *member) pairs(p ring.PartitionID) []handoff.Pair {
	var pairs []handoff.Pair
	for _, pair := range handoff.Pairs(m.w.ring, m.id, nil) {
		if pair.Partition == p {
			pairs = append(pairs, pair)
		}
	}
	return pairs
}

func (m *member) exchange(pair handoff.Pair, done func(*handoff.Exchange, *replica.Error)) {
	owners := m.w.ring.Owners(pair.Partition)
	slot := func(id ring.MemberID) int {
		for i, owner := range owners {
			if owner == id {
				return i
			}
		}
		panic("no owner")
	}
	x := handoff.NewExchange(handoff.ExchangeConfig{
		Partition: pair.Partition, Self: m.id, Peer: pair.Peer, SelfSlot: slot(m.id), PeerSlot: slot(pair.Peer),
		Replicas: m.w.config.Replicas, Leaves: replica.Leaves(m.w.config.Partitions), SecondLook: secondLook, Throttle: free{},
	})
	m.transfer(pair.Partition, x, func(err *replica.Error) {
		if err == nil {
			m.w.reached["exchange"]++
			if x.Progress().Done > 0 {
				m.w.reached["exchange that sent objects"]++
			}
		} else {
			m.w.reached["exchange that failed"]++
		}
		done(x, err)
	})
}

func (m *member) deliver(p ring.PartitionID, slot int, done func(*replica.Error)) {
	d := handoff.NewDelivery(m.id, p, slot, m.w.ring.Owners(p)[slot], free{})
	m.transfer(p, d, func(err *replica.Error) {
		if d.Progress().Done > 0 {
			m.w.reached["hints delivered"]++
		}
		done(err)
	})
}

func (m *member) reap(p ring.PartitionID) {
	if !m.w.ring.IsOwner(p, m.w.config.Replicas, m.id) {
		return
	}
	m.receive(replica.Envelope{From: m.id, To: m.id, Epoch: m.w.ring.Epoch(), Partition: p, Message: replica.Reap{Limit: 100}}, func(a replica.Message) {
		if r, ok := a.(replica.ReapAnswer); ok && r.Reaped > 0 {
			m.w.reached["deletion forgotten"] += r.Reaped
		}
	})
}

type free struct{}

// Take implements handoff.Throttle.
func (free) Take(time.Time, int) time.Duration { return 0 }

// transfer drives a handoff.Op at this member, until the process ends.
type transfer struct {
	m        *member
	life     int
	op       handoff.Op
	p        ring.PartitionID
	finished bool
	heard    int // counts events, so that silence is noticed
	tick     int
	done     func(*replica.Error)
}

func (m *member) transfer(p ring.PartitionID, op handoff.Op, done func(*replica.Error)) {
	t := &transfer{m: m, life: m.life, op: op, p: p, done: done}
	t.step(replica.Begin{})
}

func (t *transfer) step(e replica.Event) {
	if t.finished || !t.m.alive(t.life) {
		return
	}
	t.heard++
	heard := t.heard
	fx := t.op.Step(t.m.w.now, e)
	for _, s := range fx.Sends {
		t.m.carry(replica.Envelope{
			ID: uint64(s.Seq), From: t.m.id, To: s.To, Epoch: t.m.w.ring.Epoch(), Partition: t.p, Fallback: s.Fallback,
			Deadline: t.m.w.now.Add(transferIdle), Message: s.Message,
		}, s.Seq, t.step)
	}
	if fx.Finished {
		t.finished = true
		t.done(fx.Err)
		return
	}
	if !fx.Tick.IsZero() {
		t.tick++
		due := t.tick
		t.m.later(max(0, fx.Tick.Sub(t.m.w.now)), func() {
			if due == t.tick {
				t.step(replica.Tick{})
			}
		})
	}
	t.m.later(transferIdle, func() {
		if !t.finished && heard == t.heard {
			t.finished = true
			t.done(replica.Errorf(replica.KindUnknown, "no answer"))
		}
	})
}

// converge repairs everything, without faults, until a round sends nothing.
func (w *world) converge() {
	for round := 1; ; round++ {
		w.deliverAll()
		sent := w.exchangeAll()
		if sent == 0 {
			return
		}
		if round == roundsMax {
			w.check.violate("after %d rounds %d objects are still sent", round, sent)
			return
		}
	}
}

func (w *world) deliverAll() {
	for _, m := range w.members {
		for p := range w.config.Partitions {
			for slot := range w.config.Replicas {
				m.deliver(ring.PartitionID(p), slot, func(err *replica.Error) {
					if err != nil {
						w.check.violate("%s: hints are not delivered: %v", m.name, err)
					}
				})
				w.drain()
			}
		}
	}
}

func (w *world) exchangeAll() int {
	sent := 0
	for _, m := range w.members {
		for _, pair := range handoff.Pairs(w.ring, m.id, nil) {
			m.exchange(pair, func(x *handoff.Exchange, err *replica.Error) {
				if err != nil {
					w.check.violate("%s: owners are not compared: %v", m.name, err)
				}
				sent += x.Progress().Done
			})
			w.drain()
		}
	}
	return sent
}

// forget reaps everywhere, twice: what is forgotten must not come back.
func (w *world) forget() {
	for _, m := range w.members {
		for p := range w.config.Partitions {
			m.reap(ring.PartitionID(p))
			w.drain()
		}
	}
	if sent := w.exchangeAll(); sent > 0 {
		w.check.violate("%d objects are sent after deletions were forgotten", sent)
	}
}

// checkTrees holds every owner's hash trees against its data.
func (w *world) checkTrees() {
	for _, m := range w.members {
		for p := range w.config.Partitions {
			if !w.ring.IsOwner(ring.PartitionID(p), w.config.Replicas, m.id) {
				continue
			}
			ask := func(q replica.Message) {
				m.submit(ring.PartitionID(p), vnode.Request{
					Envelope: replica.Envelope{From: m.id, To: m.id, Epoch: w.ring.Epoch(), Partition: ring.PartitionID(p), Message: q},
					Reply: func(a replica.Message) {
						if c, ok := a.(replica.CheckAnswer); !ok || len(c.Keys) > 0 || c.Sums > 0 {
							w.check.violate("%s: the hash tree of partition %d is wrong: %+v", m.name, p, a)
						}
					},
				})
				w.drain()
			}
			ask(replica.CheckTree{Limit: 1000})
			ask(replica.CheckSums{Class: w.config.Replicas, Range: replica.LeafRange{To: replica.Leaves(w.config.Partitions)}})
		}
	}
}
