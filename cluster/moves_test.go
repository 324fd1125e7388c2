package cluster

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// ownedState has members 1 to n, of which 1, 2 and 3 own all slots, in this order.
func ownedState(t testing.TB, n byte) *State {
	t.Helper()
	s := firstState(t)
	for i := byte(2); i <= 3; i++ {
		s = mustApply(t, s, add(i))
	}
	c := CommitPlan{Epoch: s.Ring.Epoch(), Revision: s.Revision}
	for range s.Ring.Partitions() {
		c.Slots = append(c.Slots, []ring.MemberID{memberID(1), memberID(2), memberID(3)})
	}
	s = mustApply(t, s, Command{CommitPlan: &c})
	for i := byte(4); i <= n; i++ {
		s = mustApply(t, s, add(i))
	}
	return able(s)
}

func change(n byte, c Change) Command {
	return Command{Stage: &Stage{map[ring.MemberID]Change{memberID(n): c}}}
}

func movesOf(s *State, accept bool, moves ...PlannedMove) Command {
	return Command{CommitPlan: &CommitPlan{Epoch: s.Ring.Epoch(), Revision: s.Revision, Moves: moves, AcceptDataLoss: accept}}
}

func move(p ring.PartitionID, slot int, from, to byte) PlannedMove {
	return PlannedMove{Partition: p, Slot: slot, From: memberID(from), To: memberID(to)}
}

// all moves the slots of a member, of all partitions, to another.
func all(s *State, slot int, from, to byte) []PlannedMove {
	var out []PlannedMove
	for p := range s.Ring.Partitions() {
		out = append(out, move(ring.PartitionID(p), slot, from, to))
	}
	return out
}

func finish(numbers ...uint64) Command { return Command{FinishMoves: &FinishMoves{numbers}} }

func cancel() Command { return Command{CancelMoves: &CancelMoves{}} }

func addAble(n byte) Command {
	c := add(n)
	m := &c.AddMember.Member
	m.Wire, m.Capabilities = wireOfCapability[CapabilityMoves], Capabilities(CapabilityMoves)
	return c
}

func joined(t testing.TB, n byte) *State {
	t.Helper()
	s := ownedState(t, n)
	for i := byte(4); i <= n; i++ {
		s = mustApply(t, s, change(i, Change{Join: true}))
	}
	return mustApply(t, s, movesOf(s, false))
}

// movingState has one of everything: a move, one behind it, a rebuild, and what is
// staged.
func movingState(t testing.TB) *State {
	t.Helper()
	s := joined(t, 6)
	s = mustApply(t, s, movesOf(s, false, move(0, 0, 1, 4), move(0, 1, 2, 5)), change(3, Change{Remove: true}))
	s = mustApply(t, s, movesOf(s, false, all(s, 2, 3, 6)...))
	zone := "east"
	return mustApply(t, s, finish(1), change(5, Change{Leave: true}), change(4, Change{Weight: 3, Zone: &zone}))
}

func owners(s *State, p ring.PartitionID) string {
	out := ""
	for _, id := range s.Ring.Owners(p) {
		out += fmt.Sprint(id[15])
	}
	return out
}

func active(s *State) string {
	var out []string
	for _, m := range s.Active() {
		kind := "move"
		if m.Rebuild {
			kind = "rebuild"
		}
		out = append(out, fmt.Sprintf("%s %d: %d.%d %d>%d", kind, m.Number, m.Partition, m.Slot, m.From[15], m.To[15]))
	}
	return strings.Join(out, ", ")
}

func TestMovesOfAPartitionFollowEachOther(t *testing.T) {
	s := joined(t, 5)
	s = mustApply(t, s, movesOf(s, false, move(0, 0, 1, 4), move(0, 1, 2, 5), move(1, 0, 1, 4)))
	if got := active(s); got != "move 1: 0.0 1>4, move 3: 1.0 1>4" {
		t.Fatalf("under way: %s", got)
	}
	epoch := s.Ring.Epoch()
	for _, numbers := range [][]uint64{nil, {0}, {2}, {9}} {
		if _, err := s.Apply(finish(numbers...)); replica.KindOf(err) != replica.KindPrecondition {
			t.Errorf("finishing %v: %v", numbers, err)
		}
	}
	s = mustApply(t, s, finish(1, 1, 2, 9))
	if got := owners(s, 0); got != "423" || s.Ring.Epoch().Number != epoch.Number+1 {
		t.Errorf("owners %s at epoch %v", got, s.Ring.Epoch())
	}
	if got := s.Ring.Arrival(ring.Slot{Partition: 0, Index: 0}); got != 1 {
		t.Errorf("it arrived by move %d", got)
	}
	if _, err := s.Apply(finish(1)); err == nil {
		t.Error("a move that has come to its end was taken for one under way")
	}
	if got := active(s); got != "move 2: 0.1 2>5, move 3: 1.0 1>4" {
		t.Errorf("under way: %s", got)
	}
	if got := s.MovesTotal - len(s.Moves); s.MovesTotal != 3 || got != 1 {
		t.Errorf("%d of %d are done", got, s.MovesTotal)
	}
	s = mustApply(t, s, finish(3, 2))
	if got := owners(s, 0) + " " + owners(s, 1); got != "453 423" || len(s.Moves) != 0 {
		t.Errorf("at the end: %s, %d moves left", got, len(s.Moves))
	}
	if s.Revision != mustApply(t, s, add(9)).Revision {
		t.Error("a member without slots changes the plan")
	}
}

func TestLeaving(t *testing.T) {
	s := joined(t, 4)
	s = mustApply(t, s, change(3, Change{Leave: true}))
	s = mustApply(t, s, movesOf(s, false, all(s, 2, 3, 4)...))
	id := memberID(3)
	if m := s.Members[id]; !m.Leaving || !m.Placed {
		t.Fatalf("it is %+v", m)
	}
	if _, err := s.Apply(Command{RemoveMember: &RemoveMember{id}}); replica.KindOf(err) != replica.KindPrecondition {
		t.Errorf("a member with slots was removed: %v", err)
	}
	s = mustApply(t, s, finish(1, 2, 3, 4, 5, 6, 7))
	back := mustApply(t, s, cancel())
	if m := back.Members[id]; m.Leaving || owners(back, 7) != "123" || owners(back, 0) != "124" || len(back.Moves) != 0 {
		t.Errorf("after cancel: %+v, %s, %s", m, owners(back, 7), owners(back, 0))
	}
	if _, err := back.Apply(cancel()); replica.KindOf(err) != replica.KindPrecondition {
		t.Errorf("a second cancel: %v", err)
	}
	s = mustApply(t, s, finish(8))
	revision := s.Revision
	s = mustApply(t, s, Command{RemoveMember: &RemoveMember{id}})
	if !s.Removed[id] || !s.Left[id] || !s.IsOut(id) || s.Revision != revision {
		t.Errorf("it left: removed %v, left %v, revision %d to %d", s.Removed[id], s.Left[id], revision, s.Revision)
	}
	_, err := s.Apply(start(3, 0, "x"))
	mustSay(t, err, "left this cluster", "another name")
}

func TestCancelGivesBack(t *testing.T) {
	s := ownedState(t, 5)
	s = mustApply(t, s, change(4, Change{Join: true}), change(5, Change{Join: true}))
	s = mustApply(t, s, movesOf(s, false, move(0, 0, 1, 4), move(1, 0, 1, 5)))
	s = mustApply(t, s, finish(1))
	s = mustApply(t, s, cancel())
	if !s.Members[memberID(4)].Placed || s.Members[memberID(5)].Placed || owners(s, 0) != "423" || owners(s, 1) != "123" {
		t.Errorf("4 has a slot, and 5 has none: %+v, %+v", s.Members[memberID(4)], s.Members[memberID(5)])
	}
}

// TestCancelKeepsWhatRebuildsNeed: a rebuild at a member that has first to give
// away another slot of the partition.
func TestCancelKeepsWhatRebuildsNeed(t *testing.T) {
	s := joined(t, 5)
	s = mustApply(t, s, movesOf(s, false, move(0, 0, 1, 4)), change(3, Change{Remove: true}))
	s = mustApply(t, s, movesOf(s, false, append(all(s, 2, 3, 5)[1:], move(0, 2, 3, 1), move(0, 1, 2, 5))...))
	if got := active(s); !strings.HasPrefix(got, "move 1: 0.0 1>4, ") {
		t.Fatalf("under way: %s", got)
	}
	s = mustApply(t, s, cancel())
	if got := active(s); !strings.HasPrefix(got, "move 1: 0.0 1>4, ") || slices.ContainsFunc(s.Moves, func(m replica.Move) bool { return m.Number == 10 }) {
		t.Fatalf("after cancel: %v", s.Moves)
	}
	s = mustApply(t, s, finish(1))
	if got := owners(s, 0); got != "421" {
		t.Errorf("owners %s", got)
	}
	if err := s.check(); err != nil {
		t.Error(err)
	}
}

// TestGoneTargetTakesBack: what builds on a move that can't come to its end goes
// with it, in other slots too.
func TestGoneTargetTakesBack(t *testing.T) {
	s := joined(t, 5)
	s = mustApply(t, s, movesOf(s, false, move(0, 0, 1, 4)))
	s = mustApply(t, s, movesOf(s, false, move(0, 1, 2, 1)), change(4, Change{Remove: true}))
	planned, err := s.Planned()
	if err != nil {
		t.Fatal(err)
	}
	if got := owners(planned, 0); got != "123" {
		t.Errorf("planned from %s", got)
	}
	s = mustApply(t, s, movesOf(s, false))
	if len(s.Moves) != 0 || owners(s, 0) != "123" || !s.Removed[memberID(4)] {
		t.Errorf("moves %v, owners %s, removed %v", s.Moves, owners(s, 0), s.Removed)
	}
}

func TestRemoveRebuilds(t *testing.T) {
	s := joined(t, 5)
	s = mustApply(t, s, change(1, Change{Remove: true}))
	s = mustApply(t, s, movesOf(s, false, all(s, 0, 1, 4)...))
	id := memberID(1)
	if !s.Members[id].Gone || !s.IsOut(id) || owners(s, 0) != "423" || s.Moves[0].Sources != replica.AllSources {
		t.Fatalf("%+v, owners %s, %+v", s.Members[id], owners(s, 0), s.Moves[0])
	}
	_, err := s.Apply(start(1, 0, "x"))
	mustSay(t, err, "was removed", "another name")
	_, err = s.Apply(add(1))
	mustSay(t, err, "was removed")
	if _, err := s.Apply(cancel()); replica.KindOf(err) != replica.KindPrecondition {
		t.Errorf("a rebuild was turned back: %v", err)
	}

	// Another one of the same partitions, before they are rebuilt.
	second := mustApply(t, s, change(2, Change{Remove: true}))
	refused := movesOf(second, false, all(second, 1, 2, 5)...)
	_, err = second.Apply(refused)
	mustSay(t, err, "may be lost with m1", "1 other owners", "takes 2", "--accept-data-loss")
	accepted := mustApply(t, second, movesOf(second, true, all(second, 1, 2, 5)...))
	for _, m := range accepted.Moves {
		if m.Sources != 1 {
			t.Errorf("a rebuild waits for %d owners, and there is one: %+v", m.Sources, m)
		}
	}
	if got := owners(accepted, 0); got != "423" {
		t.Errorf("two rebuilds of a partition at once: owners %s", got)
	}
	accepted = mustApply(t, accepted, finish(1))
	if got := owners(accepted, 0); got != "453" {
		t.Errorf("owners %s", got)
	}

	// Once they are rebuilt, it is refused no more.
	s = mustApply(t, s, finish(1, 2, 3, 4, 5, 6, 7))
	if s.Removed[id] {
		t.Error("it was removed before all was rebuilt")
	}
	s = mustApply(t, s, finish(8))
	if !s.Removed[id] || s.Left[id] {
		t.Errorf("removed %v, left %v", s.Removed[id], s.Left[id])
	}
	s = mustApply(t, s, change(2, Change{Remove: true}))
	mustApply(t, s, movesOf(s, false, all(s, 1, 2, 5)...))
}

func TestRemoveRefusedByBucketTypes(t *testing.T) {
	s := mustApply(t, joined(t, 4), Command{CreateBucketType: bucketType("once", 1)})
	first := mustApply(t, s, change(1, Change{Remove: true}))
	_, err := first.Apply(movesOf(first, false, all(first, 0, 1, 4)...))
	mustSay(t, err, "n=1", "no other member has them")
	forced := mustApply(t, first, movesOf(first, true, all(first, 0, 1, 4)...))
	if forced.Moves[0].Sources != 2 {
		t.Errorf("what n=1 lost keeps the others from being asked: %d sources", forced.Moves[0].Sources)
	}
	last := mustApply(t, s, change(3, Change{Remove: true}))
	mustApply(t, last, movesOf(last, false, all(last, 2, 3, 4)...))
}

// TestBucketTypesDoNotLessenSources: that nobody else has the keys of a bucket type is
// no reason not to wait for who has those of another.
func TestBucketTypesDoNotLessenSources(t *testing.T) {
	s := joined(t, 5)
	pair := replica.NewBucketType("pair", 2)
	s = mustApply(t, s, Command{CreateBucketType: &pair}, change(1, Change{Remove: true}), change(2, Change{Remove: true}))
	s = mustApply(t, s, movesOf(s, true, append(all(s, 0, 1, 4), all(s, 1, 2, 5)...)...))
	for _, m := range s.Moves {
		if m.Sources != 1 {
			t.Fatalf("a rebuild waits for %d owners, and there is one: %+v", m.Sources, m)
		}
	}
}

func TestStageRefuses(t *testing.T) {
	s := joined(t, 5)
	s = mustApply(t, s, addAble(6), change(4, Change{Leave: true}))
	zone, long := "east", strings.Repeat("z", memberZoneBytesMax+1)
	gateway := someMember(7)
	gateway.Role = RoleGateway
	s = able(mustApply(t, s, Command{AddMember: &AddMember{gateway}}))
	leaving := mustApply(t, s, movesOf(s, false))
	gone := mustApply(t, s, change(1, Change{Remove: true}))
	gone = mustApply(t, gone, movesOf(gone, false, all(gone, 0, 1, 5)...))
	stale, early := movesOf(s, false), movesOf(s, false)
	stale.CommitPlan.Revision--
	early.CommitPlan.Epoch.Number--
	for name, c := range map[string]struct {
		s    *State
		c    Command
		kind replica.Kind
		want string
	}{
		"nothing":             {s, Command{Stage: &Stage{}}, replica.KindInvalid, "none"},
		"says nothing":        {s, change(1, Change{}), replica.KindInvalid, "m1 says nothing"},
		"no member":           {s, change(9, Change{Join: true}), replica.KindNotFound, "not in this cluster"},
		"joins again":         {s, change(1, Change{Join: true}), replica.KindPrecondition, "joined already"},
		"two at once":         {s, change(6, Change{Join: true, Leave: true}), replica.KindPrecondition, "only one of"},
		"leaves, is removed":  {s, change(4, Change{Remove: true}), replica.KindPrecondition, "ringctl abort"},
		"gateway":             {s, change(7, Change{Join: true}), replica.KindPrecondition, "gateway"},
		"weight":              {s, change(1, Change{Weight: memberWeightMax + 1}), replica.KindInvalid, "1 to 1000"},
		"negative weight":     {s, change(1, Change{Weight: -1}), replica.KindInvalid, "weight"},
		"zone":                {s, change(1, Change{Zone: &long}), replica.KindInvalid, "zone"},
		"zone without slots":  {s, change(6, Change{Zone: &zone}), replica.KindPrecondition, "ringctl join m6"},
		"is leaving":          {leaving, change(4, Change{Weight: 2}), replica.KindPrecondition, "ringctl cancel"},
		"is gone":             {gone, change(1, Change{Leave: true}), replica.KindPrecondition, "can't come back"},
		"nothing staged":      {leaving, Command{Unstage: &Unstage{}}, replica.KindPrecondition, "nothing is staged"},
		"stale revision":      {s, stale, replica.KindAborted, "plan again"},
		"stale epoch":         {s, early, replica.KindAborted, "plan again"},
		"not its slot":        {s, movesOf(s, false, move(0, 0, 2, 5)), replica.KindInvalid, "does not own"},
		"no such slot":        {s, movesOf(s, false, move(0, 3, 2, 5)), replica.KindInvalid, "does not own"},
		"no such partition":   {s, movesOf(s, false, move(8, 0, 1, 5)), replica.KindInvalid, "does not own"},
		"owns it already":     {s, movesOf(s, false, move(0, 0, 1, 2)), replica.KindInvalid, "can't take it"},
		"to one that leaves":  {s, movesOf(s, false, move(0, 0, 1, 4)), replica.KindInvalid, "can't take it"},
		"to one not joined":   {s, movesOf(s, false, move(0, 0, 1, 6)), replica.KindInvalid, "can't take it"},
		"removed with slots":  {s, Command{RemoveMember: &RemoveMember{memberID(1)}}, replica.KindPrecondition, "leave first"},
		"removed, no member":  {s, Command{RemoveMember: &RemoveMember{memberID(9)}}, replica.KindNotFound, ""},
		"removed, last one":   {able(firstState(t)), Command{RemoveMember: &RemoveMember{memberID(1)}}, replica.KindPrecondition, "last one"},
		"cancel with no move": {s, cancel(), replica.KindPrecondition, "no move"},
	} {
		next, err := c.s.Apply(c.c)
		if err == nil || replica.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %v that says %q", name, err, c.kind, c.want)
		}
		if next != c.s {
			t.Errorf("%s: a refused command changed the state", name)
		}
	}
	kept := mustApply(t, s, change(1, Change{Leave: true}))
	_, err := kept.Apply(movesOf(kept, false))
	mustSay(t, err, "leaves partition 0 with m1")
	if got := mustApply(t, s, Command{Unstage: &Unstage{}}); len(got.Staged) != 0 || got.Revision == s.Revision {
		t.Errorf("after unstage: %v, revision %d", got.Staged, got.Revision)
	}
}

// TestRevision: whatever changes the outcome of a plan changes it.
func TestRevision(t *testing.T) {
	s := joined(t, 5)
	s = mustApply(t, s, addAble(6))
	same := mustApply(t, s, start(6, 0, "x"))
	if same.Revision != s.Revision {
		t.Error("the start of a member that is in no plan changes the plan")
	}
	staged := mustApply(t, s, change(6, Change{Join: true}))
	heavier := start(6, 0, "x")
	heavier.StartMember.Weight = 5
	for name, got := range map[string]*State{
		"staging":                    staged,
		"weight of one to join":      mustApply(t, staged, heavier),
		"one to join is removed":     mustApply(t, staged, Command{RemoveMember: &RemoveMember{memberID(6)}}),
		"one without slots, removed": mustApply(t, s, Command{RemoveMember: &RemoveMember{memberID(5)}}),
	} {
		from := s
		if got != staged && len(got.Staged) > 0 || got.Removed[memberID(6)] {
			from = staged
		}
		if got.Revision == from.Revision {
			t.Errorf("%s: the revision stays %d", name, got.Revision)
		}
	}
	doomed := mustApply(t, s, movesOf(s, false, move(0, 0, 1, 4), move(1, 0, 1, 5)))
	doomed = mustApply(t, doomed, change(4, Change{Remove: true}))
	if got := mustApply(t, doomed, finish(2)); got.Revision != doomed.Revision {
		t.Error("another's move changed the plan")
	}
	if got := mustApply(t, doomed, finish(1)); got.Revision == doomed.Revision {
		t.Error("a slot that came to a member to be removed did not change the plan")
	}
}

// TestMovesProperties: whatever is staged, committed, finished and cancelled, the
// state keeps its invariants, and whoever applies it comes to the same bytes.
func TestMovesProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := ownedState(t, 7)
		saved := s
		for range rapid.IntRange(1, 60).Draw(rt, "commands") {
			c := drawCommand(rt, s)
			raw, err := c.Encode()
			if err != nil {
				rt.Fatal(err)
			}
			before := encoded(t, s)
			next, err := s.Apply(c)
			if !bytes.Equal(before, encoded(t, s)) {
				rt.Fatalf("%s changed the state that it was applied to", raw)
			}
			if checkErr := next.check(); checkErr != nil {
				rt.Fatalf("after %s: %v", raw, checkErr)
			}
			decoded, decodeErr := DecodeCommand(raw)
			if decodeErr != nil {
				rt.Fatal(decodeErr)
			}
			again, decodeErr := DecodeState(encoded(t, saved))
			if decodeErr != nil {
				rt.Fatal(decodeErr)
			}
			other, otherErr := again.Apply(decoded)
			if fmt.Sprint(err) != fmt.Sprint(otherErr) || !bytes.Equal(encoded(t, next), encoded(t, other)) {
				rt.Fatalf("%s: %v and %v, or states that differ", raw, err, otherErr)
			}
			holds(rt, s, next, c, err)
			s, saved = next, other
		}
		settles(rt, t, s)
	})
}

// drawCommand is one of those that change who owns what; its plans are any that can
// be made, not the planner's.
func drawCommand(rt *rapid.T, s *State) Command {
	n := byte(rapid.IntRange(1, 8).Draw(rt, "member"))
	switch rapid.IntRange(0, 9).Draw(rt, "command") {
	case 0, 1, 2:
		zone := "z"
		return change(n, []Change{{Join: true}, {Leave: true}, {Remove: true}, {Weight: 2}, {Zone: &zone}}[rapid.IntRange(0, 4).Draw(rt, "change")])
	case 3, 4:
		return drawPlan(rt, s)
	case 5:
		return []Command{{Unstage: &Unstage{}}, cancel(), addAble(n)}[rapid.IntRange(0, 2).Draw(rt, "back")]
	case 6:
		return Command{RemoveMember: &RemoveMember{memberID(n)}}
	}
	if len(s.Moves) == 0 {
		return finish(1)
	}
	return finish(s.Moves[rapid.IntRange(0, len(s.Moves)-1).Draw(rt, "finished")].Number)
}

func drawPlan(rt *rapid.T, s *State) Command {
	planned, err := s.Planned()
	if err != nil {
		rt.Fatal(err)
	}
	c := movesOf(s, rapid.Bool().Draw(rt, "accept"))
	able := make(map[ring.MemberID]bool)
	for _, m := range planned.Candidates() {
		able[m.ID] = true
	}
	for p := range planned.Ring.Partitions() {
		row := slices.Clone(planned.Ring.Owners(ring.PartitionID(p)))
		for slot, from := range row {
			if able[from] && rapid.IntRange(0, 9).Draw(rt, "stays") > 0 {
				continue
			}
			for _, m := range planned.Candidates() {
				if !slices.Contains(row, m.ID) {
					c.CommitPlan.Moves = append(c.CommitPlan.Moves, PlannedMove{ring.PartitionID(p), slot, from, m.ID})
					row[slot] = m.ID
					break
				}
			}
		}
	}
	return c
}

// holds checks what a step must not do.
func holds(rt *rapid.T, s, next *State, c Command, err error) {
	if err != nil {
		if next != s {
			rt.Fatal("a refused command changed the state")
		}
		return
	}
	if next.Version != s.Version+1 || next.Revision < s.Revision || next.Ring.Epoch().Compare(s.Ring.Epoch()) < 0 {
		rt.Fatal("a count went back")
	}
	for id, m := range s.Members {
		if _, still := next.Members[id]; !still && !next.Removed[id] {
			rt.Fatalf("%s vanished", m.Name)
		}
	}
	for p := range next.Ring.Partitions() {
		var came []ring.MemberID
		for slot, id := range next.Ring.Owners(ring.PartitionID(p)) {
			if id != s.Ring.Owners(ring.PartitionID(p))[slot] {
				came = append(came, id)
			}
		}
		// A move that arrives, and a rebuild that begins then.
		if len(came) > 2 || (len(came) == 2 && c.FinishMoves == nil) {
			rt.Fatalf("partition %d got %d owners at once", p, len(came))
		}
	}
	for _, m := range next.Moves {
		if m.Rebuild != (next.Members[m.From].Gone || next.Removed[m.From]) {
			rt.Fatalf("move %+v: %+v", m, next.Members[m.From])
		}
	}
	if c.CancelMoves != nil {
		for id, m := range next.Members {
			if m.Leaving && next.concerns(id) {
				rt.Fatalf("%s leaves still", m.Name)
			}
		}
	}
}

// settles: once all moves have come to their end, the owners are those that were
// aimed at, nobody who leaves owns anything, and who was given up is removed.
func settles(rt *rapid.T, t *testing.T, s *State) {
	target := s.Target()
	for len(s.Moves) > 0 {
		var numbers []uint64
		for _, m := range s.Active() {
			numbers = append(numbers, m.Number)
		}
		s = mustApply(t, s, finish(numbers...))
		if err := s.check(); err != nil {
			rt.Fatal(err)
		}
	}
	if !slices.EqualFunc(target, s.Target(), slices.Equal) {
		rt.Fatal("the moves came to another end than they aimed at")
	}
	for id, m := range s.Members {
		if m.Gone || (m.Leaving && s.concerns(id)) {
			rt.Fatalf("at the end there is %+v", m)
		}
	}
}
