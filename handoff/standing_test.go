package handoff_test

import (
	"slices"
	"testing"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
)

// TestRebuild: a new owner whose predecessor is gone answers no reads before it has
// what enough others have, and acknowledges nothing before they know of it.
func TestRebuild(t *testing.T) {
	c := newCluster(t)
	c.fill(50)
	c.host("A").down = true
	m := c.beginMove(1, "A", "F", true)
	known, _ := c.answers("B", "k0001")
	read := func() replica.Message {
		return c.host("F").ask(c.host("B"), false, replica.Read{Key: key("k0001")})
	}
	store := func() replica.Message {
		return c.host("F").ask(c.host("B"), false, replica.Store{Key: key("k0001"), Object: known.Object})
	}
	if _, ok := store().(replica.Failure); !ok {
		t.Error("it takes writes before it knows what it is")
	}
	for range 2 { // beginning again changes nothing
		if _, ok := c.kept("F", replica.Inherit{Move: m.Number, Rebuild: true}).(replica.InheritAnswer); !ok {
			t.Fatal("the rebuild did not begin")
		}
	}
	c.kept("F", replica.Heard{From: c.host("B").id})
	if _, ok := store().(replica.Failure); !ok {
		t.Error("it takes writes after one other owner knows")
	}
	c.kept("F", replica.Heard{From: c.host("C").id})
	if _, ok := store().(replica.StoreAnswer); !ok {
		t.Error("it takes no writes after both other owners know")
	}
	if _, ok := read().(replica.Failure); !ok {
		t.Error("it answers reads before it was compared")
	}
	c.agree("F", "B")
	if _, ok := read().(replica.Failure); !ok {
		t.Error("it answers reads after one comparison")
	}
	c.host("F").crash()
	c.install()
	if _, ok := read().(replica.Failure); !ok {
		t.Error("it answers reads after a crash")
	}
	c.kept("F", replica.Inherit{Move: m.Number, Rebuild: true})
	if _, ok := c.host("F").ask(c.host("A"), false, replica.Inherit{Move: m.Number}).(replica.Failure); !ok {
		t.Error("it begins with nothing on the word of who is gone")
	}
	c.agree("F", "B")
	c.agree("F", "C")
	if a, ok := read().(replica.ReadAnswer); !ok || len(a.Context) == 0 {
		t.Errorf("it answers %+v", a)
	}
}

// TestOwnerThatLacksItsStanding, because its disk was exchanged while the slot came
// to it, answers nothing before it has got the data from the others.
func TestOwnerThatLacksItsStanding(t *testing.T) {
	c := newCluster(t)
	c.fill(20)
	m := c.beginMove(1, "B", "F", false)
	if err := c.move(m); err != nil {
		t.Fatal(err)
	}
	c.moves = nil
	c.host("F").wipe()
	c.arrive(m)
	read := func() replica.Message {
		return c.host("F").ask(c.host("A"), false, replica.Read{Key: key("k0001")})
	}
	if _, ok := read().(replica.Failure); !ok {
		t.Error("it answers reads without data")
	}
	c.kept("F", replica.Inherit{Move: m.Number, Rebuild: true})
	if _, ok := read().(replica.Failure); !ok {
		t.Error("it answers reads before it was compared")
	}
	for _, other := range []string{"A", "C"} {
		c.agree("F", other)
	}
	if a, ok := read().(replica.ReadAnswer); !ok || len(a.Context) == 0 {
		t.Errorf("it answers %+v", a)
	}
}

// TestOwnerThatDroppedItsSlot, which a recovery gives back to it because nobody was
// left who knew that it had moved: it answers nothing, least of all "not found",
// before it has got the data from the others, also after a crash.
func TestOwnerThatDroppedItsSlot(t *testing.T) {
	c := newCluster(t)
	c.fill(20)
	before := c.ring
	m := c.beginMove(1, "B", "F", false)
	if err := c.move(m); err != nil {
		t.Fatal(err)
	}
	c.moves = nil
	c.arrive(m)
	if a := c.kept("B", replica.Leftovers{}); a != (replica.LeftoversAnswer{Any: true, Owned: true, Fence: m.Number}) {
		t.Errorf("after the move, it has %+v left", a)
	}
	if a := c.kept("B", replica.Drop{}); a != (replica.DropAnswer{}) {
		t.Fatalf("%+v", a)
	}
	if a, ok := c.kept("B", replica.Leftovers{}).(replica.LeftoversAnswer); !ok || a.Any {
		t.Errorf("it has %+v left", a)
	}
	var err error
	if c.ring, err = before.WithEpoch(c.ring.Epoch().NextGeneration(c.host("A").id)); err != nil {
		t.Fatal(err)
	}
	c.install()
	read := func() replica.Message {
		return c.host("B").ask(c.host("A"), false, replica.Read{Key: key("k0001")})
	}
	if a, ok := read().(replica.Failure); !ok {
		t.Errorf("it answers %+v without data", a)
	}
	if a := c.kept("F", replica.Leftovers{}); a != (replica.LeftoversAnswer{Any: true, Owned: true}) {
		t.Errorf("who lost the slot has %+v left", a)
	}
	c.host("B").crash()
	for _, name := range []string{"A", "B", "C"} {
		if _, ok := c.kept(name, replica.Inherit{Rebuild: true}).(replica.InheritAnswer); !ok {
			t.Fatalf("%s was not told", name)
		}
	}
	if _, ok := read().(replica.Failure); !ok {
		t.Error("it answers reads before it was compared")
	}
	if got := c.values("A", "k0001"); len(got) == 0 {
		t.Error("an owner that kept its slot lost it")
	}
	for _, other := range []string{"A", "C"} {
		c.agree("B", other)
	}
	if a, ok := read().(replica.ReadAnswer); !ok || len(a.Context) == 0 {
		t.Errorf("it answers %+v", a)
	}
}

// TestIncompleteOwnerHandsNothingOver: the new owner would answer "not found" for
// what the former one had acknowledged and lost.
func TestIncompleteOwnerHandsNothingOver(t *testing.T) {
	c := newCluster(t)
	c.fill(20)
	c.host("A").wipe()
	m := c.beginMove(1, "A", "F", false)
	if err := c.move(m); err == nil {
		t.Fatal("a slot was handed over whose data its owner had lost")
	}
	if slices.Contains(c.asked, "Fence") || slices.Contains(c.asked, "Settle") {
		t.Errorf("the two were told that it was: %q", c.asked)
	}
	for _, other := range []string{"B", "C"} {
		c.agree("A", other)
	}
	if err := c.move(m); err != nil {
		t.Fatal(err)
	}
	c.endMove(m, false)
	if a, ok := c.answers("F", "k0001"); !ok || len(a.Context) == 0 {
		t.Errorf("the new owner answers %+v", a)
	}
}

// TestFenceOutlastsALostStore: the move may have been proposed before, and be decided
// any time; what the former owner acknowledged meanwhile, the new one would lack.
func TestFenceOutlastsALostStore(t *testing.T) {
	c := newCluster(t)
	c.fill(20)
	m := c.beginMove(1, "A", "F", false)
	if err := c.move(m); err != nil {
		t.Fatal(err)
	}
	known, _ := c.answers("B", "k0001")
	store := func() bool {
		_, ok := c.host("A").ask(c.host("B"), false, replica.Store{Key: key("k0001"), Object: known.Object}).(replica.StoreAnswer)
		return ok
	}
	c.host("A").wipe()
	if store() {
		t.Error("it takes writes")
	}
	for _, other := range []string{"B", "C"} {
		c.agree("A", other)
	}
	if store() {
		t.Error("it takes writes once it has its data back")
	}
	if err := c.move(m); err != nil {
		t.Fatalf("the move does not go on: %v", err)
	}
	c.endMove(m, true)
	if !store() {
		t.Error("it takes no writes after the move was cancelled")
	}
}

// TestCorruptStanding: a record that can't be read is no reason to refuse for ever,
// nor to be taken for one that says that the slot was never given away.
func TestCorruptStanding(t *testing.T) {
	c := newCluster(t)
	c.fill(20)
	at := storage.AppendPartitionMetaKey(nil, uint32(part), "standing")
	corrupt := func(name string) {
		c.host(name).corrupt(t, at)
		c.host(name).crash()
		if a, ok := c.answers(name, "k0001"); ok {
			t.Errorf("%s answers %+v", name, a)
		}
	}
	compare := func(name string, others ...string) {
		for _, other := range others {
			c.agree(name, other)
		}
	}
	m := c.beginMove(1, "A", "F", false)
	if err := c.move(m); err != nil {
		t.Fatal(err)
	}
	corrupt("A")
	corrupt("F")
	compare("A", "B", "C")
	if a, ok := c.answers("A", "k0001"); ok {
		t.Errorf("A, which is fenced, answers %+v", a)
	}
	if err := c.move(m); err != nil {
		t.Fatalf("the move does not go on: %v", err)
	}
	c.endMove(m, false)
	corrupt("F")
	before := c.objects("F")
	c.kept("F", replica.Inherit{Move: m.Number, Rebuild: true})
	if got := c.objects("F"); got != before {
		t.Errorf("the new owner had\n%s, and has\n%s", before, got)
	}
	compare("F", "B", "C")
	if a, ok := c.answers("F", "k0001"); !ok || len(a.Context) == 0 {
		t.Errorf("the new owner answers %+v", a)
	}
}

// TestRebuildThatMaySettleForLess: while a slot is rebuilt, more owners are given up,
// and a person accepts that there are fewer to get its data from.
func TestRebuildThatMaySettleForLess(t *testing.T) {
	for sources, others := range map[int][]string{0: nil, 1: {"C"}} {
		for _, restarts := range []bool{false, true} {
			c := newCluster(t)
			c.fill(20)
			m := c.beginMove(1, "A", "F", true)
			c.kept("F", replica.Inherit{Move: m.Number, Rebuild: true})
			for _, other := range others {
				c.agree("F", other)
			}
			if _, ok := c.answers("F", "k0001"); ok {
				t.Fatal("it answers reads before it may")
			}
			m.Sources = sources
			c.moves = map[ring.PartitionID]replica.Move{part: m}
			c.install()
			if restarts {
				c.host("F").crash()
				for _, other := range others {
					c.agree("F", other)
				}
			}
			if a, ok := c.kept("F", replica.Capture{Look: true}).(replica.CaptureAnswer); !ok || a.Incomplete {
				t.Errorf("%d sources, restarts %v: the rebuild does not come to an end", sources, restarts)
			}
			if a, ok := c.answers("F", "k0001"); !ok || (len(a.Context) == 0) != (sources == 0) {
				t.Errorf("%d sources, restarts %v: it answers %+v", sources, restarts, a)
			}
		}
	}
}

// TestWhatWasNeverOwned: who was to get a slot by a move that was turned back
// acknowledged nothing of it.
func TestWhatWasNeverOwned(t *testing.T) {
	c := newCluster(t)
	c.fill(20)
	m := c.beginMove(1, "B", "F", false)
	if _, ok := c.host("F").ask(c.host("B"), false, replica.Inherit{Move: m.Number}).(replica.InheritAnswer); !ok {
		t.Fatal("the move did not begin")
	}
	c.endMove(m, true)
	if a := c.kept("F", replica.Leftovers{}); a != (replica.LeftoversAnswer{Any: true}) {
		t.Errorf("it has %+v left", a)
	}
}
