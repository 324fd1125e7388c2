package cluster

import (
	"slices"
	"strings"
	"testing"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// able is s with members that all speak and can do what this release does.
func able(s *State) *State {
	next := s.clone()
	for id, m := range next.Members {
		m.Wire, m.Capabilities = 3, CapabilitiesOf(3)
		next.Members[id] = m
	}
	return next
}

// restarts has member n start again, with a release that speaks a version.
func restarts(s *State, n byte, wire uint32) Command {
	c := start(n, s.Members[memberID(n)].Starts, "again")
	c.StartMember.Wire, c.StartMember.Capabilities = wire, CapabilitiesOf(wire)
	return c
}

// moving has three owners, and a fourth member that is to get a slot of the first.
func moving(t *testing.T) (before *State, stage, commits Command) {
	t.Helper()
	s := mustApply(t, firstState(t), add(2), add(3))
	c := CommitPlan{Epoch: s.Ring.Epoch(), Revision: s.Revision}
	for range s.Ring.Partitions() {
		c.Slots = append(c.Slots, []ring.MemberID{memberID(1), memberID(2), memberID(3)})
	}
	s = able(mustApply(t, s, Command{CommitPlan: &c}, add(4)))
	stage = Command{Stage: &Stage{map[ring.MemberID]Change{memberID(4): {Join: true}}}}
	staged := mustApply(t, s, stage)
	plan := CommitPlan{Epoch: staged.Ring.Epoch(), Revision: staged.Revision}
	plan.Moves = slices.Grow(plan.Moves, 1)[:1]
	m := &plan.Moves[0]
	m.Partition, m.Slot, m.From, m.To = 0, 0, memberID(1), memberID(4)
	return s, stage, Command{CommitPlan: &plan}
}

// The cluster speaks what its members all do, and does what they all can.
func TestWireOfTheCluster(t *testing.T) {
	s := mustApply(t, firstState(t), add(2))
	expect := func(s *State, wire uint32, moves bool) {
		t.Helper()
		if s.Wire() != wire || s.Has(CapabilityMoves) != moves {
			t.Errorf("it speaks %d and has moves: %v; want %d, %v", s.Wire(), s.Has(CapabilityMoves), wire, moves)
		}
	}
	expect(s, 2, false) // nobody said anything
	s = mustApply(t, s, restarts(s, 1, 3))
	expect(s, 2, false)
	s = mustApply(t, s, restarts(s, 2, 9)) // of a later release
	expect(s, 3, true)
	expect(mustApply(t, s, restarts(s, 1, 1)), 1, false)
	expect(mustApply(t, s, add(3)), 2, false)
	joins := add(3)
	joins.AddMember.Member.Wire, joins.AddMember.Member.Capabilities = 3, "moves"
	expect(mustApply(t, s, joins), 3, true)
	gone := mustApply(t, s, add(3))
	m := gone.Members[memberID(3)]
	m.Gone = true
	gone.Members[memberID(3)] = m
	expect(gone, 3, true)
	if again, err := DecodeState(encoded(t, s)); err != nil {
		t.Error(err)
	} else {
		expect(again, 3, true)
	}
}

// What a member lacks is refused, and says which.
func TestRefusesWhatAMemberLacks(t *testing.T) {
	s, stage, commits := moving(t)
	staged := mustApply(t, s, stage)
	under := mustApply(t, staged, commits)
	for name, c := range map[string]struct {
		before *State
		c      Command
	}{
		"stage":    {s, stage},
		"abort":    {staged, Command{Unstage: new(Unstage)}},
		"commit":   {staged, commits},
		"lossy":    {s, Command{CommitPlan: &CommitPlan{Epoch: s.Ring.Epoch(), Revision: s.Revision, AcceptDataLoss: true}}},
		"finished": {under, Command{FinishMoves: &FinishMoves{Numbers: []uint64{1}}}},
		"cancel":   {under, Command{CancelMoves: new(CancelMoves)}},
	} {
		if _, err := c.before.Apply(c.c); err != nil {
			t.Errorf("%s, which all can do: %v", name, err)
		}
		lacking := c.before.clone()
		for _, n := range []byte{2, 3} {
			m := lacking.Members[memberID(n)]
			m.Wire, m.Capabilities = 2, "later"
			lacking.Members[memberID(n)] = m
		}
		next, err := lacking.Apply(c.c)
		if replica.KindOf(err) != replica.KindPrecondition || !strings.Contains(err.Error(), "m2 (wire version 2), m3 (wire version 2)") || !strings.Contains(err.Error(), "upgrade") || next != lacking {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The first ring, and what has nothing to do with moves, takes nothing.
	first := mustApply(t, firstState(t), add(2), add(3))
	mustApply(t, first, commit(t, first), Command{CreateBucketType: bucketType("b", 2)})
}

func TestErrorNamesFewMembers(t *testing.T) {
	s := firstState(t)
	for n := byte(2); n <= 9; n++ {
		s = mustApply(t, s, add(n))
	}
	if err := s.need(CapabilityMoves); !strings.Contains(err.Error(), "m5 (wire version 2), 4 more") || strings.Contains(err.Error(), "m6") {
		t.Error(err)
	}
}

// While slots are moved, no member goes back to a release that can't do it.
func TestNoDowngradeDuringMoves(t *testing.T) {
	s, stage, commits := moving(t)
	mustApply(t, s, restarts(s, 2, 2))
	s = mustApply(t, s, stage, commits)
	mustApply(t, s, restarts(s, 2, 3))
	joins := add(5)
	joins.AddMember.Member.Wire = 2
	for name, c := range map[string]Command{"start": restarts(s, 2, 2), "start of one that says nothing": start(2, 0, "x"), "join": joins} {
		if _, err := s.Apply(c); replica.KindOf(err) != replica.KindPrecondition || !strings.Contains(err.Error(), "slots are being moved") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCapabilities(t *testing.T) {
	if got := CapabilitiesOf(2); got != "" || got.Names() != nil {
		t.Errorf("version 2 has %q", got)
	}
	if got := CapabilitiesOf(3); got != "copies,moves" || !got.has(CapabilityMoves) {
		t.Errorf("version 3 has %q", got)
	}
	for c, good := range map[Capabilities]bool{
		"": true, "moves": true, "a,moves": true, "later,moves,z": true,
		",": false, "moves,": false, "moves,a": false, "a,a": false, Capabilities(strings.Repeat("x", capabilitiesBytesMax+1)): false,
	} {
		if err := c.validate(); (err == nil) != good {
			t.Errorf("%.20q: %v", c, err)
		}
	}
	s := firstState(t)
	odd := start(1, 0, "x")
	odd.StartMember.Capabilities = "b,a"
	if _, err := s.Apply(odd); replica.KindOf(err) != replica.KindInvalid {
		t.Errorf("a start with capabilities out of order: %v", err)
	}
}
