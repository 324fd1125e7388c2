package pebblestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringd/ringd/storage"
)

// TestReclaim: the tables of a range that was deleted don't stay on disk, and what is
// beside it does.
func TestReclaim(t *testing.T) {
	fs := vfs.NewMem()
	s := openOn(t, fs)
	rng := rand.NewChaCha8([32]byte{1})
	value := make([]byte, 1<<10)
	const keys, parts = 2000, 10
	key := func(i int) []byte { return fmt.Appendf(nil, "%d/%05d", i%parts, i) }
	for i := range keys {
		_, _ = rng.Read(value)
		b := new(storage.Batch)
		b.Set(key(i), value)
		commit, err := s.Apply(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := commit.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	b := new(storage.Batch)
	for part := range parts / 2 {
		b.DeleteRange(fmt.Appendf(nil, "%d/", part), fmt.Appendf(nil, "%d0", part))
	}
	commit, err := s.Apply(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := commit.Wait(); err != nil {
		t.Fatal(err)
	}
	before := tableBytes(t, fs)
	for part := range parts / 2 {
		if err := s.Reclaim(context.Background(), fmt.Appendf(nil, "%d/", part), fmt.Appendf(nil, "%d0", part)); err != nil {
			t.Fatal(err)
		}
	}
	// Tables that nothing refers to go in the background.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for tableBytes(t, fs) > keys*len(value)*6/10 {
		select {
		case <-ctx.Done():
			t.Fatalf("%d bytes of tables, %d before", tableBytes(t, fs), before)
		default:
			s.db.TestOnlyWaitForCleaning()
		}
	}
	found := 0
	if err := s.Scan([]byte("0"), []byte("z"), func(k, v []byte) bool {
		if bytes.Compare(k, fmt.Appendf(nil, "%d", parts/2)) < 0 || len(v) != len(value) {
			t.Errorf("there is %q", k)
		}
		found++
		return true
	}); err != nil || found != keys/2 {
		t.Fatalf("%d keys are left, not %d: %v", found, keys/2, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Reclaim(context.Background(), []byte("0"), []byte("1")); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// tableBytes is what tables take.
func tableBytes(t *testing.T, fs vfs.FS) int {
	t.Helper()
	names, err := fs.List(testDir)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, name := range names {
		if info, err := fs.Stat(fs.PathJoin(testDir, name)); err == nil && fs.PathBase(name)[max(0, len(name)-4):] == ".sst" {
			sum += int(info.Size())
		}
	}
	return sum
}
