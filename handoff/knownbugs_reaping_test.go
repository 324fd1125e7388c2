package handoff_test

import (
	"slices"
	"testing"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/quorum"
	"github.com/ringd/ringd/replica"
)

// The tests in files named knownbugs_* each guard against a bug that stores of this
// kind are known for: messages that come late, after what they tell of was
// forgotten.

// deleted has a key written, deleted and agreed on, but not forgotten. It returns
// the object as it was before and after the delete.
func (c *cluster) deleted(k string) (value, tombstone causal.Object) {
	c.t.Helper()
	value = c.put("A", k, "old", nil, "B", "C")
	tombstone = c.delete("A", k, value.Context, "B", "C")
	c.round()
	c.round()
	return value, tombstone
}

// reapAll has all owners remove what is left of a deletion.
func (c *cluster) reapAll(k string) {
	c.t.Helper()
	for _, name := range []string{"A", "B", "C"} {
		if r := c.reap(name); r.Kept != 0 || c.hasRecord(name, k) {
			c.t.Fatalf("%s reaped %+v", name, r)
		}
	}
}

// wantAgreed fails if owners still have something for each other, or if one of
// them has something else than these values.
func (c *cluster) wantAgreed(k string, values ...string) {
	c.t.Helper()
	if n := c.round(); n != 0 {
		c.t.Fatalf("%d objects were sent between owners that should agree", n)
	}
	for _, name := range []string{"A", "B", "C"} {
		wantValues(c.t, c.values(name, k), values...)
	}
}

// A tombstone that a fallback still keeps must not kill the key that was created
// again after owners had forgotten the deletion: if what the new key is told by
// started anew with the key's record, the tombstone would cover it. Counters run
// over all keys of a vnode's life and never go back (design section 6).
func TestOldTombstoneOnAFallbackDoesNotKillARecreatedKey(t *testing.T) {
	c := newCluster(t)
	_, tombstone := c.deleted("k")
	c.hint("F", "B", key("k"), tombstone)
	c.reapAll("k")
	c.put("A", "k", "new", nil, "C")
	// B is down: the fallback answers for it.
	c.host("B").down = true
	c.wantGet("A", "k", sloppy, "new")
	c.host("B").down = false
	c.deliver("F", "B")
	if c.hasRecord("B", "k") {
		t.Fatal("B remembers the deletion again")
	}
	c.wantGet("B", "k", strict, "new")
	c.round()
	c.wantAgreed("k", "new")
}

// A hint with the value from before a delete comes after the key was deleted,
// forgotten and created again. It is a value that nothing at the owner tells to
// be old but what the vnode has seen (design section 7), and that has to be asked
// where there is a record, too.
func TestHintDeliveredLongAfterDeleteAndRecreate(t *testing.T) {
	for _, recreate := range []bool{false, true} {
		c := newCluster(t)
		value, _ := c.deleted("k")
		c.hint("F", "C", key("k"), value)
		c.reapAll("k")
		var want []string
		if recreate {
			// By another than the first, so that the new value's context says nothing
			// of the old one.
			c.put("B", "k", "new", nil, "A", "C")
			want = []string{"new"}
		}
		c.deliver("F", "C")
		wantValues(t, c.values("C", "k"), want...)
		c.round() // what came with the hint is in the context of the new value
		c.wantAgreed("k", want...)
		c.wantGet("C", "k", strict, want...)
	}
}

// A deletion is not to be forgotten before the tombstone is everywhere, and a
// tombstone that comes after it was forgotten is dropped, and acknowledged: it
// would stay at one owner, for ever if that is compared no more.
func TestReapingRacesASlowTombstonePut(t *testing.T) {
	c := newCluster(t)
	value := c.put("A", "k", "old", nil, "B", "C")
	c.round()
	del := c.request("A", quorum.NewPut(c.view("A", strict), replica.Write{
		Key: key("k"), Delete: true, Context: causal.Context{Seen: value.Context}, Request: causal.RequestID{1},
	})).land("C")
	if del.result == nil || del.result.Err != nil {
		t.Fatalf("two of three have the tombstone, and the delete got %+v", del.result)
	}
	// A and B agree on the tombstone, as often as they like.
	c.agree("A", "B")
	c.agree("A", "B")
	for _, name := range []string{"A", "B"} {
		if r := c.reap(name); r.Reaped != 0 || !c.hasRecord(name, "k") {
			t.Fatalf("%s forgot a deletion that C has not heard of: %+v", name, r)
		}
	}
	wantValues(t, c.values("C", "k"), "old")
	c.round()
	c.round()
	c.reapAll("k")
	if len(del.held("C", replica.Store{})) != 1 {
		t.Fatal("the tombstone is not on its way to C any more")
	}
	del.land()
	if !del.finished {
		t.Fatal("C did not acknowledge the late tombstone")
	}
	if c.hasRecord("C", "k") {
		t.Fatal("C remembers the deletion again")
	}
	c.wantAgreed("k")
}

// A read finds an owner without the key and is to repair it, but its member is
// paused until the key was deleted and forgotten. Then the value arrives, which
// no tombstone tells to be old.
func TestReadRepairHeldUpUntilAfterReaping(t *testing.T) {
	for _, recreate := range []bool{false, true} {
		c := newCluster(t)
		value := c.put("A", "k", "old", nil, "B")
		q := strict
		q.R = 3
		read := c.request("A", quorum.NewGet(c.view("A", q), key("k")))
		for _, name := range []string{"A", "B", "C"} {
			read.ask(name, replica.Read{})
			read.tell(name)
		}
		if len(read.held("C", replica.Store{})) != 1 {
			t.Fatal("the read repairs nothing")
		}
		c.delete("A", "k", value.Context, "B")
		c.round()
		c.round()
		c.reapAll("k")
		var want []string
		if recreate {
			c.put("B", "k", "new", nil, "A", "C")
			want = []string{"new"}
		}
		read.land()
		if !read.finished {
			t.Fatal("C did not acknowledge the late repair")
		}
		wantValues(t, c.values("C", "k"), want...)
		c.round()
		c.wantAgreed("k", want...)
	}
}

// One owner has forgotten a deletion that others remember. An exchange must
// neither bring the tombstone back to it, nor go on comparing the two for ever: a
// tombstone that a vnode has seen is in no tree, though it may not go yet.
func TestReapingAtOneOwnerBeforeAnother(t *testing.T) {
	c := newCluster(t)
	c.deleted("k")
	for _, name := range []string{"B", "C"} {
		// It does not know any more what the others have seen.
		c.host(name).restart()
	}
	if r := c.reap("A"); r.Reaped != 1 {
		t.Fatalf("%+v", r)
	}
	for _, name := range []string{"B", "C"} {
		if r := c.reap(name); r.Reaped != 0 || r.Kept != 1 {
			t.Fatalf("%s: %+v", name, r)
		}
	}
	for _, pair := range [][2]string{{"A", "B"}, {"A", "C"}, {"B", "C"}} {
		c.asked = nil
		x, err := c.exchange(pair[0], pair[1])
		if err != nil {
			t.Fatal(err)
		}
		if p := x.Progress(); p.Total != 0 || p.Differed != 0 {
			t.Fatalf("%v: %d keys differed, %d objects were sent", pair, p.Differed, p.Total)
		}
		if slices.Contains(c.asked, "Sums") {
			t.Fatalf("%v: their trees differ", pair)
		}
	}
	if c.hasRecord("A", "k") {
		t.Fatal("A remembers the deletion again")
	}
	for _, name := range []string{"B", "C"} {
		if r := c.reap(name); r.Reaped != 1 {
			t.Fatalf("%s: %+v", name, r)
		}
	}
}

// Before B has looked at its graves, its tree has a tombstone that A's has not.
func TestReapingAtOneOwnerSendsNothing(t *testing.T) {
	c := newCluster(t)
	c.deleted("k")
	c.reap("A")
	x, err := c.exchange("A", "B")
	if err != nil {
		t.Fatal(err)
	}
	if p := x.Progress(); p.Total != 0 || p.Differed != 0 {
		t.Fatalf("%d keys differed, %d objects were sent", p.Differed, p.Total)
	}
	if c.hasRecord("A", "k") || !c.hasRecord("B", "k") {
		t.Fatal("the exchange changed something")
	}
	c.wantAgreed("k")
}

// One owner answers a read before the delete, another after the deletion was
// forgotten: it knows nothing of the key. What it has seen tells that the first
// answer is old.
func TestReadThatOverlapsReaping(t *testing.T) {
	for _, early := range []string{"A", "B"} {
		for _, recreate := range []bool{false, true} {
			c := newCluster(t)
			value := c.put("A", "k", "old", nil, "B", "C")
			read := c.request("A", quorum.NewGet(c.view("A", strict), key("k")))
			read.ask(early, replica.Read{})
			c.delete("A", "k", value.Context, "B")
			c.round()
			c.round()
			c.reapAll("k")
			var want []string
			if recreate {
				c.put("C", "k", "new", nil, "A", "B")
				want = []string{"new"}
			}
			read.land()
			if read.result == nil || read.result.Err != nil {
				t.Fatalf("%+v", read.result)
			}
			wantValues(t, valuesOf(read.result.Object), want...)
			if !read.finished {
				t.Fatal("the read waits for something")
			}
			c.round()
			c.wantAgreed("k", want...)
		}
	}
}

// A hint of which nobody knew comes after the reaping: the value of a write that
// was deleted, and the tombstone. Neither comes back. What a fallback coordinated
// itself, and nobody saw, was not deleted, and does come.
func TestHintThatNobodyKnewOfArrivesAfterReaping(t *testing.T) {
	c := newCluster(t)
	value, tombstone := c.deleted("k")
	c.hint("F", "A", key("k"), value)
	c.hint("G", "C", key("k"), tombstone)
	c.reapAll("k")
	c.deliver("F", "A")
	c.deliver("G", "C")
	for _, name := range []string{"A", "B", "C"} {
		if c.hasRecord(name, "k") {
			t.Fatalf("%s has something of the key again", name)
		}
	}
	c.wantAgreed("k")

	value = c.put("A", "l", "old", nil, "B", "C")
	c.put("F", "l", "unknown", nil)
	c.delete("A", "l", value.Context, "B", "C")
	c.round()
	c.round()
	c.reapAll("l")
	for _, name := range []string{"A", "B", "C"} {
		c.deliver("F", name)
	}
	c.wantAgreed("l", "unknown")
}

// A tombstone in a batch that is not synced yet is lost with it. An owner that
// was told of it, or of the vnode having seen it, would forget the deletion while
// the value comes back. No answer leaves before the sync that covers it.
func TestUnsyncedTombstoneIsNotHeld(t *testing.T) {
	c := newCluster(t)
	value := c.put("A", "k", "old", nil, "B", "C")
	c.round()
	b := c.host("B")
	b.held = true
	c.delete("A", "k", value.Context, "B", "C")
	// The session begins with what B has seen, and with its trees: of an answer
	// there is none before the sync.
	x := c.begin("A", c.exchangeOf("A", "B"))
	x.ask("B", replica.Capture{})
	if x.tell("B") {
		t.Fatal("B told what it has before it was durable")
	}
	b.held = false
	b.crash()
	x.lose("B")
	x.land()
	if x.err == nil {
		t.Fatal("the exchange with a member that crashed agreed")
	}
	wantValues(t, c.values("B", "k"), "old")
	c.agree("A", "C")
	c.agree("A", "C")
	if r := c.reap("A"); r.Reaped != 0 {
		t.Fatalf("%+v: the tombstone is not at B", r)
	}
	c.round()
	wantValues(t, c.values("B", "k"))
}

// The same for what the exchange brings: the transfer, and the word that all of it
// is there, are answered when they are durable; and one that was crashed between
// is not taken for having seen it.
func TestUnsyncedTransferIsNotHeld(t *testing.T) {
	for _, until := range []string{"Transfer", "Adopt"} {
		c := newCluster(t)
		value := c.put("A", "k", "old", nil, "B", "C")
		c.round()
		c.delete("A", "k", value.Context, "C")
		c.agree("A", "C")
		b := c.host("B")
		x := c.begin("A", c.exchangeOf("A", "B")).landUntil(until, "B")
		b.held = true
		x.ask("B", x.next("B", false).send.Message)
		if x.tell("B") {
			t.Fatalf("B acknowledged a %s before it was durable", until)
		}
		b.held = false
		b.crash()
		x.lose("B")
		x.land()
		// A look at what B has says so, durably; A reaps by nothing else.
		c.agree("A", "C")
		if r := c.reap("A"); r.Reaped != 0 {
			t.Fatalf("lost %s: A reaped %+v", until, r)
		}
		c.round()
		c.round()
		c.reapAll("k")
	}
}

// Reaping that is interrupted goes on after a restart: at one owner it is done, at
// another not yet; or it was done and not durable.
func TestRestartDuringReaping(t *testing.T) {
	for _, end := range []func(h *host){(*host).crash, (*host).restart} {
		c := newCluster(t)
		value := c.put("A", "k", "old", nil, "B", "C")
		tombstone := c.delete("B", "k", value.Context, "A", "C")
		c.round()
		c.round()
		c.reap("A")
		end(c.host("A"))
		if n := c.round(); n != 0 || c.hasRecord("A", "k") {
			t.Fatalf("%d objects were sent after A had forgotten", n)
		}
		// What A had seen, it still has.
		c.store("A", key("k"), causal.AppendObject(nil, value))
		c.store("A", key("k"), causal.AppendObject(nil, tombstone))
		if c.hasRecord("A", "k") {
			t.Fatal("A remembers the deletion again")
		}
		c.host("B").held = true
		c.reapUnsynced("B")
		if c.hasRecord("B", "k") {
			t.Fatal("B did not reap")
		}
		c.host("B").held = false
		c.host("B").crash()
		if !c.hasRecord("B", "k") {
			t.Fatal("B lost a record whose removal was not durable, and a test with it")
		}
		if r := c.reap("B"); r.Reaped != 0 {
			t.Fatalf("B does not know any more what others have seen, and reaped %+v", r)
		}
		c.round()
		for _, name := range []string{"B", "C"} {
			if r := c.reap(name); r.Reaped != 1 {
				t.Fatalf("%s: %+v", name, r)
			}
		}
		c.wantAgreed("k")
		for _, name := range []string{"A", "B", "C"} {
			c.wantTreesRight(name)
		}
	}
}

// reapUnsynced reaps in a batch that is not durable yet.
func (c *cluster) reapUnsynced(name string) {
	h := c.host(name)
	h.give(h, false, replica.Reap{Limit: 10})
}
