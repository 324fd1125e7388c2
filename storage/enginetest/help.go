package enginetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/ringd/ringd/storage"
)

// open returns an empty engine that the test's end closes, if the test didn't.
func open(t *testing.T, s Subject) storage.Engine {
	t.Helper()
	return closing(t, s.Open(t))
}

func closing(t *testing.T, e storage.Engine) storage.Engine {
	t.Cleanup(func() {
		if err := e.Close(); err != nil && !errors.Is(err, storage.ErrClosed) {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

func batch(change func(*storage.Batch)) *storage.Batch {
	b := new(storage.Batch)
	change(b)
	return b
}

func set(pairs ...string) *storage.Batch {
	return batch(func(b *storage.Batch) {
		for i := 0; i < len(pairs); i += 2 {
			b.Set([]byte(pairs[i]), []byte(pairs[i+1]))
		}
	})
}

func apply(t *testing.T, e storage.Engine, b *storage.Batch) storage.Commit {
	t.Helper()
	c, err := e.Apply(b)
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	return c
}

func wait(t *testing.T, c storage.Commit) {
	t.Helper()
	if err := c.Wait(); err != nil {
		t.Fatalf("wait: %v", err)
	}
}

// absent is what want gets for a key that must not be there.
const absent = "\x00absent"

// want checks one key.
func want(t *testing.T, r storage.Reader, key, value string) {
	t.Helper()
	got, err := r.Get([]byte(key))
	switch {
	case value == absent && !errors.Is(err, storage.ErrNotFound):
		t.Errorf("Get(%q) = %q, %v, want ErrNotFound", key, got, err)
	case value != absent && (err != nil || string(got) != value):
		t.Errorf("Get(%q) = %q, %v, want %q", key, got, err, value)
	}
}

// contents is what a scan yields, as "key=value".
func contents(t *testing.T, r storage.Reader, lower, upper []byte) []string {
	t.Helper()
	var got []string
	err := r.Scan(lower, upper, func(key, value []byte) bool {
		got = append(got, fmt.Sprintf("%s=%s", key, value))
		return true
	})
	if err != nil {
		t.Fatalf("scan: %v", err)
	}
	return got
}

// all bounds the keys that the tests use, which begin with a letter or a digit.
func all(t *testing.T, r storage.Reader) []string {
	t.Helper()
	return contents(t, r, []byte{0}, []byte{0xff})
}
