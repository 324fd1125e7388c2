package main

import (
	"testing"

	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/internal/proctest"
)

// TestAllAddressesChange: every process of proctest takes free ports, so a
// cluster whose members all stop comes back at other addresses. One hint each is
// enough; so is none for a single member that comes back to the others.
func TestAllAddressesChange(t *testing.T) {
	t.Parallel()
	cluster := proctest.Start(t, 3)
	c := cluster.Client()
	if _, err := c.Bucket("b").Put(within(t), "k", []byte("value of k")); err != nil {
		t.Fatal(err)
	}
	before := cluster.Addrs()
	for _, m := range cluster.Members {
		m.Stop()
	}
	cluster.Members[2].Start()
	cluster.Members[0].Start("--join", cluster.Members[2].At.GRPC)
	cluster.Members[1].Start("--join", cluster.Members[0].At.GRPC)
	cluster.WaitServing()
	for i, addr := range cluster.Addrs() {
		if addr == before[i] {
			t.Skipf("%s was free again", addr)
		}
	}
	readAll(t, cluster.Client().Bucket("b"), []string{"k"}, client.R(client.All))

	cluster.Members[1].Stop()
	cluster.Members[1].Start()
	cluster.WaitServing()
	readAll(t, cluster.Client().Bucket("b"), []string{"k"}, client.R(client.All))
}
