package handoff_test

import (
	"testing"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/handoff"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/vnode"
)

// TestTwoSlotsGoBack, by a recovery, and both had been dropped. What the two that lose
// them acknowledged is merged by all owners, also by those that wait for data.
func TestTwoSlotsGoBack(t *testing.T) {
	c := newCluster(t)
	c.fill(20)
	before := c.ring
	for i, names := range [][2]string{{"B", "F"}, {"C", "G"}} {
		m := c.beginMove(uint64(i+1), names[0], names[1], false)
		if err := c.move(m); err != nil {
			t.Fatal(err)
		}
		c.endMove(m, false)
		if _, ok := c.kept(names[0], replica.Drop{}).(replica.DropAnswer); !ok {
			t.Fatalf("%s drops nothing", names[0])
		}
	}
	f := c.host("F")
	var late []byte
	for _, a := range f.step(vnode.Request{Reply: "w", Envelope: replica.Envelope{
		From: f.id, To: f.id, Epoch: c.ring.Epoch(), Partition: part,
		Message: replica.Coordinate{Write: replica.Write{Key: key("late"), Value: []byte("v"), Request: causal.RequestID{1}}, Slots: 3},
	}}) {
		if m, ok := a.message.(replica.Prepared); ok {
			late = m.Object
		}
	}
	c.store("G", key("late"), late)
	var err error
	if c.ring, err = before.WithEpoch(c.ring.Epoch().NextGeneration(c.host("A").id)); err != nil {
		t.Fatal(err)
	}
	c.install()
	for _, name := range []string{"B", "C"} {
		if _, ok := c.kept(name, replica.Inherit{Rebuild: true}).(replica.InheritAnswer); !ok {
			t.Fatalf("%s was not told", name)
		}
	}
	var items []replica.Item
	if err := vnode.Find(f.disk, part, 0, func(f vnode.Found) bool { items = append(items, f.Item); return f.Err == nil }); err != nil {
		t.Fatal(err)
	}
	for slot, name := range []string{"A", "B", "C"} {
		op := handoff.NewSalvage(part, slot, f.id, c.host(name).id, items, free{})
		if err := c.run(f, op); err != nil || op.Changed() == 0 {
			t.Errorf("%s: %d changed, %v", name, op.Changed(), err)
		}
		if !c.hasRecord(name, "late") {
			t.Errorf("%s did not get what came late", name)
		}
	}
	wantValues(t, c.values("A", "late"), "v")
}
