package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/internal/proctest"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
	"github.com/ringd/ringd/storage/pebblestore"
	"github.com/ringd/ringd/vnode"
)

// last reads a stream of progress to its end.
func last[T any](t *testing.T, s grpc.ServerStreamingClient[T], err error) *T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var final *T
	for {
		m, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return final
		}
		if err != nil {
			t.Fatal(err)
		}
		final = m
	}
}

// differing compares all owners of all keys, once all of them can be reached.
func differing(t *testing.T, p *proctest.Process) (keys uint64) {
	t.Helper()
	proctest.Wait(t, "all owners to be compared", func(context.Context) error {
		s, err := proctest.Admin(t, p).Verify(within(t), &ringdv1.VerifyRequest{})
		if err != nil {
			return err
		}
		// Each message is about one more partition, and its owners.
		var unreachable []string
		for {
			v, err := s.Recv()
			switch {
			case errors.Is(err, io.EOF) && len(unreachable) == 0:
				return nil
			case errors.Is(err, io.EOF):
				return fmt.Errorf("%d partitions were not compared: %s", len(unreachable), unreachable[0])
			case err != nil:
				return err
			}
			keys, unreachable = v.KeysDiffer, append(unreachable, v.Unreachable...)
		}
	})
	return keys
}

// repair runs a round of anti-entropy at every member, and returns the objects
// that were sent.
func repair(t *testing.T, c *proctest.Cluster) (sent uint64) {
	t.Helper()
	for _, m := range c.Members {
		s, err := proctest.Admin(t, m).Repair(within(t), &ringdv1.RepairRequest{})
		r := last(t, s, err)
		if r.SessionsFailed > 0 {
			t.Fatalf("%s: %d sessions failed: %s", m.Name, r.SessionsFailed, r.LastError)
		}
		sent += r.ObjectsSent
	}
	return sent
}

// totals sums up what the members tell of hints and anti-entropy.
func totals(t *testing.T, c *proctest.Cluster) (hints *ringdv1.TransfersResponse_Hints, sent uint64) {
	t.Helper()
	hints = new(ringdv1.TransfersResponse_Hints)
	for _, m := range c.Members {
		if !m.Running() {
			continue
		}
		r, err := proctest.Admin(t, m).Transfers(within(t), &ringdv1.TransfersRequest{})
		if err != nil {
			t.Fatal(err)
		}
		hints.Kept += r.Hints.Kept
		hints.Stored += r.Hints.Stored
		hints.Delivered += r.Hints.Delivered
		hints.Dropped += r.Hints.Dropped
		hints.Refused += r.Hints.Refused
		sent += r.AntiEntropy.ObjectsSent
	}
	return hints, sent
}

func set(t testing.TB, c *proctest.Cluster, values map[string]string) {
	t.Helper()
	if _, err := proctest.Admin(t, c.Members[0]).UpdateSettings(within(t), &ringdv1.UpdateSettingsRequest{Values: values}); err != nil {
		t.Fatal(err)
	}
}

// every does something to n keys, many at a time.
func every(t *testing.T, from, to int, do func(ctx context.Context, key string) error) {
	t.Helper()
	keys := make(chan int)
	var running sync.WaitGroup
	for range 32 {
		running.Go(func() {
			for i := range keys {
				if err := do(within(t), fmt.Sprintf("k%d", i)); err != nil {
					t.Errorf("k%d: %v", i, err)
				}
			}
		})
	}
	for i := from; i < to; i++ {
		keys <- i
	}
	close(keys)
	running.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

const (
	loaded  = 1500
	changed = 500 // the first of them
	deleted = 100 // the next
	created = 100
)

// diverge loads keys, and changes, deletes and creates some while m4 is down.
func diverge(t *testing.T, c *proctest.Cluster) {
	t.Helper()
	load(t, c)
	c.Members[4].Kill()
	b := c.Client().Bucket("b")
	every(t, 0, changed, func(ctx context.Context, key string) error {
		o, err := b.Get(ctx, key)
		if err == nil {
			_, err = b.Put(ctx, key, []byte("changed"), client.Replaces(o.Context))
		}
		return err
	})
	every(t, changed, changed+deleted, func(ctx context.Context, key string) error {
		_, err := b.Delete(ctx, key)
		return err
	})
	every(t, loaded, loaded+created, func(ctx context.Context, key string) error {
		_, err := b.Put(ctx, key, []byte("created"))
		return err
	})
}

func load(t *testing.T, c *proctest.Cluster) {
	t.Helper()
	b := c.Client().Bucket("b")
	every(t, 0, loaded, func(ctx context.Context, key string) error {
		_, err := b.Put(ctx, key, []byte("loaded"), client.W(client.All))
		return err
	})
}

// checkDiverged reads what diverge left, from one member more than would do.
func checkDiverged(t *testing.T, c *proctest.Cluster) {
	t.Helper()
	b := c.Client().Bucket("b")
	every(t, 0, loaded+created, func(ctx context.Context, key string) error {
		o, err := b.Get(ctx, key, client.R(client.All))
		var n int
		_, _ = fmt.Sscanf(key, "k%d", &n)
		if n >= changed && n < changed+deleted {
			if !errors.Is(err, client.ErrNotFound) {
				return fmt.Errorf("deleted, and %v", err)
			}
			return nil
		}
		if err != nil {
			return err
		}
		want := map[bool]string{true: "changed", false: "loaded"}[n < changed]
		if n >= loaded {
			want = "created"
		}
		if v, err := o.Value(); err != nil || string(v) != want {
			return fmt.Errorf("%q, %v instead of %s", v, err, want)
		}
		return nil
	})
}

// TestHintsBringBackAMember: what a member missed is brought to it by hints, and
// nothing is left for anti-entropy.
func TestHintsBringBackAMember(t *testing.T) {
	t.Parallel()
	c := proctest.Start(t, 5)
	diverge(t, c)
	before, _ := totals(t, c)
	if before.Stored == 0 || before.Kept != 0 && before.Kept > before.Stored {
		t.Fatalf("hints: %+v", before)
	}
	c.Members[4].Start()
	c.WaitServing()
	proctest.Wait(t, "the hints to be delivered", func(context.Context) error {
		if h, _ := totals(t, c); h.Delivered < before.Stored || h.Kept > 0 {
			return fmt.Errorf("%+v", h)
		}
		return nil
	})
	if n := differing(t, c.Members[0]); n > 0 {
		t.Fatalf("%d keys differ", n)
	}
	if n := repair(t, c); n > 0 {
		t.Fatalf("%d objects were sent by anti-entropy", n)
	}
	h, _ := totals(t, c)
	t.Logf("hints: %d stored, %d delivered, %d dropped, %d refused", h.Stored, h.Delivered, h.Dropped, h.Refused)
	if h.Dropped > 0 || h.Refused > 0 {
		t.Fatalf("%+v", h)
	}
	checkDiverged(t, c)
}

// TestAntiEntropyAlone: without hints, anti-entropy sends as many objects as keys
// differ, and no more.
func TestAntiEntropyAlone(t *testing.T) {
	t.Parallel()
	c := proctest.Start(t, 5)
	set(t, c, map[string]string{"hint_bytes_max": "0", "anti_entropy_every": "0"})
	diverge(t, c)
	h, _ := totals(t, c)
	if h.Stored > 0 {
		t.Fatalf("hints are switched off: %+v", h)
	}
	c.Members[4].Start()
	c.WaitServing()
	differ := differing(t, c.Members[0])
	if differ == 0 {
		t.Fatal("a member missed writes, and no key differs")
	}
	sent := repair(t, c)
	t.Logf("%d keys differed, %d objects were sent", differ, sent)
	if sent != differ {
		t.Fatalf("%d objects were sent for %d keys that differed", sent, differ)
	}
	if n := differing(t, c.Members[1]); n > 0 {
		t.Fatalf("%d keys differ after the repair", n)
	}
	if n := repair(t, c); n > 0 {
		t.Fatalf("%d objects were sent right after", n)
	}
	checkDiverged(t, c)
}

// TestEmptiedStoreIsRefilled: the data of a stopped member is removed, but not its
// identity. It takes new actors, answers nothing that it doesn't know, and gets
// everything back without a person.
func TestEmptiedStoreIsRefilled(t *testing.T) {
	t.Parallel()
	c := proctest.Start(t, 5)
	load(t, c)
	m := c.Members[4]
	m.Stop()
	empty(t, m)
	m.Start()
	c.WaitServing()
	// While it is refilled, too, nothing is lost.
	b := c.Client().Bucket("b")
	check := func() {
		every(t, 0, loaded, func(ctx context.Context, key string) error {
			o, err := b.Get(ctx, key)
			if err != nil {
				return err
			}
			_, err = o.Value()
			return err
		})
	}
	check()
	proctest.Wait(t, "the member to be refilled", func(ctx context.Context) error {
		s, err := proctest.Admin(t, c.Members[0]).Verify(ctx, &ringdv1.VerifyRequest{})
		if err != nil {
			return err
		}
		for {
			v, err := s.Recv()
			if err != nil {
				return err
			}
			if len(v.Unreachable) > 0 {
				return errors.New(v.Unreachable[0])
			}
			if v.Done {
				if v.KeysDiffer > 0 {
					return fmt.Errorf("%d keys differ", v.KeysDiffer)
				}
				return nil
			}
		}
	})
	check()
	if n := metric(t, m, "ringd_vnode_new_actors_total"); n != 0 {
		t.Logf("%v new actors before any write", n)
	}
	every(t, 0, 200, func(ctx context.Context, key string) error {
		_, err := b.Put(ctx, key+"new", []byte("v"))
		return err
	})
	if metric(t, m, "ringd_vnode_new_actors_total") == 0 {
		t.Error("the member goes on with the actors that it had before its data was lost")
	}
	if n := repair(t, c); n > 0 {
		t.Fatalf("%d objects were sent right after", n)
	}
}

// TestLossIsMadeGoodAfterACrash: a member finds out that its store lost data, notes
// it, and dies before it has done anything about it. The next start does: what is
// left of the data is in the hash trees again, so that others get it.
func TestLossIsMadeGoodAfterACrash(t *testing.T) {
	t.Parallel()
	c := proctest.Start(t, 3)
	set(t, c, map[string]string{"anti_entropy_every": "0"})
	load(t, c)
	m := c.Members[2]
	m.Stop()
	loseIndexes(t, m)
	m.Start()
	c.WaitServing()
	proctest.Wait(t, "the member to have compared what it has", func(ctx context.Context) error {
		s, err := proctest.Admin(t, c.Members[0]).Verify(ctx, &ringdv1.VerifyRequest{})
		if err != nil {
			return err
		}
		for {
			v, err := s.Recv()
			if err != nil || v.Done {
				return err
			}
			if len(v.Unreachable) > 0 {
				return errors.New(v.Unreachable[0])
			}
		}
	})
	s, err := proctest.Admin(t, m).CheckTrees(within(t), &ringdv1.CheckTreesRequest{})
	if check := last(t, s, err); check.EntriesWrong > 0 || check.SumsWrong > 0 {
		t.Fatalf("%d entries and %d sums of the hash trees are wrong", check.EntriesWrong, check.SumsWrong)
	}
	if n := repair(t, c); n > 0 {
		t.Fatalf("%d objects were sent between owners that agree", n)
	}
}

// loseIndexes leaves a stopped member's store as identifying it does when part of
// it is gone: the objects that are left, and a note at every vnode.
func loseIndexes(t *testing.T, m *proctest.Process) {
	t.Helper()
	store, err := pebblestore.Open(filepath.Join(m.Dir, "store"), pebblestore.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	b := new(storage.Batch)
	for p := range 32 {
		err = errors.Join(err, vnode.Lose(b, store, ring.PartitionID(p), 3, true, 0, 0))
	}
	commit, cerr := store.Apply(b)
	if cerr == nil {
		cerr = commit.Wait()
	}
	if err := errors.Join(err, cerr, store.Close()); err != nil {
		t.Fatal(err)
	}
}

// metric reads one of a member's metrics.
func metric(t *testing.T, m *proctest.Process, name string) float64 {
	t.Helper()
	r, err := http.Get("http://" + m.At.HTTP + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(body), "\n"+name+" ")
	var n float64
	if _, err := fmt.Sscan(rest, &n); !ok || err != nil {
		t.Fatalf("%s has no %s: %v", m.Name, name, err)
	}
	return n
}

// empty removes everything that the vnodes of a stopped member stored.
func empty(t *testing.T, m *proctest.Process) {
	t.Helper()
	store, err := pebblestore.Open(filepath.Join(m.Dir, "store"), pebblestore.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	b := new(storage.Batch)
	for _, key := range storage.SentinelKeys() {
		// All keys of a keyspace begin with its byte.
		b.DeleteRange(key[:1], []byte{key[0] + 1})
	}
	commit, err := store.Apply(b)
	if err == nil {
		err = commit.Wait()
	}
	if err := errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
}
