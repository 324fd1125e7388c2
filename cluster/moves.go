package cluster

import (
	"fmt"
	"slices"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// CommitPlan carries out what is staged, if ring and revision are still those that
// the plan was made at.
type CommitPlan struct {
	Epoch    ring.Epoch `json:"epoch"`
	Revision uint64     `json:"revision,omitempty"`
	// Slots, as long as there are no owners, has the first for each partition.
	Slots [][]ring.MemberID `json:"slots,omitempty"`
	// Moves, afterwards, are to be made; those of one partition in this order.
	Moves []ring.Move `json:"moves,omitempty"`
	// AcceptDataLoss allows rebuilds from fewer owners than every acknowledged write
	// is sure to be known to.
	AcceptDataLoss bool `json:"accept_data_loss,omitempty"`
}

// FinishMoves says that moves have come to their end: of each, the new owner
// durably has what the former one acknowledged, or, of a rebuild, what enough other
// owners have. Those that are not under way (any more) are passed over.
type FinishMoves struct {
	Numbers []uint64 `json:"numbers"`
}

// CancelMoves turns back all moves under way, but not rebuilds: the former owner of
// their slots is gone.
type CancelMoves struct{}

func (s *State) commitPlan(c CommitPlan) error {
	if c.Epoch != s.Ring.Epoch() || c.Revision != s.Revision {
		return replica.Errorf(replica.KindAborted, "members or their slots have changed since the plan was made (ring %v and revision %d then, %v and %d now): plan again", c.Epoch, c.Revision, s.Ring.Epoch(), s.Revision)
	}
	s.carryOut()
	s.Revision++
	if !s.Ring.HasOwners() {
		return s.firstCommit(c)
	}
	s.dropMovesOfGone()
	if err := s.addMoves(c); err != nil {
		return err
	}
	if err := s.beginRebuilds(nil); err != nil {
		return err
	}
	s.retireGone()
	return nil
}

func (s *State) firstCommit(c CommitPlan) error {
	next, err := s.Ring.WithSlots(s.nextEpoch(), c.Slots)
	if err != nil {
		return replica.Errorf(replica.KindInvalid, "the plan: %v", err)
	}
	for _, id := range next.Members() {
		if m, ok := s.Members[id]; !ok || !m.Placed {
			return replica.Errorf(replica.KindInvalid, "the plan gives slots to %v, which is no storage member", id)
		}
	}
	s.Ring = next
	s.retireGone()
	return nil
}

func (s *State) nextEpoch() ring.Epoch {
	e := s.Ring.Epoch()
	return ring.Epoch{Generation: max(1, e.Generation), Number: e.Number + 1}
}

// Target is the ring's slots once all moves under way have come to their end; nil
// if there are no owners yet.
func (s *State) Target() [][]ring.MemberID {
	if !s.Ring.HasOwners() {
		return nil
	}
	slots := make([][]ring.MemberID, s.Ring.Partitions())
	for p := range slots {
		slots[p] = slices.Clone(s.Ring.Owners(ring.PartitionID(p)))
	}
	for _, m := range s.Moves {
		slots[m.Partition][m.Slot] = m.To
	}
	return slots
}

// dropMovesOfGone takes back moves that can't come to their end, because one of
// their members is gone for good.
func (s *State) dropMovesOfGone() {
	gone := func(id ring.MemberID) bool { return s.Members[id].Gone }
	dropped := make(map[ring.Slot]bool)
	s.Moves = slices.DeleteFunc(s.Moves, func(m replica.Move) bool {
		slot := ring.Slot{Partition: m.Partition, Index: m.Slot}
		// Those that build on one that is dropped go with it.
		drop := gone(m.To) || (!m.Rebuild && gone(m.From)) || dropped[slot]
		dropped[slot] = drop
		return drop
	})
}

// addMoves appends the moves of a plan.
func (s *State) addMoves(c CommitPlan) error {
	target := s.Target()
	for _, move := range c.Moves {
		p := int(move.Partition)
		if p >= len(target) || move.Slot < 0 || move.Slot >= len(target[p]) || target[p][move.Slot] != move.From {
			return replica.Errorf(replica.KindInvalid, "the plan moves slot %d of partition %d from %v, which does not own it", move.Slot, move.Partition, move.From)
		}
		to, ok := s.Members[move.To]
		if !ok || !to.Placed || to.Leaving || to.Gone || slices.Contains(target[p], move.To) {
			return replica.Errorf(replica.KindInvalid, "the plan moves slot %d of partition %d to %v, which can't take it", move.Slot, move.Partition, move.To)
		}
		target[p][move.Slot] = move.To
		s.LastMove++
		m := replica.Move{Number: s.LastMove, Partition: move.Partition, Slot: move.Slot, From: move.From, To: move.To}
		if s.Members[move.From].Gone {
			m.Rebuild, m.Sources = true, s.sources(move.Partition)
			if m.Sources < s.sourcesNeeded() && !c.AcceptDataLoss {
				return replica.Errorf(replica.KindPrecondition, "partition %d would be rebuilt from %d owners, and it takes %d to know of every acknowledged write: bring one of its owners back (%s), or accept that writes are lost", m.Partition, m.Sources, s.sourcesNeeded(), s.names(m.Partition))
			}
		}
		s.Moves = append(s.Moves, m)
	}
	for p, owners := range target {
		for _, id := range owners {
			if m := s.Members[id]; m.Gone || m.Leaving {
				return replica.Errorf(replica.KindInvalid, "the plan leaves partition %d with %s", p, m.Name)
			}
		}
	}
	return nil
}

func (s *State) sourcesNeeded() int { return replica.SourcesNeeded(s.Ring.Replicas()) }

// sources counts the owners of p that have its data.
func (s *State) sources(p ring.PartitionID) int {
	n := 0
	for _, id := range s.Ring.Owners(p) {
		rebuilds := slices.ContainsFunc(s.Moves, func(m replica.Move) bool { return m.Partition == p && m.Rebuild && m.To == id })
		if !s.Members[id].Gone && !rebuilds {
			n++
		}
	}
	return n
}

func (s *State) names(p ring.PartitionID) string {
	out := ""
	for _, id := range s.Ring.Owners(p) {
		if out != "" {
			out += ", "
		}
		out += s.Members[id].Name
	}
	return out
}

// Active are the moves that are to be carried out now: the first of each
// partition.
func (s *State) Active() []replica.Move {
	seen := make(map[ring.PartitionID]bool)
	var out []replica.Move
	for _, m := range s.Moves {
		if !seen[m.Partition] {
			seen[m.Partition] = true
			out = append(out, m)
		}
	}
	return out
}

// beginRebuilds gives the slots of rebuilds that are to begin to their new owners,
// after those that have arrived.
func (s *State) beginRebuilds(arrived []ring.Arrived) error {
	for _, m := range s.Active() {
		slot := ring.Slot{Partition: m.Partition, Index: m.Slot}
		if m.Rebuild && s.Ring.Arrival(slot) != m.Number {
			arrived = append(arrived, ring.Arrived{Slot: slot, Owner: m.To, Number: m.Number})
		}
	}
	if len(arrived) == 0 {
		return nil
	}
	next, err := s.Ring.WithArrivals(s.nextEpoch(), arrived)
	if err != nil {
		return replica.Errorf(replica.KindInvalid, "the moves: %v", err)
	}
	s.Ring = next
	return nil
}

func (s *State) finishMoves(c FinishMoves) error {
	active := make(map[uint64]replica.Move)
	for _, m := range s.Active() {
		active[m.Number] = m
	}
	finished := make(map[uint64]bool)
	var arrived []ring.Arrived
	for _, number := range c.Numbers {
		m, ok := active[number]
		if !ok || finished[number] {
			continue
		}
		finished[number] = true
		if !m.Rebuild {
			arrived = append(arrived, ring.Arrived{Slot: ring.Slot{Partition: m.Partition, Index: m.Slot}, Owner: m.To, Number: number})
		}
	}
	if len(finished) == 0 {
		return replica.Errorf(replica.KindPrecondition, "none of the %d moves is under way", len(c.Numbers))
	}
	s.Moves = slices.DeleteFunc(s.Moves, func(m replica.Move) bool { return finished[m.Number] })
	if err := s.beginRebuilds(arrived); err != nil {
		return err
	}
	s.retireGone()
	return nil
}

func (s *State) cancelMoves() error {
	before := len(s.Moves)
	s.Moves = slices.DeleteFunc(s.Moves, func(m replica.Move) bool { return !m.Rebuild })
	if len(s.Moves) == before {
		return replica.Errorf(replica.KindPrecondition, "no move is under way that can be turned back")
	}
	s.Revision++
	// Who was leaving and still owns something stays.
	for id, m := range s.Members {
		if m.Leaving && s.concerns(id) {
			m.Leaving = false
			s.Members[id] = m
		}
	}
	return s.beginRebuilds(nil)
}

// concerns reports whether a member owns a slot or is to get one.
func (s *State) concerns(id ring.MemberID) bool {
	for p := range s.Ring.Partitions() {
		if _, ok := s.Ring.SlotOf(ring.PartitionID(p), id); ok {
			return true
		}
	}
	return slices.ContainsFunc(s.Moves, func(m replica.Move) bool { return m.To == id })
}

// retireGone takes out the members that are gone for good once nothing of theirs
// is left to be rebuilt.
func (s *State) retireGone() {
	for id, m := range s.Members {
		if m.Gone && !s.concerns(id) {
			s.retire(id)
		}
	}
}

// checkMoves returns an error if an invariant of the moves does not hold.
func (s *State) checkMoves() error {
	at := s.Target()
	last := uint64(0)
	if len(s.Moves) > 0 && at == nil {
		return fmt.Errorf("cluster: the state has moves, but no owners")
	}
	for _, m := range s.Moves {
		if m.Number <= last || m.Number > s.LastMove {
			return fmt.Errorf("cluster: the state has move %d after %d, and %d is the last", m.Number, last, s.LastMove)
		}
		last = m.Number
		if int(m.Partition) >= len(at) || m.Slot < 0 || m.Slot >= s.Ring.Replicas() {
			return fmt.Errorf("cluster: move %d is of slot %d of partition %d", m.Number, m.Slot, m.Partition)
		}
		if _, ok := s.Members[m.To]; !ok {
			return fmt.Errorf("cluster: move %d is to %v, which is no member", m.Number, m.To)
		}
	}
	return nil
}

// Planned is what a commit of what is staged would be made from: the state with
// the staged changes of its members, and a ring whose moves have all come to their
// end.
func (s *State) Planned() (*State, error) {
	next := s.clone()
	next.carryOut()
	if !next.Ring.HasOwners() {
		return next, nil
	}
	next.dropMovesOfGone()
	r, err := next.Ring.WithSlots(next.nextEpoch(), next.Target())
	if err != nil {
		return nil, err
	}
	next.Ring, next.Moves = r, nil
	return next, nil
}

// Candidates are the members that a plan may give slots to.
func (s *State) Candidates() []ring.Member {
	var out []ring.Member
	for _, m := range s.placed() {
		out = append(out, ring.Member{ID: m.ID, Zone: m.Zone, Weight: m.Weight})
	}
	return out
}
