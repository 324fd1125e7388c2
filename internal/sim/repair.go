package sim

import (
	"maps"
	"slices"
	"time"

	"github.com/ringd/ringd/handoff"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/vnode"
)

const (
	// repairEvery is about how often a member looks for something to repair: far
	// more often than a real one, so that repairs meet all else.
	repairEvery = 250 * time.Millisecond
	secondLook  = 20 * time.Millisecond
	// transferIdle is when an op is given up that hears nothing.
	transferIdle = 500 * time.Millisecond
	// roundsMax bounds the rounds after which all owners agree.
	roundsMax = 8
)

// runRepairs has a member repair now and then until the process, or the run, ends.
func (m *member) runRepairs() {
	var look func()
	look = func() {
		if !m.w.settled {
			m.repairNow()
			m.later(m.w.upTo(2*repairEvery), look)
		}
	}
	m.later(m.w.upTo(repairEvery), look)
}

func (m *member) repairNow() {
	if !m.state.Ring.HasOwners() {
		return
	}
	if pair, ok := m.missing(); ok {
		m.exchange(pair, func(*handoff.Exchange, *replica.Error) { m.lookIncomplete(pair.Partition) })
		return
	}
	if m.state.Members[m.id].Leaving && m.w.rng.IntN(2) == 0 {
		// What it keeps for others, it has to give away: none is left to chance.
		m.mover.turn++
		slot := m.mover.turn % (m.w.config.Partitions * m.w.config.Replicas)
		m.deliver(ring.PartitionID(slot/m.w.config.Replicas), slot%m.w.config.Replicas, func(*replica.Error) {})
		return
	}
	p := ring.PartitionID(m.w.rng.IntN(m.w.config.Partitions))
	switch m.w.rng.IntN(3) {
	case 0:
		if pairs := m.pairs(p); len(pairs) > 0 {
			m.exchange(pairs[m.w.rng.IntN(len(pairs))], func(*handoff.Exchange, *replica.Error) {})
		}
	case 1:
		m.deliver(p, m.w.rng.IntN(m.w.config.Replicas), func(*replica.Error) {})
	case 2:
		m.reap(p)
	}
}

// missing draws a comparison that a vnode which lacks data waits for.
func (m *member) missing() (handoff.Pair, bool) {
	if len(m.mover.missing) == 0 {
		return handoff.Pair{}, false
	}
	pairs := slices.SortedFunc(maps.Keys(m.mover.missing), func(a, b handoff.Pair) int {
		if a.Partition != b.Partition {
			return int(a.Partition) - int(b.Partition)
		}
		return a.Peer.Compare(b.Peer)
	})
	pair := pairs[m.w.rng.IntN(len(pairs))]
	owners := m.state.Ring.Owners(pair.Partition)
	if !slices.Contains(owners, m.id) || !slices.Contains(owners, pair.Peer) {
		delete(m.mover.missing, pair)
		m.lookIncomplete(pair.Partition)
		return pair, false
	}
	return pair, true
}

func (m *member) pairs(p ring.PartitionID) []handoff.Pair {
	var pairs []handoff.Pair
	for _, pair := range handoff.Pairs(m.state.Ring, m.id) {
		if pair.Partition == p {
			pairs = append(pairs, pair)
		}
	}
	return pairs
}

func (m *member) exchange(pair handoff.Pair, done func(*handoff.Exchange, *replica.Error)) {
	slot := func(id ring.MemberID) int {
		i, ok := m.state.Ring.SlotOf(pair.Partition, id)
		if !ok {
			panic("no owner")
		}
		return i
	}
	x := handoff.NewExchange(handoff.ExchangeConfig{
		Partition: pair.Partition, Self: m.id, Peer: pair.Peer, SelfSlot: slot(m.id), PeerSlot: slot(pair.Peer),
		Replicas: m.w.config.Replicas, Leaves: replica.Leaves(m.w.config.Partitions), SecondLook: secondLook, Throttle: free{},
	})
	m.transfer(pair.Partition, x, func(err *replica.Error) {
		if err == nil {
			m.w.reach("exchange")
			if x.Progress().Done > 0 {
				m.w.reach("exchange that sent objects")
			}
		} else {
			m.w.reach("exchange that failed")
		}
		done(x, err)
	})
}

func (m *member) deliver(p ring.PartitionID, slot int, done func(*replica.Error)) {
	d := handoff.NewDelivery(m.id, p, slot, m.state.Ring.Owners(p)[slot], free{})
	m.transfer(p, d, func(err *replica.Error) {
		if d.Progress().Done > 0 {
			m.w.reach("hints delivered")
			if since, ok := m.hintedAt[p]; ok && since.Compare(m.state.Ring.OwnersChanged(p)) < 0 {
				m.w.reach("hint for a slot that moved")
			}
		}
		done(err)
	})
}

func (m *member) reap(p ring.PartitionID) {
	if !m.state.Ring.IsOwner(p, m.w.config.Replicas, m.id) {
		return
	}
	m.own(p, false, replica.Reap{Limit: 100}, func(a replica.Message) {
		if r, ok := a.(replica.ReapAnswer); ok && r.Reaped > 0 {
			m.w.reached["deletion forgotten"] += r.Reaped
			m.w.noteReaped(p, m.id, r.Reaped)
		}
	})
}

// noteReaped counts what was forgotten by owner.
func (w *world) noteReaped(p ring.PartitionID, id ring.MemberID, n int) {
	if w.reaped[p] == nil {
		w.reaped[p] = make(map[ring.MemberID]int)
	}
	w.reaped[p][id] += n
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
	epoch    ring.Epoch
	finished bool
	heard    int // counts events, so that silence is noticed
	tick     int
	done     func(*replica.Error)
}

func (m *member) transfer(p ring.PartitionID, op handoff.Op, done func(*replica.Error)) {
	t := &transfer{m: m, life: m.life, op: op, p: p, epoch: m.state.Ring.Epoch(), done: done}
	t.step(replica.Begin{})
}

func (t *transfer) step(e replica.Event) {
	if t.finished || !t.m.alive(t.life) {
		return
	}
	if a, ok := e.(replica.Answer); ok {
		if i, ok := a.Message.(replica.InheritAnswer); ok && i.Started {
			t.m.w.reach("move that went on from its cursor")
		}
	}
	t.heard++
	heard := t.heard
	fx := t.op.Step(t.m.w.now, e)
	idle := transferIdle
	if t.m.w.healed {
		idle *= 10 // nothing is lost any more
	}
	for _, s := range fx.Sends {
		t.m.ask(replica.Envelope{
			ID: uint64(s.Seq), From: t.m.id, To: s.To, Epoch: t.epoch, Partition: t.p, Fallback: s.Fallback,
			Deadline: t.m.w.now.Add(idle), Message: s.Message,
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
		idle = max(idle, fx.Tick.Sub(t.m.w.now)+time.Millisecond)
	}
	t.m.later(idle, func() {
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
	for _, m := range w.serving() {
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
	for _, m := range w.serving() {
		for _, pair := range handoff.Pairs(m.state.Ring, m.id) {
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
	for _, m := range w.serving() {
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
	for _, m := range w.serving() {
		for p := range w.config.Partitions {
			if !m.state.Ring.IsOwner(ring.PartitionID(p), w.config.Replicas, m.id) {
				continue
			}
			ask := func(q replica.Message) {
				m.submit(ring.PartitionID(p), vnode.Request{
					Envelope: replica.Envelope{From: m.id, To: m.id, Epoch: m.state.Ring.Epoch(), Partition: ring.PartitionID(p), Message: q},
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
