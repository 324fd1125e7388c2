package handoff_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/storage"
)

// everywhere is a cluster in which all members hold the keys of the type "all".
func everywhere(t *testing.T) *cluster {
	c := newCluster(t)
	c.types["all"] = replica.CopyClass(3)
	return c
}

func allKey(k string) replica.Key { return replica.Key{Type: "all", Bucket: "b", Key: k} }

func (c *cluster) putAll(k, value string, ctx causal.Vector, reach ...string) causal.Object {
	c.t.Helper()
	return c.write("A", replica.Write{Key: allKey(k), Value: []byte(value), Context: causal.Context{Seen: ctx}}, reach...)
}

// copyOf is what a member answers to a read of its copy.
func (c *cluster) copyOf(name, k string) (values []string, err *replica.Error) {
	c.t.Helper()
	h := c.host(name)
	switch m := h.ask(h, false, replica.Read{Key: allKey(k), Full: true}).(type) {
	case replica.ReadAnswer:
		if len(m.Object) == 0 {
			return nil, nil
		}
		o, derr := causal.DecodeObject(m.Object)
		if derr != nil {
			c.t.Fatal(derr)
		}
		return valuesOf(o), nil
	case replica.Failure:
		return nil, m.Err
	default:
		c.t.Fatalf("%s answered a read with %T", name, m)
		return nil, nil
	}
}

func (c *cluster) wantCopy(name, k string, want ...string) {
	c.t.Helper()
	got, err := c.copyOf(name, k)
	if err != nil {
		c.t.Fatalf("%s, key %s: %v", name, k, err)
	}
	wantValues(c.t, got, want...)
}

func (c *cluster) wantNoCopy(name, k string, kind replica.Kind) {
	c.t.Helper()
	if got, err := c.copyOf(name, k); err == nil || err.Kind != kind {
		c.t.Fatalf("%s answers %q, %v for key %s, not %v", name, got, err, k, kind)
	}
}

// TestCopyAnswersOnceItIsWhole: before it was compared with an owner, it does not know
// what was written before it began; then it does, over any restart.
func TestCopyAnswersOnceItIsWhole(t *testing.T) {
	c := everywhere(t)
	for i := range 10 {
		c.putAll(fmt.Sprint(i), "v", nil, "B", "C")
	}
	c.put("A", "not for all", "v", nil, "B", "C")
	c.wantNoCopy("F", "0", replica.KindNotOwner)
	c.putAll("new", "v", nil, "B", "C", "F")
	c.wantNoCopy("F", "new", replica.KindUnavailable)
	c.host("F").restart()
	c.wantNoCopy("F", "new", replica.KindUnavailable)
	if n := c.agree("A", "F"); n != 10 {
		t.Fatalf("%d objects were sent, not the 10 that lacked", n)
	}
	check := func() {
		t.Helper()
		for i := range 10 {
			c.wantCopy("F", fmt.Sprint(i), "v")
		}
		c.wantCopy("F", "new", "v")
		c.wantCopy("F", "never written")
		c.wantTreesRight("F")
	}
	check()
	if n := c.agree("A", "F"); n != 0 {
		t.Fatalf("%d objects were sent to a copy that is whole", n)
	}
	if c.hasRecord("F", "not for all") {
		t.Fatal("the copy has a key of a type that not all hold")
	}
	c.host("F").restart()
	check()
	c.host("F").crash()
	check()
	h := c.host("F")
	if m, ok := h.ask(h, false, replica.Coordinate{Write: replica.Write{Key: allKey("w")}, Slots: 3}).(replica.Failure); !ok || m.Err.Kind != replica.KindNotOwner {
		t.Fatalf("a copy coordinated: %v", m)
	}
}

// TestCopyForgetsWhatWasDeleted: neither a delete that it missed, nor an old value that
// comes late, has it, or through it an owner, show the value again.
func TestCopyForgetsWhatWasDeleted(t *testing.T) {
	c := everywhere(t)
	o := c.putAll("k", "v", nil, "B", "C", "F", "G")
	c.copies()
	c.write("A", replica.Write{Key: allKey("k"), Delete: true, Context: causal.Context{Seen: o.Context}}, "B", "C")
	for range 2 {
		c.round()
		for _, owner := range []string{"A", "B", "C"} {
			c.reap(owner)
		}
	}
	disk := func(name string) bool {
		_, err := c.host(name).disk.Get(storage.AppendDataKey(nil, uint32(part), []byte("all"), []byte("b"), []byte("k")))
		return err == nil
	}
	if disk("A") || disk("B") || disk("C") {
		t.Fatal("the owners still have the deletion")
	}
	c.wantCopy("F", "k", "v")
	c.copies()
	c.wantCopy("F", "k")
	c.store("F", allKey("k"), causal.AppendObject(nil, o))
	c.wantCopy("F", "k")
	c.reap("F")
	if disk("F") {
		t.Fatal("the copy still has what was deleted")
	}
	if n := c.copies() + c.round(); n != 0 || disk("A") {
		t.Fatalf("%d objects were sent, and the owner has the key again: %v", n, disk("A"))
	}

	// A tombstone goes once the copy has seen it, though owners still need theirs.
	o = c.putAll("k", "again", nil, "F")
	c.write("A", replica.Write{Key: allKey("k"), Delete: true, Context: causal.Context{Seen: o.Context}}, "F")
	c.reap("F")
	if !disk("F") {
		t.Fatal("the copy forgot a deletion that it had not seen all before of")
	}
	c.copies()
	c.reap("F")
	if disk("F") {
		t.Fatal("the copy still has the deletion")
	}
	c.reap("A")
	if !disk("A") {
		t.Fatal("the owner forgot a deletion that the others had not seen")
	}
}

// TestCopyIsNoWitness: what a copy lacks though it had seen it, an owner does not take for
// deleted; nor what it left out of a write that came after.
func TestCopyIsNoWitness(t *testing.T) {
	c := everywhere(t)
	c.putAll("k", "v", nil, "B", "C", "F", "G")
	c.copies()
	f := c.host("F")
	b := new(storage.Batch)
	for _, r := range storage.HeldRanges(uint32(part)) {
		b.DeleteRange(r.Lower, r.Upper)
	}
	if _, err := f.disk.Apply(b); err != nil {
		t.Fatal(err)
	}
	f.disk.Sync()
	f.start()
	c.copies()
	c.putAll("k", "w", nil, "B", "C", "F", "G")
	c.copies()
	c.copies()
	for _, owner := range []string{"A", "B", "C"} {
		c.wantCopy(owner, "k", "v", "w")
	}
}

// TestCopyGivesWayToASlot: what it holds goes before a slot comes, and what is left of a
// slot goes before a copy begins.
func TestCopyGivesWayToASlot(t *testing.T) {
	c := everywhere(t)
	c.putAll("k", "v", nil, "B", "C")
	c.copies()
	c.wantCopy("F", "k", "v")
	f := c.host("F")
	if a, ok := f.ask(f, false, replica.Leftovers{}).(replica.LeftoversAnswer); !ok || a.Any {
		t.Fatalf("a copy is taken for what is left of a slot: %v", a)
	}
	m := c.beginMove(7, "C", "F", false)
	c.wantCopy("F", "k", "v") // nothing has come yet
	if err := c.move(m); err != nil {
		t.Fatal(err)
	}
	c.endMove(m, false)
	c.wantCopy("F", "k", "v")
	old := c.host("C")
	if _, err := c.exchange("A", "C"); err == nil {
		t.Fatal("a copy began over what is left of a slot")
	}
	if a, ok := old.ask(old, false, replica.Drop{}).(replica.DropAnswer); !ok {
		t.Fatalf("what is left of the slot was not dropped: %v", a)
	}
	c.wantNoCopy("C", "k", replica.KindNotOwner)
	c.agree("A", "C")
	c.wantCopy("C", "k", "v")
}

// TestCopyKeepsAWriteWholeOrNotAtAll: what a copy left out of a write because it had seen
// it, an owner would take for overwritten; but it may only have lost it.
func TestCopyKeepsAWriteWholeOrNotAtAll(t *testing.T) {
	c := everywhere(t)
	c.putAll("k", "first", nil, "B", "C", "F")
	both := c.putAll("k", "second", nil, "B", "C", "F")
	c.agree("A", "F")
	b := new(storage.Batch)
	for _, r := range storage.HeldRanges(uint32(part)) {
		b.DeleteRange(r.Lower, r.Upper)
	}
	if _, err := c.host("F").disk.Apply(b); err != nil {
		t.Fatal(err)
	}
	c.host("F").disk.Sync()
	c.host("F").start()
	second := both.Siblings[slices.IndexFunc(both.Siblings, func(s causal.Sibling) bool { return string(s.Value) == "second" })]
	c.write("A", replica.Write{Key: allKey("k"), Value: []byte("third"), Context: causal.Context{Own: causal.Vector{causal.Entry(second.Dot)}}}, "F")
	for _, name := range []string{"A", "B", "C"} {
		c.agree(name, "F")
		c.wantCopy(name, "k", "first", "third")
	}
}

// TestCopyThatLostARecordIsNotComplete: it answers nothing before it was compared again.
func TestCopyThatLostARecordIsNotComplete(t *testing.T) {
	c := everywhere(t)
	c.putAll("k", "v", nil, "B", "C", "F")
	c.agree("A", "F")
	c.wantCopy("F", "k", "v")
	f := c.host("F")
	b := new(storage.Batch)
	k := allKey("k")
	b.Delete(storage.AppendDataKey(nil, uint32(part), []byte(k.Type), []byte(k.Bucket), []byte(k.Key)))
	if _, err := f.disk.Apply(b); err != nil {
		t.Fatal(err)
	}
	f.disk.Sync()
	f.start()
	c.checkTrees("F")
	c.wantNoCopy("F", "k", replica.KindUnavailable)
	c.agree("A", "F")
	c.wantCopy("F", "k", "v")
}
