package enginetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/ringd/ringd/storage"
)

func testBatchReuse(t *testing.T, s Subject) {
	e := open(t, s)
	b, key := new(storage.Batch), []byte("k0")
	for i := range 10 {
		key[1] = byte('0' + i)
		b.Set(key, []byte{byte('a' + i)})
		apply(t, e, b)
		b.Reset()
		if b.Len() != 0 || b.Size() != 0 {
			t.Fatalf("after Reset: Len %d, Size %d", b.Len(), b.Size())
		}
	}
	key[1] = 'X'
	for i := range 10 {
		want(t, e, fmt.Sprintf("k%d", i), string(rune('a'+i)))
	}
}

func testDurable(t *testing.T, s Subject) {
	e := open(t, s)
	wait(t, apply(t, e, set("a", "1", "b", "1")))
	wait(t, apply(t, e, batch(func(b *storage.Batch) {
		b.DeleteRange([]byte("a"), []byte("b"))
		b.Set([]byte("c"), []byte("2"))
	})))
	after := closing(t, s.Crash(t, e))
	if got, want := all(t, after), []string{"b=1", "c=2"}; !slices.Equal(got, want) {
		t.Errorf("after the crash %q, want %q", got, want)
	}
}

func testWaitCoversEarlier(t *testing.T, s Subject) {
	e := open(t, s)
	apply(t, e, set("a", "1"))
	apply(t, e, set("b", "1"))
	wait(t, apply(t, e, set("c", "1")))
	after := closing(t, s.Crash(t, e))
	for _, k := range []string{"a", "b", "c"} {
		want(t, after, k, "1")
	}
}

func testEmptyBatch(t *testing.T, s Subject) {
	e := open(t, s)
	apply(t, e, set("a", "1"))
	wait(t, apply(t, e, new(storage.Batch)))
	want(t, closing(t, s.Crash(t, e)), "a", "1")
}

func testWaitAgain(t *testing.T, s Subject) {
	e := open(t, s)
	c := apply(t, e, set("a", "1"))
	var waiting sync.WaitGroup
	for range 8 {
		waiting.Go(func() {
			if err := c.Wait(); err != nil {
				t.Errorf("wait: %v", err)
			}
		})
	}
	waiting.Wait()
	wait(t, apply(t, e, set("b", "1")))
	wait(t, c)
}

func testReopen(t *testing.T, s Subject) {
	e := open(t, s)
	c := apply(t, e, set("a", "1")) // not waited for: Close syncs
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	wait(t, c)
	again := closing(t, s.Reopen(t, e))
	want(t, again, "a", "1")
	wait(t, apply(t, again, set("b", "2")))
	want(t, again, "b", "2")
}

func testClosed(t *testing.T, s Subject) {
	e := open(t, s)
	apply(t, e, set("a", "1"))
	snap, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	yield := func(_, _ []byte) bool { return true }
	for name, call := range map[string]func() error{
		"Get":           func() error { _, err := e.Get([]byte("a")); return err },
		"Scan":          func() error { return e.Scan(nil, []byte("z"), yield) },
		"Apply":         func() error { _, err := e.Apply(set("b", "1")); return err },
		"Snapshot":      func() error { _, err := e.Snapshot(); return err },
		"Checkpoint":    func() error { return e.Checkpoint("nowhere") },
		"Snapshot.Get":  func() error { _, err := snap.Get([]byte("a")); return err },
		"Snapshot.Scan": func() error { return snap.Scan(nil, []byte("z"), yield) },
	} {
		if err := call(); !errors.Is(err, storage.ErrClosed) {
			t.Errorf("%s after Close: %v, want ErrClosed", name, err)
		}
	}
	if err := snap.Close(); err != nil {
		t.Errorf("closing a snapshot after its engine: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	e.Usage()
}

// A scan reads on while Close waits for it, and what it calls is refused.
func testCloseDuringScan(t *testing.T, s Subject) {
	e := open(t, s)
	apply(t, e, set("a", "1", "b", "2"))
	closed := make(chan error, 1)
	var got []string
	err := e.Scan([]byte("a"), []byte("z"), func(key, value []byte) bool {
		if got == nil {
			go func() { closed <- e.Close() }()
			// Get goes from answering to refusing; it must never block.
			for {
				if _, err := e.Get([]byte("a")); errors.Is(err, storage.ErrClosed) {
					break
				}
			}
		}
		got = append(got, fmt.Sprintf("%s=%s", key, value))
		return true
	})
	if want := []string{"a=1", "b=2"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("scan got %q, %v, want %q", got, err, want)
	}
	if err := <-closed; err != nil {
		t.Errorf("close: %v", err)
	}
}

func testCheckpoint(t *testing.T, s Subject) {
	if s.Checkpoint == nil {
		t.Skip("this engine has no checkpoints")
	}
	e := open(t, s)
	apply(t, e, set("a", "1")) // not waited for
	copied := closing(t, s.Checkpoint(t, e))
	apply(t, e, set("a", "2"))
	want(t, copied, "a", "1")
	wait(t, apply(t, copied, set("b", "3")))
	want(t, e, "b", absent)
	want(t, e, "a", "2")
}
