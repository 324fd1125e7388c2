package member

import (
	"fmt"
	"testing"
	"time"

	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// goBack has all members follow a recovery that begins with the owners of before.
func goBack(t *testing.T, before *cluster.State, members ...*Member) {
	t.Helper()
	next := *members[0].State()
	by := members[0].dir.ID()
	var err error
	if next.Ring, err = before.Ring.WithEpoch(next.Ring.Epoch().NextGeneration(by)); err != nil {
		t.Fatal(err)
	}
	next.Recovery = &cluster.Recovery{By: by, At: time.Unix(1_000_000, 0).UTC()}
	next.Version++
	next.LastMove += 1 << 32
	encoded, err := next.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		if err := m.node.Adopt(encoded); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLostSlotsAreGivenBack: a recovery goes back to the owners of before the last
// moves. Who loses slots by that gives back what it alone holds, and drops it only then.
func TestLostSlotsAreGivenBack(t *testing.T) {
	members := []*Member{startMember(t, "a")}
	for _, name := range []string{"b", "c"} {
		members = append(members, startMember(t, name, members[0].Endpoints().GRPC))
	}
	a := members[0]
	until(t, "three members are known", func() bool { return len(a.State().Members) == 3 })
	commitAll(t, a, nil)
	lone := replica.NewBucketType("lone", 1)
	if err := a.Apply(t.Context(), cluster.Command{CreateBucketType: &lone}); err != nil {
		t.Fatal(err)
	}
	before := a.State()
	d := startMember(t, "d", a.Endpoints().GRPC)
	members = append(members, d)
	until(t, "a fourth member is known", func() bool { return len(a.State().Members) == 4 })
	commitAll(t, a, map[ring.MemberID]cluster.Change{d.dir.ID(): {Join: true}})
	until(t, "all slots have moved", func() bool { return len(d.State().Moves) == 0 && d.State().Version == a.State().Version })

	var keys []replica.Key
	for i := range 300 {
		k := replica.Key{Type: "lone", Bucket: "b", Key: fmt.Sprint(i)}
		r := d.State().Ring
		if r.Owners(r.Partition(k.Type, k.Bucket, k.Key))[0] != d.dir.ID() {
			continue
		}
		keys = append(keys, k)
		if _, err := d.Write(t.Context(), replica.Write{Key: k, Value: []byte(k.Key), Request: [16]byte{1, byte(i), byte(i >> 8)}}); err != nil {
			t.Fatal(err)
		}
	}
	if len(keys) < 10 {
		t.Fatalf("it owns %d of 300 keys alone", len(keys))
	}
	goBack(t, before, members...)
	has := func(k replica.Key) bool {
		g, err := a.Get(t.Context(), replica.Get{Key: k})
		return err == nil && len(g.Object.Siblings) == 1 && string(g.Object.Siblings[0].Value) == k.Key
	}
	for _, k := range keys {
		until(t, "key "+k.Key+" is given back", func() bool { return has(k) })
	}
	for p := range d.State().Ring.Partitions() {
		until(t, fmt.Sprintf("what is left of partition %d is dropped", p), func() bool {
			left, ok := d.repair.own(t.Context(), ring.PartitionID(p), false, replica.Leftovers{}).(replica.LeftoversAnswer)
			return ok && !left.Any
		})
	}
	for _, k := range keys {
		if !has(k) {
			t.Errorf("key %s is gone", k.Key)
		}
	}
}

// TestWhoGivesBack: only who held a slot that no move is known to have taken.
func TestWhoGivesBack(t *testing.T) {
	const lost, since = 1<<32 - 1, 1<<32 + 7
	recovered := &cluster.State{Recovery: &cluster.Recovery{}, LastMove: since}
	for _, c := range []struct {
		name  string
		state *cluster.State
		left  replica.LeftoversAnswer
		want  bool
	}{
		{"no recovery", &cluster.State{LastMove: lost}, replica.LeftoversAnswer{Any: true, Owned: true}, false},
		{"never an owner", recovered, replica.LeftoversAnswer{Any: true}, false},
		{"no move took it", recovered, replica.LeftoversAnswer{Any: true, Owned: true}, true},
		{"a move took it that may be lost", recovered, replica.LeftoversAnswer{Any: true, Owned: true, Fence: lost}, true},
		{"a move took it since", recovered, replica.LeftoversAnswer{Any: true, Owned: true, Fence: since}, false},
	} {
		if got := heldAsOwner(c.state, c.left); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
