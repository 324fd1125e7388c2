package sim

import (
	"maps"
	"slices"
	"time"

	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/handoff"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// mover is a member's part in the moves under way, as internal/member's mover has it:
// it hands over the slots that are taken from it, rebuilds those that it got from one
// that is gone, has finished moves agreed on, and gives up what it owns no more.
type mover struct {
	moving, finished map[uint64]bool
	retryAt          map[uint64]time.Time
	begun            map[ring.Slot]uint64
	doubtful         map[ring.PartitionID]uint64
	version          uint64
	proposing        bool
	leaving          bool
	turn             int // counts the hints that a leaving member looked for
	// missing are the comparisons that vnodes which lack data wait for.
	missing map[handoff.Pair]bool
}

const (
	moveTick  = 100 * time.Millisecond
	moveRetry = 300 * time.Millisecond
)

func newMover() mover {
	return mover{
		moving: make(map[uint64]bool), finished: make(map[uint64]bool), retryAt: make(map[uint64]time.Time),
		begun: make(map[ring.Slot]uint64), doubtful: make(map[ring.PartitionID]uint64), missing: make(map[handoff.Pair]bool),
	}
}

// runMoves looks for what is due until the process, or the run, ends.
func (m *member) runMoves() {
	m.findIncomplete()
	var look func()
	look = func() {
		if m.w.settled {
			return
		}
		m.followLog()
		if !m.up {
			return
		}
		m.follow()
		m.beginArrivals()
		for _, move := range m.state.Active() {
			switch {
			case move.Rebuild && move.To == m.id:
				m.rebuild(move)
			case !move.Rebuild && move.From == m.id:
				m.handOver(move)
			}
		}
		m.proposeFinished()
		m.dropWhatIsOver()
		m.leave()
		m.later(moveTick/2+m.w.upTo(moveTick), look)
	}
	m.later(m.w.upTo(moveTick), look)
}

// follow forgets what was decided, and notices slots that came or went.
func (m *member) follow() {
	v := &m.mover
	if v.version == m.state.Version {
		return
	}
	first := v.version == 0
	v.version = m.state.Version
	underway := make(map[uint64]bool)
	for _, move := range m.state.Moves {
		underway[move.Number] = true
		if move.From == m.id || move.To == m.id {
			v.doubtful[move.Partition] = v.version
		}
	}
	maps.DeleteFunc(v.finished, func(number uint64, _ bool) bool { return !underway[number] })
	maps.DeleteFunc(v.retryAt, func(number uint64, _ time.Time) bool { return !underway[number] })
	if first {
		for p := range m.w.config.Partitions {
			v.doubtful[ring.PartitionID(p)] = v.version
		}
	}
}

// own asks one of this member's vnodes.
func (m *member) own(p ring.PartitionID, fallback bool, q replica.Message, then func(replica.Message)) {
	m.receive(replica.Envelope{
		From: m.id, To: m.id, Epoch: m.state.Ring.Epoch(), Partition: p, Fallback: fallback,
		Deadline: m.w.now.Add(2 * time.Second), Message: q,
	}, then)
}

// askAll asks vnodes one after the other, and says whether all answered as they
// should.
func (m *member) askAll(ids []ring.MemberID, p ring.PartitionID, q replica.Message, good func(replica.Message) bool, then func(bool)) {
	if len(ids) == 0 {
		then(true)
		return
	}
	m.ask(replica.Envelope{
		From: m.id, To: ids[0], Epoch: m.state.Ring.Epoch(), Partition: p,
		Deadline: m.w.now.Add(2 * time.Second), Message: q,
	}, 0, func(e replica.Event) {
		if a, ok := e.(replica.Answer); !ok || !good(a.Message) {
			then(false)
			return
		}
		m.askAll(ids[1:], p, q, good, then)
	})
}

// beginArrivals tells the vnodes of slots that came by a move, once each.
func (m *member) beginArrivals() {
	for i := range m.w.config.Partitions {
		p := ring.PartitionID(i)
		index, ok := m.state.Ring.SlotOf(p, m.id)
		if !ok {
			continue
		}
		slot := ring.Slot{Partition: p, Index: index}
		arrival := m.state.Ring.Arrival(slot)
		if arrival == 0 || m.mover.begun[slot] == arrival {
			continue
		}
		m.own(p, false, replica.Inherit{Move: arrival, Rebuild: true}, func(a replica.Message) {
			if _, ok := a.(replica.InheritAnswer); !ok {
				return // the next look tries again
			}
			m.mover.begun[slot] = arrival
			m.lookIncomplete(p)
		})
	}
}

// findIncomplete asks the vnodes whether they lost data.
func (m *member) findIncomplete() {
	for p := range m.w.config.Partitions {
		if m.state.Ring.IsOwner(ring.PartitionID(p), m.w.config.Replicas, m.id) {
			m.lookIncomplete(ring.PartitionID(p))
		}
	}
}

func (m *member) lookIncomplete(p ring.PartitionID) {
	m.own(p, false, replica.Capture{Look: true}, func(a replica.Message) {
		c, ok := a.(replica.CaptureAnswer)
		if ok && !c.Incomplete || !m.state.Ring.IsOwner(p, m.w.config.Replicas, m.id) {
			maps.DeleteFunc(m.mover.missing, func(pair handoff.Pair, _ bool) bool { return pair.Partition == p })
			return
		}
		for _, id := range m.state.Ring.Owners(p) {
			if id != m.id {
				m.mover.missing[handoff.Pair{Partition: p, Peer: id}] = true
			}
		}
	})
}

// take says that a move may be worked on now, and that it is.
func (v *mover) take(now time.Time, number uint64) bool {
	if v.moving[number] || v.finished[number] || now.Before(v.retryAt[number]) {
		return false
	}
	v.moving[number] = true
	return true
}

// release says how far a move has come that was taken.
func (v *mover) release(now time.Time, number uint64, finished bool) {
	delete(v.moving, number)
	if finished {
		v.finished[number] = true
	} else {
		v.retryAt[number] = now.Add(moveRetry)
	}
}

// handOver brings the slot's data to its new owner.
func (m *member) handOver(move replica.Move) {
	if !m.sees(move.To) || !m.mover.take(m.w.now, move.Number) {
		return
	}
	op := handoff.NewMove(handoff.MoveConfig{Move: move, Replicas: m.w.config.Replicas, Leaves: replica.Leaves(m.w.config.Partitions), Throttle: free{}})
	m.transfer(move.Partition, op, func(err *replica.Error) {
		if err == nil {
			m.w.reach("slot handed over")
		} else {
			m.w.reach("move cut short")
			m.w.log("%s: move %d: %v", m.name, move.Number, err)
		}
		m.mover.release(m.w.now, move.Number, err == nil)
	})
}

// rebuild has the other owners know of the rebuild, and finds out whether the vnode
// has what it needs of them. Getting it is the repairs', as after any loss.
func (m *member) rebuild(move replica.Move) {
	if !m.mover.take(m.w.now, move.Number) {
		return
	}
	m.own(move.Partition, false, replica.Capture{Look: true}, func(a replica.Message) {
		c, ok := a.(replica.CaptureAnswer)
		if ok && !c.Incomplete {
			m.w.reach("slot rebuilt")
		}
		m.mover.release(m.w.now, move.Number, ok && !c.Incomplete)
		if !ok || !c.Incomplete {
			return
		}
		for _, id := range m.state.Ring.Owners(move.Partition) {
			if id == m.id {
				continue
			}
			m.askAll([]ring.MemberID{id}, move.Partition, replica.Capture{Look: true}, isCapture, func(heard bool) {
				if heard {
					m.own(move.Partition, false, replica.Heard{From: id}, func(replica.Message) {})
				}
			})
		}
	})
}

func isCapture(a replica.Message) bool {
	_, ok := a.(replica.CaptureAnswer)
	return ok
}

func isWhole(a replica.Message) bool {
	c, ok := a.(replica.CaptureAnswer)
	return ok && !c.Incomplete
}

// proposeFinished has finished moves agreed on, many at a time. One whose fate is
// unknown is proposed again, as long as the state names it.
func (m *member) proposeFinished() {
	var numbers []uint64
	for _, move := range m.state.Active() {
		if m.mover.finished[move.Number] {
			numbers = append(numbers, move.Number)
		}
	}
	if len(numbers) == 0 || m.mover.proposing {
		return
	}
	m.mover.proposing = true
	m.w.agreed.propose(m, cluster.Command{FinishMoves: &cluster.FinishMoves{Numbers: numbers}}, func(err error) {
		m.mover.proposing = false
		if err == nil {
			m.w.reach("moves agreed on")
		}
	})
}

// dropWhatIsOver gives up what this member owns no more, as far as all owners of
// its partition have everything.
func (m *member) dropWhatIsOver() {
	for _, p := range slices.Sorted(maps.Keys(m.mover.doubtful)) {
		since := m.mover.doubtful[p]
		trust := func() {
			if m.mover.doubtful[p] == since {
				delete(m.mover.doubtful, p)
			}
		}
		concerns := func(of func(replica.Move) ring.MemberID) bool {
			return slices.ContainsFunc(m.state.Moves, func(move replica.Move) bool { return move.Partition == p && of(move) == m.id })
		}
		if !m.state.Ring.HasOwners() {
			trust()
			continue
		}
		if _, owner := m.state.Ring.SlotOf(p, m.id); owner {
			if !concerns(func(move replica.Move) ring.MemberID { return move.From }) {
				trust()
			}
			continue
		}
		if concerns(func(move replica.Move) ring.MemberID { return move.To }) || m.w.rng.IntN(3) > 0 {
			continue
		}
		m.own(p, false, replica.Leftovers{}, func(a replica.Message) {
			left, ok := a.(replica.LeftoversAnswer)
			if !ok || !left.Any {
				if ok {
					trust()
				}
				return
			}
			m.askAll(m.state.Ring.Owners(p), p, replica.Capture{Look: true}, isWhole, func(all bool) {
				if !all {
					return
				}
				m.own(p, false, replica.Drop{}, func(a replica.Message) {
					if _, ok := a.(replica.DropAnswer); ok {
						trust()
					}
				})
			})
		})
	}
}

// leave takes this member out of the cluster, if it is leaving and holds nothing any
// more.
func (m *member) leave() {
	if m.mover.leaving || !m.state.Members[m.id].Leaving || len(m.mover.doubtful) > 0 || slices.Contains(m.state.Ring.Members(), m.id) {
		return
	}
	m.mover.leaving = true
	m.countAllHints(0, func(none bool) {
		if !none {
			m.mover.leaving = false
			return
		}
		m.w.agreed.propose(m, cluster.Command{RemoveMember: &cluster.RemoveMember{ID: m.id}}, func(err error) {
			m.mover.leaving = false
			if err == nil {
				m.w.reach("member that took its leave")
			}
		})
	})
}

func (m *member) countAllHints(p int, then func(none bool)) {
	if p == m.w.config.Partitions {
		then(true)
		return
	}
	m.own(ring.PartitionID(p), true, replica.HintCount{}, func(a replica.Message) {
		c, ok := a.(replica.HintCountAnswer)
		if !ok || !c.Leaving || slices.ContainsFunc(c.Count, func(n int64) bool { return n > 0 }) {
			then(false)
			return
		}
		m.countAllHints(p+1, then)
	})
}
