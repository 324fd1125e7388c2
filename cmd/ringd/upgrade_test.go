package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/internal/peer"
	"github.com/ringd/ringd/internal/peer/peerpb"
	"github.com/ringd/ringd/internal/proctest"
	"github.com/ringd/ringd/ring"
)

// call asks a member as another member would, and returns the state that it
// answers with. An error that it answers with is told, those of the call fail.
func call(t *testing.T, p *proctest.Process, kind string, command *cluster.Command) (*cluster.State, error) {
	t.Helper()
	clusterID, from := proctest.Status(t, p).ClusterId, ring.MemberID{15: 99}
	question := map[string]any{"cluster": clusterID, "from": from}
	if command != nil {
		raw, err := command.Encode()
		if err != nil {
			t.Fatal(err)
		}
		question["command"] = json.RawMessage(raw)
	}
	body, err := json.Marshal(question)
	if err != nil {
		t.Fatal(err)
	}
	response, err := peerpb.NewPeerClient(proctest.Conn(t, p)).Control(within(t), &peerpb.ControlRequest{
		Hello: &peerpb.Hello{ClusterId: clusterID, Member: from[:], WireMin: peer.WireMin, WireMax: peer.WireMax}, Kind: kind, Body: body,
	})
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Error *struct{ Message string }
		State json.RawMessage
	}
	if err := json.Unmarshal(response.GetBody(), &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Error != nil {
		return nil, errors.New(answer.Error.Message)
	}
	state, err := cluster.DecodeState(answer.State)
	if err != nil {
		t.Fatal(err)
	}
	return state, nil
}

// propose has the leader put a command into the log.
func propose(t *testing.T, c *proctest.Cluster, command cluster.Command) (*cluster.State, error) {
	t.Helper()
	var leader *proctest.Process
	proctest.Wait(t, "a leader", func(context.Context) error {
		name := proctest.Status(t, c.Members[0]).Leader
		for _, m := range c.Members {
			if m.Name == name {
				leader = m
				return nil
			}
		}
		return errors.New("there is none")
	})
	return call(t, leader, "apply", &command)
}

// aMove is a plan that gives one slot to a member that has none in its partition.
func aMove(s *cluster.State) cluster.Command {
	plan := cluster.CommitPlan{Epoch: s.Ring.Epoch(), Revision: s.Revision}
	plan.Moves = slices.Grow(plan.Moves, 1)[:1]
	m, owners := &plan.Moves[0], s.Ring.Owners(0)
	m.From = owners[0]
	for id := range s.Members {
		if !slices.Contains(owners, id) {
			m.To = id
		}
	}
	return cluster.Command{CommitPlan: &plan}
}

// waitWire waits until all members say that the cluster speaks a version, and that
// m2 speaks no more.
func waitWire(t *testing.T, c *proctest.Cluster, wire uint32) {
	t.Helper()
	for _, p := range c.Members {
		proctest.Wait(t, fmt.Sprintf("%s to say that version %d is spoken", p.Name, wire), func(ctx context.Context) error {
			s, err := proctest.Admin(t, p).Status(ctx, &ringdv1.StatusRequest{})
			if err != nil {
				return err
			}
			if s.WireVersion != wire {
				return fmt.Errorf("it says %d", s.WireVersion)
			}
			for _, m := range s.Members {
				want := uint32(peer.WireMax)
				if m.Name == "m2" {
					want = wire
				}
				if m.WireVersion != want || (len(m.Capabilities) > 0) != (want == peer.WireMax) {
					return fmt.Errorf("%s speaks %d and can do %q", m.Name, m.WireVersion, m.Capabilities)
				}
			}
			return nil
		})
	}
}

// reversion has m2 run as another release does.
func reversion(t *testing.T, c *proctest.Cluster, args ...string) {
	t.Helper()
	c.Members[2].Stop()
	c.Members[2].Start(args...)
	c.WaitServing()
}

// TestUpgradeOneByOne: beside a member of the release before, all goes on that it
// can do; what it can't is refused, until it is upgraded too.
func TestUpgradeOneByOne(t *testing.T) {
	t.Parallel()
	c := proctest.Start(t, 5)
	set(t, c, map[string]string{"anti_entropy_every": "0"})
	reversion(t, c, "--wire-max", "2")
	waitWire(t, c, 2)

	// Reads, writes and hints; m4 is down meanwhile.
	diverge(t, c)
	before, _ := totals(t, c)
	if before.Stored == 0 {
		t.Fatal("a member missed writes, and there are no hints")
	}
	c.Members[4].Start()
	c.WaitServing()
	proctest.Wait(t, "the hints to be delivered", func(context.Context) error {
		if h, _ := totals(t, c); h.Delivered < before.Stored || h.Kept > 0 {
			return fmt.Errorf("%+v", h)
		}
		return nil
	})
	if n := differing(t, c.Members[2]); n > 0 {
		t.Fatalf("%d keys differ", n)
	}
	checkDiverged(t, c)

	// Anti-entropy, by the member of the release before, too.
	set(t, c, map[string]string{"hint_bytes_max": "0"})
	for _, p := range c.Members {
		proctest.Wait(t, p.Name+" to know that there are to be no hints", func(context.Context) error {
			s, err := call(t, p, "state", nil)
			if err == nil && s.Settings.HintBytesMax > 0 {
				err = errors.New("it does not")
			}
			return err
		})
	}
	c.Members[4].Kill()
	b := c.Client().Bucket("b")
	every(t, 0, changed, func(ctx context.Context, key string) error {
		o, err := b.Get(ctx, key)
		if err == nil {
			_, err = b.Put(ctx, key, []byte("changed"), client.Replaces(o.Context))
		}
		return err
	})
	c.Members[4].Start()
	c.WaitServing()
	differ := differing(t, c.Members[0])
	if sent := repair(t, c); differ == 0 || sent != differ {
		t.Fatalf("%d keys differed, and %d objects were sent", differ, sent)
	}
	if n := differing(t, c.Members[2]); n > 0 {
		t.Fatalf("%d keys differ after the repair", n)
	}
	checkDiverged(t, c)

	// What the cluster can't do before all can.
	status := proctest.Status(t, c.Members[0])
	if len(status.Warnings) != 1 {
		t.Errorf("warnings: %q", status.Warnings)
	}
	mustSay(t, fmt.Sprint(status.Warnings), "still to be upgraded: m2")
	state, err := call(t, c.Members[2], "state", nil)
	if err != nil {
		t.Fatal(err)
	}
	heavier := cluster.Command{Stage: &cluster.Stage{Changes: map[ring.MemberID]cluster.Change{state.Ring.Owners(0)[0]: {Weight: 2}}}}
	refused := func(what string, command cluster.Command) {
		t.Helper()
		if _, err := propose(t, c, command); err == nil {
			t.Errorf("%s was accepted", what)
		} else {
			mustSay(t, err.Error(), `"moves"`, "upgrade", "m2 (wire version 2)")
		}
	}
	refused("a staged change", heavier)
	reversion(t, c)
	waitWire(t, c, peer.WireMax)
	if state, err = propose(t, c, heavier); err != nil {
		t.Fatal(err)
	}
	reversion(t, c, "--wire-max", "2")
	waitWire(t, c, 2)
	refused("a commit", aMove(state))
	reversion(t, c)
	waitWire(t, c, peer.WireMax)
	if state, err = propose(t, c, aMove(state)); err != nil {
		t.Fatalf("a commit, once all are upgraded: %v", err)
	}
	if state.LastMove != 1 {
		t.Errorf("the commit led to %d moves", state.LastMove)
	}
}

func TestRefusesWireMaxThatThereIsNot(t *testing.T) {
	t.Parallel()
	for _, n := range []string{"0", "99"} {
		m := proctest.New(t, "m0", t.TempDir())
		mustSay(t, m.StartRefused("--bootstrap", "--wire-max", n), "--wire-max is "+n, fmt.Sprintf("versions %d to %d", peer.WireMin, peer.WireMax))
	}
}
