package proctest

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
)

// Cluster is some members of one cluster.
type Cluster struct {
	Members []*Process
	t       testing.TB
}

// Start starts n members on 127.0.0.1, joins them, and gives them the
// partitions.
func Start(t testing.TB, n int, args ...string) *Cluster {
	t.Helper()
	dir := t.TempDir()
	c := &Cluster{t: t}
	for i := range n {
		p := New(t, fmt.Sprintf("m%d", i), filepath.Join(dir, fmt.Sprint(i)), Args(args...))
		c.Members = append(c.Members, p)
	}
	c.StartAll(min(3, n))
	return c
}

// StartAll starts the members of a new cluster and commits its first ring.
func (c *Cluster) StartAll(replicas int) {
	c.t.Helper()
	c.Members[0].Start("--bootstrap", "--replicas", fmt.Sprint(replicas), "--partitions", "32")
	for _, m := range c.Members[1:] {
		m.Start("--join", c.Members[0].At.GRPC)
	}
	c.Commit()
	c.WaitServing()
}

// Commit gives the members the partitions.
func (c *Cluster) Commit() {
	c.t.Helper()
	admin := Admin(c.t, c.Members[0])
	Wait(c.t, "all members to be known and the first ring to be committed", func(ctx context.Context) error {
		status, err := admin.Status(ctx, &ringdv1.StatusRequest{})
		if err != nil {
			return err
		}
		if len(status.Members) < len(c.Members) {
			return fmt.Errorf("%d of %d members", len(status.Members), len(c.Members))
		}
		_, err = admin.Commit(ctx, &ringdv1.CommitRequest{Epoch: status.Epoch})
		return err
	})
}

// WaitServing waits until every member that runs has the ring and sees all
// others that run.
func (c *Cluster) WaitServing() {
	c.t.Helper()
	running := 0
	for _, m := range c.Members {
		if m.Running() {
			running++
		}
	}
	for _, m := range c.Members {
		if !m.Running() {
			continue
		}
		admin := Admin(c.t, m)
		Wait(c.t, m.Name+" to serve and see the others", func(ctx context.Context) error {
			status, err := admin.Status(ctx, &ringdv1.StatusRequest{})
			if err != nil {
				return err
			}
			alive := 0
			for _, o := range status.Members {
				if o.Liveness == ringdv1.Member_ALIVE {
					alive++
				}
			}
			if !status.HasOwners || alive < running {
				return fmt.Errorf("has owners: %v; sees %d of %d", status.HasOwners, alive, running)
			}
			return nil
		})
	}
}

// Addrs are the gRPC addresses of the members that run.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, m := range c.Members {
		if m.Running() {
			addrs = append(addrs, m.At.GRPC)
		}
	}
	return addrs
}

// Client returns a client of the members that run.
func (c *Cluster) Client() *client.Client {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Within)
	defer cancel()
	cl, err := client.Dial(ctx, c.Addrs()...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = cl.Close() })
	return cl
}

// Conn returns a connection to one member.
func Conn(t testing.TB, p *Process) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(p.At.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// Admin returns the Admin service of one member.
func Admin(t testing.TB, p *Process) ringdv1.AdminClient {
	t.Helper()
	return ringdv1.NewAdminClient(Conn(t, p))
}

// KV returns the KV service of one member: requests go to it and no other.
func KV(t testing.TB, p *Process) ringdv1.KVClient {
	t.Helper()
	return ringdv1.NewKVClient(Conn(t, p))
}

// Wait asks again and again until there is no error, and fails the test if that
// takes too long.
func Wait(t testing.TB, what string, ask func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Within)
	defer cancel()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		try, stop := context.WithTimeout(ctx, 5*time.Second)
		err := ask(try)
		stop()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waiting for %s: %v", what, err)
		}
	}
}

// Status is what a member says of itself and the cluster.
func Status(t testing.TB, p *Process) *ringdv1.StatusResponse {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Within)
	defer cancel()
	s, err := Admin(t, p).Status(ctx, &ringdv1.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
