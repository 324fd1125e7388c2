package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/internal/proctest"
	"github.com/ringd/ringd/storage"
	"github.com/ringd/ringd/storage/pebblestore"
)

// lossy stages that members are removed, and commits it whatever is lost.
func lossy(t *testing.T, p *proctest.Process, changes ...*ringdv1.MemberChange) {
	t.Helper()
	stage(t, p, changes...)
	proctest.Wait(t, "the plan to be committed", func(ctx context.Context) error {
		plan, err := proctest.Admin(t, p).Plan(ctx, &ringdv1.PlanRequest{})
		if err != nil {
			return err
		}
		if plan.Blocked != "" || plan.Moves == 0 {
			return fmt.Errorf("%d moves are planned; blocked: %s", plan.Moves, plan.Blocked)
		}
		_, err = proctest.Admin(t, p).Commit(ctx, &ringdv1.CommitRequest{Epoch: plan.Epoch, Revision: &plan.Revision, AcceptDataLoss: true})
		return err
	})
}

// ownedBy returns keys of a bucket type of n=1 whose only owner is p, and others.
func ownedBy(t *testing.T, p *proctest.Process, bucketType, bucket string, n int) (own, others []string) {
	t.Helper()
	for i := range n {
		key := fmt.Sprintf("k%d", i)
		r, err := proctest.Admin(t, p).Ring(within(t), &ringdv1.RingRequest{Key: keyIn(bucketType, bucket, key)})
		if err != nil {
			t.Fatal(err)
		}
		if r.Members[r.Rows[0].Owners[0]].Name == p.Name {
			own = append(own, key)
		} else {
			others = append(others, key)
		}
	}
	return own, others
}

func salvaged(t *testing.T, p *proctest.Process, dir string) *ringdv1.SalvageProgress {
	t.Helper()
	s, err := proctest.Admin(t, p).Salvage(context.Background(), &ringdv1.SalvageRequest{Directory: dir})
	return last(t, s, err)
}

func salvageRefused(t *testing.T, p *proctest.Process, dir string, words ...string) {
	t.Helper()
	s, err := proctest.Admin(t, p).Salvage(within(t), &ringdv1.SalvageRequest{Directory: dir})
	if err == nil {
		_, err = s.Recv()
	}
	mustSay(t, fmt.Sprint(err), words...)
}

// damage overwrites the record of a key, which no ringd runs on.
func damage(t *testing.T, dir string, p uint32, bucketType, bucket, key string) {
	t.Helper()
	store, err := pebblestore.Open(filepath.Join(dir, "store"), pebblestore.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	b := new(storage.Batch)
	b.Set(storage.AppendDataKey(nil, p, []byte(bucketType), []byte(bucket), []byte(key)), []byte("nonsense"))
	commit, err := store.Apply(b)
	if err == nil {
		err = commit.Wait()
	}
	if err := errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestSalvage: what a member alone held that was killed and removed comes back from
// its disk; what was deleted since stays deleted, and what was written since becomes a
// sibling. A second time changes nothing.
func TestSalvage(t *testing.T) {
	watchesProcesses(t)
	c := proctest.Start(t, 4)
	if _, err := proctest.Admin(t, c.Members[0]).CreateBucketType(within(t), &ringdv1.CreateBucketTypeRequest{BucketType: &ringdv1.BucketType{Name: "lone", N: 1}}); err != nil {
		t.Fatal(err)
	}
	gone := c.Members[3]
	own, others := ownedBy(t, gone, "lone", "b", 60)
	if len(own) < 5 {
		t.Fatalf("it owns %v", own)
	}
	cl := c.Client()
	lone, three := cl.BucketType("lone").Bucket("b"), cl.Bucket("b")
	value := func(key string) []byte { return bytes.Repeat([]byte(key), 4<<10) } // kept apart
	for _, key := range append(append([]string{}, own...), others...) {
		if _, err := lone.Put(within(t), key, value(key), client.W(1)); err != nil {
			t.Fatal(err)
		}
	}
	every(t, 0, 60, func(ctx context.Context, key string) error {
		_, err := three.Put(ctx, key, []byte("v"), client.W(client.All))
		return err
	})
	salvageRefused(t, c.Members[0], gone.Dir, "in use")
	gone.Kill()
	salvageRefused(t, c.Members[0], gone.Dir, "was not removed")
	every(t, 0, 20, func(ctx context.Context, key string) error {
		_, err := three.Delete(ctx, key)
		return err
	})
	c.Members = c.Members[:3]
	lossy(t, c.Members[0], change("m3", ringdv1.MemberChange_REMOVE))
	settled(t, c.Members[0], c.Members...)
	for _, key := range own {
		if _, err := lone.Get(within(t), key); !errors.Is(err, client.ErrNotFound) {
			t.Fatalf("%s was not lost: %v", key, err)
		}
	}
	beside, broken := own[0], own[1]
	if _, err := lone.Put(within(t), beside, []byte("since")); err != nil {
		t.Fatal(err)
	}
	r, err := proctest.Admin(t, c.Members[0]).Ring(within(t), &ringdv1.RingRequest{Key: keyIn("lone", "b", broken)})
	if err != nil {
		t.Fatal(err)
	}
	damage(t, gone.Dir, r.Rows[0].Id, "lone", "b", broken)

	// What an owner that is away lacks is kept for it.
	c.Members[2].Kill()
	first := salvaged(t, c.Members[1], gone.Dir)
	if first.Member != "m3" || first.RecordsDamaged != 1 || first.CopiesChanged == 0 || first.CopiesChanged > uint64(len(own)-1) || first.ObjectsHinted == 0 || first.ObjectsLeft > 0 || len(first.PartitionsLeft) > 0 || !strings.Contains(first.LastError, broken) {
		t.Errorf("of %d keys: %v", len(own), first)
	}
	if again := salvaged(t, c.Members[1], gone.Dir); again.CopiesChanged+again.ObjectsHinted+again.ObjectsLeft > 0 {
		t.Errorf("at once again: %v", again)
	}
	c.Members[2].Start()
	c.WaitServing()
	proctest.Wait(t, "what is kept to be given away", func(ctx context.Context) error {
		r, err := proctest.Admin(t, c.Members[1]).Transfers(ctx, &ringdv1.TransfersRequest{})
		if err == nil && r.Hints.Delivered < first.ObjectsHinted {
			err = fmt.Errorf("%d of %d are delivered", r.Hints.Delivered, first.ObjectsHinted)
		}
		return err
	})
	for _, key := range own {
		o, err := lone.Get(within(t), key)
		switch {
		case key == broken:
			if !errors.Is(err, client.ErrNotFound) {
				t.Errorf("the damaged one: %v", err)
			}
		case err != nil:
			t.Errorf("%s: %v", key, err)
		case key == beside && len(o.Siblings) != 2:
			t.Errorf("%s has %d siblings", key, len(o.Siblings))
		case key != beside && (len(o.Siblings) != 1 || !bytes.Equal(o.Siblings[0].Value, value(key))):
			t.Errorf("%s has %d siblings, or another value", key, len(o.Siblings))
		}
	}
	every(t, 0, 20, func(ctx context.Context, key string) error {
		if o, err := three.Get(ctx, key); !errors.Is(err, client.ErrNotFound) {
			return fmt.Errorf("a deletion was undone: %d siblings, %v", len(o.Siblings), err)
		}
		return nil
	})
	if second := salvaged(t, c.Members[2], gone.Dir); second.CopiesChanged+second.ObjectsHinted+second.ObjectsLeft > 0 || second.ObjectsRead != first.ObjectsRead {
		t.Errorf("a second time: %v", second)
	}
	if n := differing(t, c.Members[0]); n > 0 {
		t.Errorf("%d keys differ", n)
	}

	salvageRefused(t, c.Members[0], "somewhere", "absolute path")
	salvageRefused(t, c.Members[0], t.TempDir(), "no data directory of ringd")
	other := proctest.Start(t, 1)
	other.Members[0].Stop()
	salvageRefused(t, c.Members[0], other.Members[0].Dir, "belongs to cluster")
	mustSay(t, gone.StartRefused(), "removed", "another name")

	out, err := exec.Command(proctest.Binary(t, "ringctl"), "--addr", c.Members[0].At.GRPC, "salvage", gone.Dir).CombinedOutput()
	var code *exec.ExitError
	if !errors.As(err, &code) || code.ExitCode() != 1 {
		t.Errorf("ringctl ended with %v", err)
	}
	mustSay(t, string(out), "From m3: ", "0 copies changed", "1 records are damaged")
}
