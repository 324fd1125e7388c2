package main

import (
	"syscall"
	"testing"

	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/internal/proctest"
)

// TestKillOneMember: with the default quorum, writes go on while a member is
// killed, and what was acknowledged is read, before and after it is back.
func TestKillOneMember(t *testing.T) {
	cluster := proctest.Start(t, 3)
	c := cluster.Client()
	w := write(c, "b", 16)
	w.until(t, 500)
	cluster.Members[1].Kill()
	w.until(t, 500)
	acked, failed := w.end()
	if len(failed) > 0 {
		t.Fatalf("%d writes failed, the first: %v", len(failed), failed[0])
	}
	readAll(t, c.Bucket("b"), acked, client.R(2))
	cluster.Members[1].Start()
	cluster.WaitServing()
	readAll(t, c.Bucket("b"), acked, client.R(2))
	t.Logf("%d writes were acknowledged", len(acked))
}

// TestKillAllMembers: what was acknowledged before all members were killed at
// once is there when they are back.
func TestKillAllMembers(t *testing.T) {
	cluster := proctest.Start(t, 3)
	c := cluster.Client()
	w := write(c, "b", 16)
	w.until(t, 500)
	for _, m := range cluster.Members {
		m.Signal(syscall.SIGKILL)
	}
	for _, m := range cluster.Members {
		m.Kill() // waits
	}
	var hints []string
	for _, m := range cluster.Members {
		m.Start(hints...)
		// They come back at other ports: each is told where one of them is.
		hints = []string{"--join", m.At.GRPC}
	}
	cluster.WaitServing()
	acked, _ := w.end()
	readAll(t, cluster.Client().Bucket("b"), acked, client.R(2))
	t.Logf("%d writes were acknowledged", len(acked))
}

// TestCleanRestarts stops and starts members one after another, in an order of
// its own, under writes.
func TestCleanRestarts(t *testing.T) {
	cluster := proctest.Start(t, 3)
	c := cluster.Client()
	w := write(c, "b", 8)
	for _, i := range []int{2, 0, 1} {
		w.until(t, 100)
		cluster.Members[i].Stop()
		w.until(t, 100)
		cluster.Members[i].Start()
		cluster.WaitServing()
	}
	acked, failed := w.end()
	if len(failed) > 0 {
		t.Fatalf("%d writes failed, the first: %v", len(failed), failed[0])
	}
	readAll(t, c.Bucket("b"), acked, client.R(2))
}
