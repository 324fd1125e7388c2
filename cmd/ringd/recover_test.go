package main

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/internal/proctest"
)

// follows waits until a member is in a recovery generation and knows its leader.
func follows(t *testing.T, p *proctest.Process, generation uint64) {
	t.Helper()
	proctest.Wait(t, fmt.Sprintf("%s to follow generation %d", p.Name, generation), func(ctx context.Context) error {
		s, err := proctest.Admin(t, p).Status(ctx, &ringdv1.StatusRequest{})
		if err == nil && (s.Epoch.GetGeneration() != generation || s.Leader == "") {
			err = fmt.Errorf("ring %v, leader %q", s.Epoch, s.Leader)
		}
		return err
	})
}

// TestRecover: three of five are killed, for good but for one. At one of the two that
// are left a person begins a new generation; the one that comes back follows it, the
// lost ones are removed, and what the others had is there.
func TestRecover(t *testing.T) {
	watchesProcesses(t)
	c := proctest.Start(t, 5)
	b := c.Client().Bucket("b")
	every(t, 0, 50, func(ctx context.Context, key string) error {
		_, err := b.Put(ctx, key, []byte("v"), client.W(client.All))
		return err
	})
	recoverAt := func(p *proctest.Process) (string, error) {
		out, err := exec.Command(proctest.Binary(t, "ringctl"), "--addr", p.At.GRPC, "recover", "--i-accept-data-loss").CombinedOutput()
		return string(out), err
	}
	if out, err := recoverAt(c.Members[3]); err == nil || !strings.Contains(out, "have a leader") {
		t.Errorf("with a leader: %v\n%s", err, out)
	}
	for _, m := range c.Members[:3] {
		m.Kill()
	}
	back := c.Members[2]
	c.Members = c.Members[3:]
	proctest.Wait(t, "the loss of the leader to be noticed", func(context.Context) error {
		for _, m := range c.Members {
			if s := proctest.Status(t, m); s.Leader != "" {
				return fmt.Errorf("%s leads", s.Leader)
			}
		}
		return nil
	})
	out, err := recoverAt(c.Members[0])
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	mustSay(t, out, "Recovery generation 2 has begun at m3", "reached: m4")
	for _, m := range c.Members {
		follows(t, m, 2)
		mustSay(t, m.Log(), "a recovery began a new generation")
	}
	back.Start()
	follows(t, back, 2)
	c.Members = append(c.Members, back)
	c.WaitServing()
	lossy(t, c.Members[1], change("m0", ringdv1.MemberChange_REMOVE), change("m1", ringdv1.MemberChange_REMOVE))
	settled(t, c.Members[1], c.Members...)
	even(t, c.Members[0], "m2", "m3", "m4")
	// Each partition had one owner at least among those that are left.
	b = c.Client().Bucket("b")
	every(t, 0, 50, func(ctx context.Context, key string) error {
		_, err := b.Get(ctx, key)
		return err
	})
	agree(t, c.Members[0])
}

// TestRecoverGoesBack: slots have moved, and nobody knows at whom a recovery begins.
// Who gets a slot back has dropped what was in it, and who loses it is the only one
// that holds what was acknowledged: it gives that back, and drops it only then.
func TestRecoverGoesBack(t *testing.T) {
	watchesProcesses(t)
	c := proctest.Start(t, 5)
	admin := proctest.Admin(t, c.Members[0])
	if _, err := admin.CreateBucketType(within(t), &ringdv1.CreateBucketTypeRequest{BucketType: &ringdv1.BucketType{Name: "lone", N: 1}}); err != nil {
		t.Fatal(err)
	}
	proctest.Wait(t, "all to have a vote", func(ctx context.Context) error {
		r, err := admin.Members(ctx, &ringdv1.MembersRequest{})
		if err != nil {
			return err
		}
		votes := 0
		for _, m := range r.Members {
			if m.Raft == "voter" || m.Raft == "leader" {
				votes++
			}
		}
		if votes < 5 {
			return fmt.Errorf("%d have", votes)
		}
		return nil
	})
	newer, older := c.Members[:3], c.Members[3:]
	owner := func(p *proctest.Process, key string) string {
		r, err := proctest.Admin(t, p).Ring(within(t), &ringdv1.RingRequest{Key: keyIn("lone", "b", key)})
		if err != nil {
			t.Fatal(err)
		}
		return r.Members[r.Rows[0].Owners[0]].Name
	}
	var keys []string
	before := make(map[string]string)
	for i := range 400 {
		key := fmt.Sprintf("k%d", i)
		if name := owner(newer[0], key); name != "m3" && name != "m4" {
			keys, before[key] = append(keys, key), name
		}
	}
	b := c.Client().BucketType("lone").Bucket("b")
	put := func(value string) {
		for _, key := range keys {
			if _, err := b.Put(within(t), key, []byte(value)); err != nil {
				t.Fatal(err)
			}
		}
	}
	put("before")
	for _, m := range older {
		m.Stop()
	}
	weight := uint32(400)
	lossy(t, newer[0], &ringdv1.MemberChange{Member: "m2", Weight: &weight})
	for _, m := range newer {
		proctest.Wait(t, m.Name+" to see all moves done that can be", func(ctx context.Context) error {
			s, err := proctest.Admin(t, m).Status(ctx, &ringdv1.StatusRequest{})
			if err != nil {
				return err
			}
			for _, move := range s.Moves.GetActive() {
				if move.From != "m3" && move.From != "m4" {
					return fmt.Errorf("of %s: %v", move.From, move)
				}
			}
			return nil
		})
	}
	var moved []string
	for _, key := range keys {
		if now := owner(newer[0], key); now != before[key] {
			moved = append(moved, key)
		}
	}
	if len(moved) < 5 {
		t.Fatalf("%d of %d have moved", len(moved), len(keys))
	}
	c.Members = newer
	put("after")
	for _, m := range newer {
		m.Stop()
	}
	older[0].Start()
	out, err := exec.Command(proctest.Binary(t, "ringctl"), "--addr", older[0].At.GRPC, "recover", "--i-accept-data-loss").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// All ports are others by now.
	for _, m := range slices.Concat(newer, older[1:]) {
		m.Start("--join", older[0].At.GRPC)
	}
	c.Members = slices.Concat(older, newer)
	for _, m := range c.Members {
		follows(t, m, 2)
	}
	c.WaitServing()
	b = c.Client().BucketType("lone").Bucket("b")
	for _, key := range moved {
		if now := owner(older[0], key); now != before[key] {
			t.Fatalf("%s is owned by %s, and was by %s", key, now, before[key])
		}
		proctest.Wait(t, key+" to be given back", func(ctx context.Context) error {
			o, err := b.Get(ctx, key)
			if err == nil && string(o.Siblings[0].Value) != "after" {
				err = fmt.Errorf("it is %q", o.Siblings[0].Value)
			}
			return err
		})
	}
}
