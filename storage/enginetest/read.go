package enginetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/ringd/ringd/storage"
)

func testVisible(t *testing.T, s Subject) {
	e := open(t, s)
	want(t, e, "a", absent)
	c := apply(t, e, set("a", "1", "b", "2"))
	want(t, e, "a", "1")
	want(t, e, "b", "2")
	apply(t, e, batch(func(b *storage.Batch) { b.Delete([]byte("a")) }))
	want(t, e, "a", absent)
	wait(t, c)
	want(t, e, "a", absent)
}

func testOrderInBatch(t *testing.T, s Subject) {
	e := open(t, s)
	apply(t, e, set("a", "0", "b", "0", "c", "0"))
	apply(t, e, batch(func(b *storage.Batch) {
		b.Set([]byte("a"), []byte("1"))
		b.DeleteRange([]byte("a"), []byte("c"))
		b.Set([]byte("b"), []byte("2"))
		b.Set([]byte("c"), []byte("3"))
		b.Delete([]byte("c"))
		b.Set([]byte("c"), []byte("4"))
	}))
	if got, want := all(t, e), []string{"b=2", "c=4"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func testDeleteRange(t *testing.T, s Subject) {
	e := open(t, s)
	apply(t, e, set("a", "1", "b", "1", "b\x00", "1", "bz", "1", "c", "1", "c\x00", "1"))
	wait(t, apply(t, e, batch(func(b *storage.Batch) { b.DeleteRange([]byte("b"), []byte("c")) })))
	if got, want := all(t, e), []string{"a=1", "c=1", "c\x00=1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	want(t, e, "b", absent)
	apply(t, e, set("b", "2"))
	want(t, e, "b", "2")
}

func testEmptyRange(t *testing.T, s Subject) {
	e := open(t, s)
	apply(t, e, set("a", "1", "b", "1"))
	wait(t, apply(t, e, batch(func(b *storage.Batch) {
		b.DeleteRange([]byte("a"), []byte("a"))
		b.DeleteRange([]byte("c"), []byte("a"))
	})))
	if got, want := all(t, e), []string{"a=1", "b=1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func testEmptyValue(t *testing.T, s Subject) {
	e := open(t, s)
	apply(t, e, batch(func(b *storage.Batch) {
		b.Set([]byte("a"), nil)
		b.Set([]byte("b"), []byte{})
	}))
	want(t, e, "a", "")
	want(t, e, "b", "")
}

func testGetCopies(t *testing.T, s Subject) {
	e := open(t, s)
	apply(t, e, set("a", "value"))
	got, err := e.Get([]byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	got[0] = 'X'
	_ = append(got, "more"...)
	want(t, e, "a", "value")
}

func testScanOrder(t *testing.T, s Subject) {
	e := open(t, s)
	apply(t, e, set("b", "2", "a\xff", "1", "a", "0", "c", "4", "b\x00", "3", "d", "5"))
	got := contents(t, e, []byte("a\x00"), []byte("d"))
	if want := []string{"a\xff=1", "b=2", "b\x00=3", "c=4"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func testScanStops(t *testing.T, s Subject) {
	e := open(t, s)
	apply(t, e, set("a", "1", "b", "2", "c", "3"))
	calls := 0
	if err := e.Scan([]byte("a"), []byte("z"), func(_, _ []byte) bool { calls++; return calls < 2 }); err != nil {
		t.Fatal(err)
	}
	if calls != 2 {
		t.Errorf("yield was called %d times after it returned false at the second", calls)
	}
}

func testScanIsStable(t *testing.T, s Subject) {
	e := open(t, s)
	apply(t, e, set("a", "1", "b", "2", "c", "3"))
	var got []string
	err := e.Scan([]byte("a"), []byte("z"), func(key, value []byte) bool {
		got = append(got, fmt.Sprintf("%s=%s", key, value))
		apply(t, e, batch(func(b *storage.Batch) {
			b.Set([]byte("c"), []byte("changed"))
			b.Set([]byte("d"), []byte("new"))
			b.Delete([]byte("b"))
		}))
		want(t, e, "c", "changed")
		return true
	})
	if want := []string{"a=1", "b=2", "c=3"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func testScanEmpty(t *testing.T, s Subject) {
	e := open(t, s)
	apply(t, e, set("a", "1", "b", "1"))
	for _, r := range [][2]string{{"b", "b"}, {"b", "a"}, {"c", "z"}} {
		if got := contents(t, e, []byte(r[0]), []byte(r[1])); len(got) != 0 {
			t.Errorf("[%q, %q) has %q", r[0], r[1], got)
		}
	}
}

func testSnapshot(t *testing.T, s Subject) {
	e := open(t, s)
	apply(t, e, set("a", "1", "b", "1"))
	snap, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	apply(t, e, batch(func(b *storage.Batch) {
		b.DeleteRange([]byte("a"), []byte("b"))
		b.Set([]byte("b"), []byte("2"))
		b.Set([]byte("c"), []byte("2"))
	}))
	want(t, snap, "c", absent)
	if got, want := all(t, snap), []string{"a=1", "b=1"}; !slices.Equal(got, want) {
		t.Errorf("snapshot has %q, want %q", got, want)
	}
	if got, want := all(t, e), []string{"b=2", "c=2"}; !slices.Equal(got, want) {
		t.Errorf("engine has %q, want %q", got, want)
	}
	if err := snap.Close(); err != nil {
		t.Error(err)
	}
}

func testSnapshotClosed(t *testing.T, s Subject) {
	e := open(t, s)
	apply(t, e, set("a", "1"))
	snap, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := snap.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if v, err := snap.Get([]byte("a")); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("Get of a closed snapshot = %q, %v", v, err)
	}
	if err := snap.Scan(nil, []byte("z"), func(_, _ []byte) bool { return true }); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("Scan of a closed snapshot: %v", err)
	}
}
