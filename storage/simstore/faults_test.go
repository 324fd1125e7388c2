package simstore_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/ringd/ringd/storage"
	"github.com/ringd/ringd/storage/simstore"
)

func put(t *testing.T, s *simstore.Store, key, value string) storage.Commit {
	t.Helper()
	var b storage.Batch
	b.Set([]byte(key), []byte(value))
	b.Set([]byte("twin of "+key), []byte(value))
	c, err := s.Apply(&b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCrashKeepsSyncedAndAPrefix(t *testing.T) {
	const batches, synced = 6, 2
	s := simstore.New()
	var commits []storage.Commit
	for i := range batches {
		commits = append(commits, put(t, s, fmt.Sprint(i), "v"))
	}
	if err := commits[synced-1].Wait(); err != nil {
		t.Fatal(err)
	}
	if got := s.Unsynced(); got != batches-synced {
		t.Fatalf("%d unsynced batches, want %d", got, batches-synced)
	}
	for keep := range batches - synced + 1 {
		after := s.Crash(keep)
		for i := range batches {
			for _, name := range []string{"", "twin of "} {
				_, err := after.Get([]byte(name + fmt.Sprint(i)))
				if there := i < synced+keep; there != (err == nil) {
					t.Errorf("keep %d: batch %d: %v", keep, i, err)
				}
			}
		}
		if got := after.Unsynced(); got != 0 {
			t.Errorf("keep %d: %d unsynced batches in what was found on disk", keep, got)
		}
	}
	if err := commits[0].Wait(); err != nil {
		t.Errorf("a batch that was synced before the crash: %v", err)
	}
	if err := commits[synced].Wait(); err == nil {
		t.Error("a batch that the crash may have lost was acknowledged")
	}
	if _, err := s.Get([]byte("0")); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("the crashed engine answers: %v", err)
	}
}

func TestFailNextSync(t *testing.T) {
	s, broken := simstore.New(), errors.New("broken")
	a := put(t, s, "a", "1")
	s.FailNextSync(broken)
	for range 2 {
		if err := a.Wait(); !errors.Is(err, broken) {
			t.Errorf("wait: %v, want the sync's error", err)
		}
	}
	if got := s.Unsynced(); got != 1 {
		t.Errorf("%d unsynced batches after a failed sync, want 1", got)
	}
	if _, err := s.Get([]byte("a")); err != nil {
		t.Errorf("not visible any more: %v", err)
	}
	if err := put(t, s, "b", "1").Wait(); err != nil {
		t.Errorf("the next sync: %v", err)
	}
	if err := a.Wait(); !errors.Is(err, broken) {
		t.Errorf("wait told its batch's fate otherwise: %v", err)
	}
	if _, err := s.Crash(0).Get([]byte("a")); err != nil {
		t.Errorf("the later sync did not take the earlier batch along: %v", err)
	}
}

func TestFailSyncs(t *testing.T) {
	s, broken := simstore.New(), errors.New("broken")
	s.FailSyncs(broken)
	for range 2 {
		if err := put(t, s, "a", "1").Wait(); !errors.Is(err, broken) {
			t.Errorf("wait: %v, want the sync's error", err)
		}
	}
	s.FailSyncs(nil)
	if err := s.Sync(); err != nil || s.Unsynced() != 0 {
		t.Errorf("sync after the fault: %v, %d unsynced", err, s.Unsynced())
	}
}

func TestFailReads(t *testing.T) {
	s, broken := simstore.New(), errors.New("broken")
	put(t, s, "a", "1")
	put(t, s, "b", "1")
	snap, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []storage.Reader{s, snap} {
		s.FailReads(func(key []byte) bool { return string(key) == "b" || string(key) == "missing" }, broken)
		for _, key := range []string{"b", "missing"} {
			if _, err := r.Get([]byte(key)); !errors.Is(err, broken) || errors.Is(err, storage.ErrNotFound) {
				t.Errorf("Get(%q): %v", key, err)
			}
		}
		if _, err := r.Get([]byte("a")); err != nil {
			t.Errorf("Get of another key: %v", err)
		}
		seen := ""
		err := r.Scan([]byte("a"), []byte("c"), func(key, _ []byte) bool { seen += string(key); return true })
		if !errors.Is(err, broken) || seen != "a" {
			t.Errorf("Scan saw %q, %v", seen, err)
		}
		s.FailReads(nil, nil)
		if _, err := r.Get([]byte("b")); err != nil {
			t.Errorf("Get after the fault: %v", err)
		}
	}
}
