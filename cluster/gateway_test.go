package cluster

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

func gateway(c *Config) { c.Role = RoleGateway }

func create(name string) Command {
	bt := replica.NewBucketType(name, 1)
	return Command{CreateBucketType: &bt}
}

// has waits until a host has heard of a bucket type.
func (h *host) has(name string) {
	h.t.Helper()
	h.until("it knows "+name, func() bool { _, ok := h.node.State().BucketType(name); return ok })
}

// TestGatewayFollows: it has things agreed on though it is no server of the log, hears
// of what others had agreed on, is a seed, and goes on with another leader.
func TestGatewayFollows(t *testing.T) {
	t.Parallel()
	f := newFakeNet()
	hosts := newCluster(t, f, 3)
	front := newHost(t, f, "front")
	front.start(gateway, joining(hosts[1].addr))
	front.started()
	if m := hosts[0].node.State().Members[front.node.ID()]; m.Role != RoleGateway || m.Starts != 1 {
		t.Errorf("the others know it as %+v", m)
	}
	if _, err := os.Stat(front.dir.Path(raftDir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it has a log of its own: %v", err)
	}
	if err := front.node.Apply(within(t), create("one")); err != nil {
		t.Fatal(err)
	}
	if _, ok := front.node.State().BucketType("one"); !ok {
		t.Error("it does not see what it had agreed on")
	}
	if err := hosts[0].node.Apply(within(t), create("two")); err != nil {
		t.Fatal(err)
	}
	front.has("two")

	late := newHost(t, f, "late")
	late.start(joining(front.addr))
	late.started()
	another := newHost(t, f, "another")
	another.start(gateway, joining(front.addr))
	another.started()

	leader, ok := front.node.leads()
	if !ok {
		t.Fatal("it does not know who leads")
	}
	for _, h := range hosts {
		if h.node.ID() == leader {
			h.stop()
			break
		}
	}
	for ctx := within(t); ; {
		err := front.node.Apply(ctx, create("three"))
		if err == nil || replica.KindOf(err) == replica.KindPrecondition { // of an attempt that seemed lost
			break
		}
		if !sleep(ctx, retryEvery) {
			t.Fatalf("with another leader: %v", err)
		}
	}
	another.has("three")
	for id, role := range late.node.Roles() {
		if id == front.node.ID() || id == another.node.ID() {
			t.Errorf("a gateway is a %s in the log", role)
		}
	}
}

// TestGatewayIsRemoved: at once, without a plan; it is told and ends.
func TestGatewayIsRemoved(t *testing.T) {
	t.Parallel()
	f := newFakeNet()
	hosts := newCluster(t, f, 1)
	front := newHost(t, f, "front")
	front.start(gateway, joining(hosts[0].addr))
	front.started()
	id := front.node.ID()
	if err := hosts[0].node.Apply(within(t), Command{Stage: &Stage{map[ring.MemberID]Change{id: {Join: true}}}}); replica.KindOf(err) != replica.KindPrecondition {
		t.Errorf("a gateway that is to get slots: %v", err)
	}
	if err := hosts[0].node.Apply(within(t), Command{RemoveMember: &RemoveMember{id}}); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-front.node.Failed():
		mustSay(t, err, "removed", "another name")
	case <-within(t).Done():
		t.Fatal("it does not end")
	}
	front.stop()
	mustSay(t, front.try(gateway), "removed")
}

// TestKeepsItsRole: a directory that stored is no gateway's, nor the other way round.
func TestKeepsItsRole(t *testing.T) {
	t.Parallel()
	f := newFakeNet()
	hosts := newCluster(t, f, 2)
	front := newHost(t, f, "front")
	front.start(gateway, joining(hosts[0].addr))
	front.started()
	front.stop()
	mustSay(t, front.try(joining(hosts[0].addr)), "gateway member", "--role gateway")
	front.start(gateway)
	front.started()
	if got := front.node.Starts(); got != 2 {
		t.Errorf("start %d, want 2", got)
	}
	hosts[1].stop()
	mustSay(t, hosts[1].try(gateway), "storage member", "--role storage")
}
