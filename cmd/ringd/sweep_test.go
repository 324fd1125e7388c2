package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/internal/member"
	"github.com/ringd/ringd/internal/proctest"
)

// sweeping starts three members in this process that sweep often, and gives them
// the partitions.
func sweeping(t *testing.T) ([]*member.Member, *proctest.Cluster) {
	t.Helper()
	var members []*member.Member
	cluster := new(proctest.Cluster)
	for i := range 3 {
		c := member.DefaultConfig()
		c.Name, c.DataDir = fmt.Sprintf("m%d", i), filepath.Join(t.TempDir(), "data")
		c.Listen, c.Gossip, c.HTTP = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
		c.Partitions, c.Replicas, c.Bootstrap = 16, 3, i == 0
		c.SweepEvery, c.Logger = 50*time.Millisecond, slog.New(slog.DiscardHandler)
		if i > 0 {
			c.Join = []string{members[0].Endpoints().GRPC}
		}
		m, err := member.Start(within(t), c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Close() })
		members = append(members, m)
		cluster.Members = append(cluster.Members, proctest.At(c.Name, proctest.Endpoints(m.Endpoints())))
	}
	admin := proctest.Admin(t, cluster.Members[0])
	proctest.Wait(t, "the first ring to be committed", func(ctx context.Context) error {
		s, err := admin.Status(ctx, &ringdv1.StatusRequest{})
		if err != nil {
			return err
		}
		if len(s.Members) < len(members) {
			return fmt.Errorf("%d members", len(s.Members))
		}
		_, err = admin.Commit(ctx, &ringdv1.CommitRequest{Epoch: s.Epoch})
		return err
	})
	for _, m := range cluster.Members {
		proctest.Wait(t, m.Name+" to serve", func(ctx context.Context) error {
			s, err := proctest.Admin(t, m).Status(ctx, &ringdv1.StatusRequest{})
			if err == nil && !s.HasOwners {
				err = errors.New("no owners yet")
			}
			return err
		})
	}
	return members, cluster
}

func TestSweep(t *testing.T) {
	t.Parallel()
	members, cluster := sweeping(t)
	kv := proctest.KV(t, cluster.Members[1])
	const keys = 40
	for i := range keys {
		put := &ringdv1.PutRequest{Key: key(fmt.Sprint(i)), Value: []byte("v"), ExpiryUnixMs: unixMilli(-time.Minute)}
		mustPut(t, kv, put)
	}
	for name, others := range map[string][]*ringdv1.PutRequest{
		"later":    {{Value: []byte("v"), ExpiryUnixMs: unixMilli(time.Hour)}},
		"siblings": {{Value: []byte("gone"), ExpiryUnixMs: unixMilli(-time.Minute)}, {Value: []byte("stays")}},
	} {
		for _, put := range others {
			put.Key = key(name)
			mustPut(t, kv, put)
		}
	}
	for i := range keys {
		waitDeleted(t, cluster.Members[:3], key(fmt.Sprint(i)))
	}
	if n := sweptBy(t, cluster.Members); n < keys {
		t.Errorf("the members say that they deleted %d keys of %d", n, keys)
	}
	// Every partition was swept by now, more than once.
	mustHold(t, kv, "later", "v")
	mustHold(t, kv, "siblings", "stays")

	yes := true
	_, err := proctest.Admin(t, cluster.Members[0]).CreateBucketType(within(t), &ringdv1.CreateBucketTypeRequest{
		BucketType: &ringdv1.BucketType{Name: "newest", LastWriteWins: &yes},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, bucketType := range []string{"default", "newest"} {
		t.Run("written meanwhile, type "+bucketType, func(t *testing.T) { writtenMeanwhile(t, cluster, bucketType) })
	}

	// Others take over what a member that is gone was first to sweep.
	if err := members[0].Close(); err != nil {
		t.Fatal(err)
	}
	for i := range keys {
		put := &ringdv1.PutRequest{Key: key(fmt.Sprint("second ", i)), Value: []byte("v"), ExpiryUnixMs: unixMilli(-time.Minute)}
		mustPut(t, kv, put)
	}
	for i := range keys {
		waitDeleted(t, cluster.Members[1:], key(fmt.Sprint("second ", i)))
	}
}

// writtenMeanwhile writes keys anew in the moment in which they expire, so that
// some are between being found by the sweep and being deleted: they keep what was
// written, and no deletion stands beside it.
func writtenMeanwhile(t *testing.T, cluster *proctest.Cluster, bucketType string) {
	const keys = 400
	keyOf := func(i int) *ringdv1.Key { return keyIn(bucketType, "again", fmt.Sprint(i)) }
	contexts := make([][]byte, keys)
	expiry := time.Now().Add(2 * time.Second)
	at := expiry.UnixMilli()
	each := func(do func(kv ringdv1.KVClient, i int)) {
		var running sync.WaitGroup
		for n := range 8 {
			kv := proctest.KV(t, cluster.Members[n%3])
			running.Go(func() {
				for i := n; i < keys; i += 8 {
					do(kv, i)
				}
			})
		}
		running.Wait()
	}
	put := func(kv ringdv1.KVClient, r *ringdv1.PutRequest) []byte {
		w, err := kv.Put(within(t), r)
		if err != nil {
			t.Error(err)
		}
		return w.GetContext()
	}
	each(func(kv ringdv1.KVClient, i int) {
		contexts[i] = put(kv, &ringdv1.PutRequest{Key: keyOf(i), ExpiryUnixMs: &at})
	})
	proctest.Wait(t, "the keys to expire", func(context.Context) error {
		if left := time.Until(expiry); left > 0 {
			return fmt.Errorf("%v left", left)
		}
		return nil
	})
	each(func(kv ringdv1.KVClient, i int) {
		put(kv, &ringdv1.PutRequest{Key: keyOf(i), Value: []byte("new"), Context: contexts[i]})
	})
	kv := proctest.KV(t, cluster.Members[0])
	for i := range keys {
		r, err := kv.Get(within(t), &ringdv1.GetRequest{Key: keyOf(i)})
		if err != nil || len(r.Siblings) != 1 || string(r.Siblings[0].Value) != "new" {
			t.Errorf("key %d: %v, %v", i, r, err)
		}
	}
}

// waitDeleted waits until none of the given members holds a value of the key any
// more, as at least two did: what they hold is its deletion, or nothing, once that
// was forgotten.
func waitDeleted(t *testing.T, holders []*proctest.Process, k *ringdv1.Key) {
	t.Helper()
	admin := proctest.Admin(t, holders[len(holders)-1])
	proctest.Wait(t, fmt.Sprintf("the sweep to delete %s", k.Key), func(ctx context.Context) error {
		in, err := admin.Inspect(ctx, &ringdv1.InspectRequest{Key: k})
		if err != nil {
			return err
		}
		deleted := 0
		for _, c := range in.Copies {
			live := slices.ContainsFunc(c.Siblings, func(s *ringdv1.InspectResponse_Copy_Sibling) bool { return !s.Tombstone })
			if c.Error == "" && !live {
				deleted++
			}
		}
		if deleted < len(holders) {
			return fmt.Errorf("deleted at %d of %d: %v", deleted, len(holders), in.Copies)
		}
		return nil
	})
}

// sweptBy sums up what the members' metrics say.
func sweptBy(t *testing.T, members []*proctest.Process) int {
	t.Helper()
	total := 0
	for _, m := range members {
		r, err := http.Get("http://" + m.At.HTTP + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		_, rest, ok := strings.Cut(string(body), "\nringd_expired_deleted_total ")
		n := 0
		if _, err := fmt.Sscan(rest, &n); !ok || err != nil {
			t.Fatalf("%s has no ringd_expired_deleted_total: %v", m.Name, err)
		}
		total += n
	}
	return total
}
