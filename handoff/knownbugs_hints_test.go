package handoff_test

import (
	"fmt"
	"testing"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/quorum"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/storage"
	"github.com/ringd/ringd/vnode"
)

// hints is how many hints a member keeps for an owner.
func (c *cluster) hints(at, owner string) int64 {
	c.t.Helper()
	h := c.host(at)
	a, ok := h.ask(h, true, replica.HintCount{}).(replica.HintCountAnswer)
	if !ok {
		c.t.Fatalf("%s does not count its hints", at)
	}
	return a.Count[map[string]int{"A": 0, "B": 1, "C": 2}[owner]]
}

func (h *host) noticed(kind vnode.NoticeKind) int {
	n := 0
	for _, notice := range h.notices {
		if notice.Kind == kind {
			n++
		}
	}
	return n
}

// While a hint is on its way to its owner, a newer write is merged into it. The
// acknowledgement is of what was sent, and must not remove the newer one: hints go
// by compare-and-delete.
func TestAcknowledgementDoesNotDeleteANewerHint(t *testing.T) {
	c := newCluster(t)
	old := c.put("A", "k", "old", nil, "B")
	c.hint("F", "C", key("k"), old)
	c.intercept = func(to *host, m replica.Message) replica.Message {
		if _, ok := m.(replica.Transfer); ok && to.name == "C" {
			c.intercept = nil
			c.hint("F", "C", key("k"), c.put("A", "k", "new", old.Context, "B"))
		}
		return nil
	}
	c.deliver("F", "C")
	wantValues(t, c.values("C", "k"), "old")
	if n := c.hints("F", "C"); n != 1 {
		t.Fatalf("%d hints are left, and one was not delivered", n)
	}
	c.deliver("F", "C")
	wantValues(t, c.values("C", "k"), "new")
	if n := c.hints("F", "C"); n != 0 {
		t.Fatalf("%d hints are left", n)
	}
}

// A fallback whose hints were delivered has nothing of the key any more. Its next
// write would cover what it wrote before, without having it: it goes on under a
// new actor (design section 6: the states that one actor makes form a chain).
func TestFallbackWhoseHintsWereDroppedTakesANewActor(t *testing.T) {
	c := newCluster(t)
	c.put("F", "k", "first", nil)
	for _, name := range []string{"A", "B", "C"} {
		c.deliver("F", name)
	}
	c.put("F", "k", "second", nil)
	for _, name := range []string{"A", "B", "C"} {
		c.deliver("F", name)
		if n := len(c.values(name, "k")); n != 2 {
			t.Fatalf("%s has %q: two writes that knew nothing of each other", name, c.values(name, "k"))
		}
	}
	c.wantAgreed("k", c.values("A", "k")...)
}

// A fallback tells an owner that it has all that the fallback coordinated. What it
// coordinates while the hints are delivered is not among that: told to have seen
// it, the owner would drop it as deleted when it comes.
func TestWriteAtAFallbackDuringItsDeliveryIsNotTakenForSeen(t *testing.T) {
	c := newCluster(t)
	for i := range 300 { // more than one page
		c.put("F", fmt.Sprintf("k%03d", i), "v", nil)
	}
	pages := 0
	c.intercept = func(to *host, m replica.Message) replica.Message {
		if _, ok := m.(replica.Hints); ok {
			if pages++; pages == 2 {
				c.put("F", "early", "v", nil) // before the first page's last key
			}
		}
		return nil
	}
	c.deliver("F", "C")
	if pages < 2 {
		t.Fatal("the test needs more hints")
	}
	wantValues(t, c.values("C", "early"))
	c.deliver("F", "C")
	wantValues(t, c.values("C", "early"), "v")
}

// An owner loses its data after a fallback gave it what that had coordinated, and
// gets another hint of the fallback's. Told that it has all that the fallback ever
// coordinated, it would say that what it lacks was deleted, and take it from the
// others.
func TestFallbackDoesNotVouchForWhatItsOwnerLost(t *testing.T) {
	for name, restart := range map[string]func(*host){
		"": func(*host) {}, "after a clean stop": (*host).restart, "after a crash": (*host).crash,
	} {
		c := newCluster(t)
		c.put("F", "k", "v", nil)
		c.deliver("F", "C")
		restart(c.host("F"))
		c.host("C").wipe()
		c.put("F", "l", "v", nil)
		c.deliver("F", "C")
		c.deliver("F", "A")
		c.deliver("F", "B")
		c.round()
		c.round()
		for _, owner := range []string{"A", "B", "C"} {
			for _, k := range []string{"k", "l"} {
				if got := c.values(owner, k); len(got) != 1 {
					t.Errorf("%s: %s has %q of %s", name, owner, got, k)
				}
			}
		}
	}
}

// What a fallback coordinated and gave to some owners only before it restarted is
// forgotten all the same once it was deleted: an owner that was told tells the
// others.
func TestDeletesOfAFallbackThatRestartedAreForgotten(t *testing.T) {
	c := newCluster(t)
	o := c.put("F", "k", "v", nil)
	c.delete("F", "k", o.Context)
	c.host("F").crash()
	c.deliver("F", "A")
	c.host("F").crash()
	c.deliver("F", "B")
	c.deliver("F", "C")
	c.round()
	c.round()
	for _, name := range []string{"A", "B", "C"} {
		if r := c.reap(name); r.Reaped != 1 {
			t.Fatalf("%s: %+v", name, r)
		}
	}
}

// A delivery that breaks off is begun again, and nothing of it is lost or taken
// for delivered.
func TestDeliveryThatBreaksOffIsResumed(t *testing.T) {
	c := newCluster(t)
	for i := range 300 {
		o := c.put("A", fmt.Sprintf("k%d", i), "v", nil, "B")
		c.hint("F", "C", key(fmt.Sprintf("k%d", i)), o)
	}
	cc := c.host("C")
	d := c.begin("F", c.deliveryOf("F", "C")).landUntil("Transfer", "C")
	cc.held = true
	d.ask("C", replica.Transfer{})
	if d.tell("C") {
		t.Fatal("C acknowledged what is not durable")
	}
	cc.held = false
	cc.crash()
	d.lose("C")
	d.land()
	if d.err == nil || c.hints("F", "C") != 300 {
		t.Fatalf("%v; %d hints are left", d.err, c.hints("F", "C"))
	}
	c.host("F").crash()
	c.deliver("F", "C")
	if n := c.hints("F", "C"); n != 0 {
		t.Fatalf("%d hints are left", n)
	}
	if n := c.round(); n != 0 {
		t.Fatalf("%d objects were sent for what the hints had brought", n)
	}
}

// Fallbacks that never heard of a key say so. That none of the owners can be
// reached must not make "not found" of it, at any number of fallbacks.
func TestTwoEmptyFallbacksDoNotAnswerNotFound(t *testing.T) {
	c := newCluster(t)
	c.put("A", "k", "v", nil, "B", "C")
	for _, name := range []string{"A", "B", "C"} {
		c.host(name).down = true
	}
	if values, err := c.get("F", "k", sloppy); err == nil || err.Kind != replica.KindUnavailable {
		t.Fatalf("got %q, %v", values, err)
	}
	// With one owner that knows, the fallback's word counts, and does no harm.
	c.host("C").down = false
	c.wantGet("F", "k", sloppy, "v")
	// A fallback that has something says what it has.
	c.host("C").down = true
	c.put("F", "l", "sloppy", nil)
	kept, _ := c.read("F", "l")
	o, err := causal.DecodeObject(kept.Object)
	if err != nil {
		t.Fatal(err)
	}
	c.hint("G", "C", key("l"), o)
	c.wantGet("F", "l", sloppy, "sloppy")
	if _, err := c.get("F", "l", strict); err == nil {
		t.Fatal("a strict read counted fallbacks")
	}
}

// A member keeps no more hints than it may. It says so, and keeps nothing of what
// it refuses: a share that was refused is not counted as held.
func TestHintsAreBoundedInBytes(t *testing.T) {
	c := newCluster(t)
	c.hintBytesMax = 400
	f := c.host("F")
	f.restart()
	value := make([]byte, 200)
	o := c.write("A", replica.Write{Key: key("k"), Value: value}, "B")
	c.hint("F", "C", key("k"), o)
	o2 := c.write("A", replica.Write{Key: key("l"), Value: value}, "B")
	before := snapshot(t, f)
	refused := func(m replica.Message, what string) {
		t.Helper()
		if fail, ok := m.(replica.Failure); !ok || fail.Err.Kind != replica.KindOverloaded {
			t.Fatalf("%s: %v", what, m)
		}
	}
	refused(f.ask(f, true, replica.Store{Key: key("l"), Object: causal.AppendObject(nil, o2), Slot: 2}), "a hint too many")
	refused(f.ask(f, true, replica.Coordinate{Write: replica.Write{Key: key("m"), Value: value, Request: causal.RequestID{9}}, Slots: 3}), "a write for all owners")
	if f.noticed(vnode.NoticeHintRefused) != 2 {
		t.Fatalf("%d notices of refused hints", f.noticed(vnode.NoticeHintRefused))
	}
	if snapshot(t, f) != before {
		t.Fatal("what was refused left something on disk")
	}
	// A client's write that needed it does not count it.
	c.host("C").down, c.host("B").down = true, true
	q := sloppy
	q.W, q.DW = 3, 3
	put := c.request("A", quorum.NewPut(c.view("A", q), replica.Write{Key: key("l"), Value: value, Request: causal.RequestID{8}})).land()
	if put.result == nil || put.result.Err == nil {
		t.Fatal("a write counted a hint that was refused")
	}
	c.host("C").down, c.host("B").down = false, false
	// The bound is of what is there: with the hint delivered there is room.
	f.crash()
	c.deliver("F", "C")
	c.hint("F", "C", key("l"), o2)
}

// A write without a value takes room, too: where no hints are kept, a fallback
// coordinates no delete either, and at the bound no more of them.
func TestHintsOfDeletesAreBounded(t *testing.T) {
	c := newCluster(t)
	for _, most := range []int64{0, 1000} {
		c.hintBytesMax = most
		f := c.host("F")
		f.restart()
		kept := 0
		for i := range 100 {
			w := replica.Write{Key: key(fmt.Sprint(most, "-", i)), Delete: true, Request: causal.RequestID{byte(i + 1)}}
			if _, refused := f.ask(f, true, replica.Coordinate{Write: w, Slots: 3}).(replica.Failure); !refused {
				kept++
			}
		}
		var bytes int64
		for _, n := range f.ask(f, true, replica.HintCount{}).(replica.HintCountAnswer).Bytes {
			bytes += n
		}
		if bytes > most || (kept == 0) != (most == 0) {
			t.Errorf("%d deletes were taken, and are kept in %d bytes of %d", kept, bytes, most)
		}
	}
}

// A hint that can't be read any more must not keep those behind it from their
// owner for ever. It is given up: anti-entropy brings what it was. What this vnode
// coordinated itself was in it, perhaps, so that it does not say any more that the
// owner gets all of that.
func TestCorruptHintDoesNotHoldUpTheOthers(t *testing.T) {
	c := newCluster(t)
	for _, k := range []string{"a", "b", "c"} {
		c.put("F", k, "v", nil)
	}
	f, b := c.host("F"), key("b")
	f.corrupt(t, storage.AppendHintKey(nil, uint32(part), 2, []byte(b.Type), []byte(b.Bucket), []byte(b.Key)))
	if _, err := c.read("F", "b"); err == nil || err.Kind != replica.KindCorrupt {
		t.Fatalf("the read of a corrupt hint: %v", err)
	}
	if err := c.run(f, c.deliveryOf("F", "C")); err == nil || err.Kind != replica.KindCorrupt {
		t.Fatalf("the delivery of a corrupt hint: %v", err)
	}
	c.deliver("F", "C")
	wantValues(t, c.values("C", "c"), "v")
	if n := c.hints("F", "C"); n != 0 {
		t.Fatalf("%d hints are left", n)
	}
	// C was not told that it has what was in the corrupt hint.
	if a, _ := c.read("C", "b"); len(a.Seen) > 0 {
		t.Fatalf("C has seen %v", a.Seen)
	}
	for _, owner := range []string{"A", "B"} {
		c.deliver("F", owner)
	}
	c.round()
	c.wantAgreed("b", "v")
}

// A vnode that does not know yet that its member is leaving still takes hints: that it
// keeps none is no reason to go.
func TestHintsAreCountedOnceNoneAreTaken(t *testing.T) {
	c := newCluster(t)
	o := c.put("A", "k", "v", nil, "B")
	f := c.host("F")
	count := func() replica.HintCountAnswer {
		return f.ask(f, true, replica.HintCount{}).(replica.HintCountAnswer)
	}
	store := func() bool {
		_, ok := f.ask(c.host("A"), true, replica.Store{Key: key("k"), Slot: 2, Object: causal.AppendObject(nil, o)}).(replica.StoreAnswer)
		return ok
	}
	if count().Leaving || !store() {
		t.Fatal("it takes no hints")
	}
	f.step(vnode.Installed{Ring: c.ring, Leaving: true, Types: c.types, HintBytesMax: c.hintBytesMax})
	if !count().Leaving || store() {
		t.Fatal("it takes hints")
	}
}
