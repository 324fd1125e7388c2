package cluster

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// TestJoinAndCommit: members that start before their seed join it; a command
// goes through a member that does not lead; owners are given once.
func TestJoinAndCommit(t *testing.T) {
	t.Parallel()
	f := newFakeNet()
	seed := newHost(t, f, "seed")
	early := []*host{newHost(t, f, "early1"), newHost(t, f, "early2")}
	joined := make(chan error, len(early))
	for _, h := range early {
		go func() { joined <- h.try(joining("nobody:1", seed.addr)) }()
	}
	seed.start(begin)
	for range early {
		if err := <-joined; err != nil {
			t.Fatal(err)
		}
	}
	all := append(early, seed)
	for _, h := range all {
		h.started()
		if got := h.node.Starts(); got != 1 {
			t.Errorf("%s: start %d", h.name, got)
		}
		h.until("all are up", func() bool { return len(h.node.Alive()) == 3 })
	}
	voting(seed, 3)

	other := follower(t, all)
	bt := replica.NewBucketType("sessions", 2)
	if err := other.node.Apply(within(t), Command{CreateBucketType: &bt}); err != nil {
		t.Fatal(err)
	}
	if _, ok := other.node.State().BucketType("sessions"); !ok {
		t.Error("a member does not see what it had agreed on")
	}
	if err := other.node.Apply(within(t), Command{CreateBucketType: &bt}); replica.KindOf(err) != replica.KindPrecondition {
		t.Errorf("the second of a name: %v", err)
	}

	if changed, err := other.node.Commit(within(t), ring.Epoch{}, 0, false); err != nil || !changed {
		t.Fatalf("commit: %v, %v", changed, err)
	}
	want := ring.Epoch{Generation: 1, Number: 1}
	for _, h := range all {
		h.until("it has the ring", func() bool { return h.node.State().Ring.Epoch() == want })
	}
	if changed, err := other.node.Commit(within(t), want, 1, false); err != nil || changed {
		t.Errorf("a commit of nothing: %v, %v", changed, err)
	}
	if _, err := other.node.Commit(within(t), ring.Epoch{}, 1, false); replica.KindOf(err) != replica.KindAborted {
		t.Errorf("a commit of an old plan: %v", err)
	}
	if _, err := other.node.Commit(within(t), want, 0, false); replica.KindOf(err) != replica.KindAborted {
		t.Errorf("a commit of a plan of another revision: %v", err)
	}
	late := newHost(t, f, "late")
	late.start(joining(early[0].addr))
	late.started()
	if changed, err := late.node.Commit(within(t), want, 1, false); err != nil || changed {
		t.Errorf("a member that joined gets nothing by itself: %v, %v", changed, err)
	}
}

// TestRestartInAnyOrder: what is agreed on is served before there is a leader.
func TestRestartInAnyOrder(t *testing.T) {
	t.Parallel()
	hosts := newCluster(t, newFakeNet(), 3)
	if _, err := hosts[1].node.Commit(within(t), ring.Epoch{}, 0, false); err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts {
		h.until("it has the ring", func() bool { return h.node.State().Ring.HasOwners() })
	}
	for _, h := range hosts {
		h.stop()
	}
	for _, i := range []int{2, 0, 1} {
		h := hosts[i]
		if err := h.prepare(); err != nil {
			t.Fatal(err)
		}
		if !h.node.State().Ring.HasOwners() {
			t.Errorf("%s forgot the ring", h.name)
		}
		if err := h.node.Start(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range hosts {
		h.started()
		if got := h.node.Starts(); got != 2 {
			t.Errorf("%s: start %d, want 2", h.name, got)
		}
	}
	bt := replica.NewBucketType("after", 1)
	if err := hosts[1].node.Apply(within(t), Command{CreateBucketType: &bt}); err != nil {
		t.Fatal(err)
	}
}

// TestAllAtOtherAddresses: each of two members has one hint; nobody is where it
// was, and one is where another was.
func TestAllAtOtherAddresses(t *testing.T) {
	t.Parallel()
	hosts := newCluster(t, newFakeNet(), 3)
	for _, h := range hosts {
		h.stop()
	}
	hosts[2].addr, hosts[1].addr, hosts[0].addr = hosts[0].addr, "moved1:1", "moved0:1"
	hosts[2].start()
	hosts[0].start(joining(hosts[2].addr))
	hosts[1].start(joining(hosts[0].addr))
	for _, h := range hosts {
		h.started()
	}
	for _, h := range hosts {
		for _, other := range hosts {
			if h != other {
				h.until("it finds "+other.name, func() bool {
					at, _ := h.node.Resolve(other.node.ID())
					return at == other.addr
				})
			}
		}
		h.until("all addresses are agreed on", func() bool {
			for _, other := range hosts {
				if h.node.State().Members[other.node.ID()].GRPC != other.addr {
					return false
				}
			}
			return true
		})
	}
}

// TestLeaderLost: the others elect another and commands go on.
func TestLeaderLost(t *testing.T) {
	t.Parallel()
	hosts := newCluster(t, newFakeNet(), 3)
	hosts[0].stop()
	for i, h := range hosts[1:] {
		bt := replica.NewBucketType(fmt.Sprint("after", i), 1)
		// While the lost one counts as leader, a command's fate is not known.
		unknown := false
		for ctx := within(t); ; {
			err := h.node.Apply(ctx, Command{CreateBucketType: &bt})
			kind := replica.KindOf(err)
			if err == nil || (unknown && kind == replica.KindPrecondition) {
				break // now, or by an attempt before
			}
			unknown = unknown || kind == replica.KindUnknown
			if kind != replica.KindUnknown && kind != replica.KindUnavailable {
				t.Fatal(err)
			}
			if !sleep(ctx, retryEvery) {
				t.Fatal(err)
			}
		}
	}
	hosts[0].start()
	hosts[0].started()
	if _, ok := hosts[0].node.State().BucketType("after1"); !ok {
		t.Error("the one that came back did not catch up")
	}
}

// TestJoinedButNeverUp: a member that joined and vanished holds up nobody.
func TestJoinedButNeverUp(t *testing.T) {
	t.Parallel()
	h := newCluster(t, newFakeNet(), 1)[0]
	ghost := Member{ID: memberID(9), Name: "ghost", GRPC: "ghost:1", Weight: 1, Role: RoleStorage}
	if err := h.node.Apply(within(t), Command{AddMember: &AddMember{Member: ghost}}); err != nil {
		t.Fatal(err)
	}
	h.until("the ghost is in the log", func() bool { return h.node.Roles()[ghost.ID] != "" })
	if got := h.node.Roles()[ghost.ID]; got != "nonvoter" {
		t.Fatalf("the ghost is a %s", got)
	}
	settings := DefaultSettings()
	settings.SiblingsMax = 7
	if err := h.node.Apply(within(t), Command{UpdateSettings: &settings}); err != nil {
		t.Fatal(err)
	}
	if got := h.node.State().Settings.SiblingsMax; got != 7 {
		t.Errorf("siblings_max is %d", got)
	}
}

// TestNoMajority: reads of the state go on, changes are refused by the deadline.
func TestNoMajority(t *testing.T) {
	t.Parallel()
	hosts := newCluster(t, newFakeNet(), 3)
	hosts[0].stop()
	hosts[1].stop()
	ctx, cancel := context.WithTimeout(within(t), time.Second)
	defer cancel()
	bt := replica.NewBucketType("never", 1)
	err := hosts[2].node.Apply(ctx, Command{CreateBucketType: &bt})
	if kind := replica.KindOf(err); err == nil || (kind != replica.KindUnavailable && kind != replica.KindUnknown) {
		t.Errorf("a change without a majority: %v", err)
	}
	if hosts[2].node.State() == nil {
		t.Error("no state is served")
	}
}

// TestAdopt: a newer state of the cluster is taken over, another's is not.
func TestAdopt(t *testing.T) {
	t.Parallel()
	f := newFakeNet()
	one := newHost(t, f, "one")
	one.start(begin)
	one.started()
	newer := *one.node.State()
	newer.Version += 100
	b, err := newer.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := one.node.Adopt(b); err != nil || one.node.State().Version != newer.Version {
		t.Errorf("a newer state: %v, version %d", err, one.node.State().Version)
	}
	newer.ClusterID, newer.Version = "another", newer.Version+1
	if b, err = newer.Encode(); err != nil {
		t.Fatal(err)
	}
	if err := one.node.Adopt(b); err == nil {
		t.Error("a state of another cluster was taken over")
	}
	if err := one.node.Adopt([]byte("{}")); err == nil {
		t.Error("an empty state was taken over")
	}
}
