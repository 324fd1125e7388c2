package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/internal/proctest"
)

// TestDiskNearlyFull fills the file system below one member that is the whole
// cluster: writes are refused before it is full, while reads and deletes go on;
// and taken again once there is room, without anybody's help.
func TestDiskNearlyFull(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root mounts a small file system")
	}
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256m"); err != nil {
		t.Skipf("no small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	m := proctest.New(t, "m0", filepath.Join(dir, "data"))
	m.Start("--bootstrap", "--replicas", "1", "--partitions", "8")
	t.Cleanup(m.Stop) // before the file system goes
	admin := proctest.Admin(t, m)
	if _, err := admin.Commit(within(t), &ringdv1.CommitRequest{Epoch: proctest.Status(t, m).Epoch}); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.UpdateSettings(within(t), &ringdv1.UpdateSettingsRequest{Values: map[string]string{"disk_reserve_bytes": "100MiB"}}); err != nil {
		t.Fatal(err)
	}
	kv := proctest.KV(t, m)
	key := func(k string) *ringdv1.Key { return &ringdv1.Key{Bucket: []byte("b"), Key: []byte(k)} }
	put := func(ctx context.Context, k string) error {
		_, err := kv.Put(ctx, &ringdv1.PutRequest{Key: key(k), Value: []byte("v")})
		return err
	}
	// The default reserve is more than the whole file system.
	proctest.Wait(t, "the reserve to be smaller", func(ctx context.Context) error { return put(ctx, "k0") })
	const keys = 200
	for i := range keys {
		if err := put(within(t), fmt.Sprint("k", i)); err != nil {
			t.Fatal(err)
		}
	}

	ballast := filepath.Join(dir, "ballast")
	fill(t, dir, ballast, 80<<20) // left free: less than the reserve, more than half of it
	proctest.Wait(t, "writes to be refused", func(ctx context.Context) error {
		if err := put(ctx, "more"); status.Code(err) != codes.ResourceExhausted {
			return fmt.Errorf("a write is answered with %v", err)
		}
		return nil
	})
	if _, err := kv.Get(within(t), &ringdv1.GetRequest{Key: key("k1")}); err != nil {
		t.Errorf("a read while the disk is nearly full: %v", err)
	}
	if _, err := kv.Delete(within(t), &ringdv1.DeleteRequest{Key: key("k2")}); err != nil {
		t.Errorf("a delete while the disk is nearly full: %v", err)
	}
	if s := proctest.Status(t, m); len(s.Warnings) == 0 {
		t.Error("the status says nothing of it")
	}

	fill(t, dir, ballast, 30<<20)
	next := 10 // a key that is deleted already is not refused
	proctest.Wait(t, "deletes to be refused, too", func(ctx context.Context) error {
		next = min(next+1, keys-1)
		_, err := kv.Delete(ctx, &ringdv1.DeleteRequest{Key: key(fmt.Sprint("k", next))})
		if status.Code(err) != codes.ResourceExhausted {
			return fmt.Errorf("a delete is answered with %v", err)
		}
		return nil
	})
	if _, err := kv.Get(within(t), &ringdv1.GetRequest{Key: key("k3")}); err != nil {
		t.Errorf("a read with half of the reserve left: %v", err)
	}

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	proctest.Wait(t, "writes to be taken again", func(ctx context.Context) error { return put(ctx, "more") })
}

// fill makes ballast so large that so many bytes are left free.
func fill(t *testing.T, dir, ballast string, left int64) {
	t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(ballast, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for free := int64(s.Bavail) * int64(s.Bsize); free > left; free -= int64(len(zeros)) {
		if _, err = f.Write(zeros); err != nil {
			break
		}
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}
