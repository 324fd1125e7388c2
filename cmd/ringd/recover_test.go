package main

import (
	"context"
	"fmt"
	"os/exec"
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
