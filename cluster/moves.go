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
	Moves []PlannedMove `json:"moves,omitempty"`
	// AcceptDataLoss allows rebuilds from fewer owners than every acknowledged write
	// is sure to be known to.
	AcceptDataLoss bool `json:"accept_data_loss,omitempty"`
}

// PlannedMove is ring.Move as it stands in the log.
type PlannedMove struct {
	Partition ring.PartitionID `json:"partition"`
	Slot      int              `json:"slot"`
	From      ring.MemberID    `json:"from"`
	To        ring.MemberID    `json:"to"`
}

// CommitOf is the commit of a placement that was planned from what s.Planned says.
func (s *State) CommitOf(p ring.Placement, acceptDataLoss bool) CommitPlan {
	c := CommitPlan{Epoch: s.Ring.Epoch(), Revision: s.Revision, AcceptDataLoss: acceptDataLoss}
	if !s.Ring.HasOwners() {
		c.Slots = p.Slots
		return c
	}
	for _, m := range p.Moves {
		c.Moves = append(c.Moves, PlannedMove(m))
	}
	return c
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
	if c.Slots != nil && s.Ring.HasOwners() {
		// Logs of releases without moves have such commits: they changed nothing.
		return s.sameSlots(c.Slots)
	}
	s.carryOut()
	s.Revision++
	if !s.Ring.HasOwners() {
		return s.firstCommit(c)
	}
	before := len(s.Moves)
	s.dropMovesOfGone()
	if err := s.addMoves(c.Moves); err != nil {
		return err
	}
	s.MovesTotal += len(s.Moves) - before
	if err := s.boundSources(c.AcceptDataLoss); err != nil {
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

func (s *State) sameSlots(slots [][]ring.MemberID) error {
	for p := range s.Ring.Partitions() {
		if len(slots) != s.Ring.Partitions() || !slices.Equal(slots[p], s.Ring.Owners(ring.PartitionID(p))) {
			return replica.Errorf(replica.KindPrecondition, "the partitions have owners: slots are not given again, but moved")
		}
	}
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
	slots := s.slots()
	for _, m := range s.Moves {
		slots[m.Partition][m.Slot] = m.To
	}
	return slots
}

// slots are the ring's, for the caller to change.
func (s *State) slots() [][]ring.MemberID {
	slots := make([][]ring.MemberID, s.Ring.Partitions())
	for p := range slots {
		slots[p] = slices.Clone(s.Ring.Owners(ring.PartitionID(p)))
	}
	return slots
}

// begun reports whether the slot of a rebuild is its new owner's already.
func (s *State) begun(m replica.Move) bool {
	return m.Rebuild && s.Ring.Arrival(ring.Slot{Partition: m.Partition, Index: m.Slot}) == m.Number
}

// possible are those of the moves that keep lets stay which can still be made, each
// after those before it: one that builds on a move that does not stay can't.
func (s *State) possible(keep func(replica.Move) bool) []replica.Move {
	at := s.slots()
	var out []replica.Move
	for _, m := range s.Moves {
		owners := at[m.Partition]
		if keep(m) && (s.begun(m) || (owners[m.Slot] == m.From && !slices.Contains(owners, m.To))) {
			owners[m.Slot] = m.To
			out = append(out, m)
		}
	}
	return out
}

// dropMovesOfGone takes back moves that can't come to their end, because one of
// their members is gone for good.
func (s *State) dropMovesOfGone() {
	gone := func(id ring.MemberID) bool { return s.Members[id].Gone }
	s.Moves = s.possible(func(m replica.Move) bool { return !gone(m.To) && (m.Rebuild || !gone(m.From)) })
}

// addMoves appends the moves of a plan.
func (s *State) addMoves(moves []PlannedMove) error {
	target := s.Target()
	for _, move := range moves {
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
			m.Rebuild, m.Sources = true, replica.AllSources
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

// boundSources bounds, of each rebuild that has not come to its end, how many owners
// it waits for: to those that there are, if a person accepts that they are too few.
func (s *State) boundSources(acceptDataLoss bool) error {
	for i, m := range s.Moves {
		if !m.Rebuild {
			continue
		}
		short := s.tooFewSources(m)
		if short == nil {
			continue
		}
		if !acceptDataLoss {
			return short.error(s, m)
		}
		s.Moves[i].Sources = min(m.Sources, short.bound)
	}
	return nil
}

// shortage says that a rebuild may miss acknowledged writes: those of bucket types
// of this n, of whose other owners too few have their data.
type shortage struct {
	n, have int
	// bound is how many there are of all the partition's others.
	bound int
}

// tooFewSources returns nil if every write that a majority acknowledged is known to
// an owner that the rebuild m can ask, whatever the bucket type.
func (s *State) tooFewSources(m replica.Move) *shortage {
	// has[i]: the owner of slot i has what it acknowledged.
	owners := s.Ring.Owners(m.Partition)
	has := make([]bool, len(owners))
	for i, id := range owners {
		has[i] = i != m.Slot && !s.Members[id].Gone
	}
	for _, other := range s.Moves {
		if other.Partition == m.Partition && s.begun(other) {
			has[other.Slot] = false
		}
	}
	bound := 0
	for _, ok := range has {
		if ok {
			bound++
		}
	}
	var out *shortage
	for _, n := range s.classes() {
		if n <= m.Slot {
			continue
		}
		have := 0
		for _, ok := range has[:n] {
			if ok {
				have++
			}
		}
		if have < n-n/2 {
			out = &shortage{n: n, have: have, bound: bound}
		}
	}
	return out
}

func (e *shortage) error(s *State, m replica.Move) error {
	why := fmt.Sprintf("%d other owners have them all, and it takes %d to be sure", e.have, e.n-e.n/2)
	if e.n == 1 {
		why = "no other member has them"
	}
	return replica.Errorf(replica.KindPrecondition, "acknowledged writes of partition %d to bucket types of n=%d may be lost with %s: %s; bring one of its members back instead (ringctl abort), wait for what is being rebuilt, or accept it (ringctl commit --accept-data-loss)",
		m.Partition, e.n, s.nameOf(m.From), why)
}

// classes are the n of the bucket types, and that of the ring, in order.
func (s *State) classes() []int {
	out := []int{s.Ring.Replicas()}
	for _, t := range s.BucketTypes {
		if t.N >= 1 {
			out = append(out, min(t.N, s.Ring.Replicas()))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// nameOf returns a member's name, or its id if it was removed.
func (s *State) nameOf(id ring.MemberID) string {
	if m, ok := s.Members[id]; ok {
		return m.Name
	}
	return id.String()
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
		if m.Rebuild && !s.begun(m) {
			arrived = append(arrived, ring.Arrived{Slot: ring.Slot{Partition: m.Partition, Index: m.Slot}, Owner: m.To, Number: m.Number})
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
	for number := range finished {
		// A plan that gives this member up takes back what is under way to it, and
		// rebuilds what has arrived.
		if s.Staged[active[number].To].Remove {
			s.Revision++
			break
		}
	}
	s.Moves = slices.DeleteFunc(s.Moves, func(m replica.Move) bool { return finished[m.Number] })
	if err := s.beginRebuilds(arrived); err != nil {
		return err
	}
	s.retireGone()
	return nil
}

func (s *State) cancelMoves() error {
	before := s.Moves
	s.Moves = s.withoutMoves()
	if len(s.Moves) == len(before) {
		return replica.Errorf(replica.KindPrecondition, "no move is under way that can be turned back")
	}
	s.Revision++
	s.MovesTotal -= len(before) - len(s.Moves)
	for id, m := range s.Members {
		switch {
		case m.Leaving && s.concerns(id):
			// Who was leaving and still owns something stays.
			m.Leaving = false
		case m.Placed && !m.Leaving && !m.Gone && !s.concerns(id) && slices.ContainsFunc(before, func(move replica.Move) bool { return move.To == id }):
			// Who was joining and has got nothing yet has still to join.
			m.Placed = false
		}
		s.Members[id] = m
	}
	return s.beginRebuilds(nil)
}

// withoutMoves are the rebuilds, and those moves before them without which one of
// them could not be made.
func (s *State) withoutMoves() []replica.Move {
	// needed has for a partition the last move that such a rebuild needs.
	needed := make(map[ring.PartitionID]uint64)
	for {
		out := s.possible(func(m replica.Move) bool { return m.Rebuild || m.Number < needed[m.Partition] })
		stays := make(map[uint64]bool)
		for _, m := range out {
			stays[m.Number] = true
		}
		whole := true
		for _, m := range s.Moves {
			if m.Rebuild && !stays[m.Number] && m.Number > needed[m.Partition] {
				needed[m.Partition], whole = m.Number, false
			}
		}
		if whole {
			return out
		}
	}
}

// concerns reports whether a member owns a slot or is to get one, or one of its
// slots is still to be rebuilt.
func (s *State) concerns(id ring.MemberID) bool {
	for p := range s.Ring.Partitions() {
		if _, ok := s.Ring.SlotOf(ring.PartitionID(p), id); ok {
			return true
		}
	}
	return slices.ContainsFunc(s.Moves, func(m replica.Move) bool { return m.To == id || (m.Rebuild && m.From == id) })
}

// retireGone takes out the members that are gone for good once all that was theirs
// is rebuilt.
func (s *State) retireGone() {
	for id, m := range s.Members {
		if m.Gone && !s.concerns(id) {
			s.retire(id)
		}
	}
}

// checkMoves returns an error if an invariant of the moves does not hold.
func (s *State) checkMoves() error {
	if len(s.Moves) > 0 && !s.Ring.HasOwners() {
		return fmt.Errorf("cluster: the state has moves, but no owners")
	}
	if s.MovesTotal < len(s.Moves) {
		return fmt.Errorf("cluster: the state has %d moves of %d", len(s.Moves), s.MovesTotal)
	}
	last := uint64(0)
	for _, m := range s.Moves {
		if m.Number <= last || m.Number > s.LastMove {
			return fmt.Errorf("cluster: the state has move %d after %d, and %d is the last", m.Number, last, s.LastMove)
		}
		last = m.Number
		if int(m.Partition) >= s.Ring.Partitions() || m.Slot < 0 || m.Slot >= s.Ring.Replicas() {
			return fmt.Errorf("cluster: move %d is of slot %d of partition %d", m.Number, m.Slot, m.Partition)
		}
		if to, ok := s.Members[m.To]; !ok || to.Gone {
			return fmt.Errorf("cluster: move %d is to %v, which is no member", m.Number, m.To)
		}
	}
	if len(s.Moves) > 0 && len(s.possible(func(replica.Move) bool { return true })) != len(s.Moves) {
		return fmt.Errorf("cluster: the state has moves that can't be made one after the other")
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
