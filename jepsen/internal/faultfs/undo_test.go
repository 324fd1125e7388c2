package faultfs

import (
	"bytes"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// memory is a file in memory.
type memory struct{ data []byte }

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(m.data)) {
		return 0, io.EOF
	}
	n := copy(p, m.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if end := off + int64(len(p)); end > int64(len(m.data)) {
		_ = m.Truncate(end)
	}
	return copy(m.data[off:], p), nil
}

func (m *memory) Truncate(size int64) error {
	if size <= int64(len(m.data)) {
		m.data = slices.Clone(m.data[:size])
		return nil
	}
	m.data = append(slices.Clone(m.data), make([]byte, size-int64(len(m.data)))...)
	return nil
}

// fsync is one that has begun.
type fsync struct {
	id   uint64
	data []byte // of the file at its beginning
}

// worked is a file after some work on it, and what of it is synced.
type worked struct {
	file   memory
	undo   undo
	synced []byte
}

// work writes, cuts and syncs. Fsyncs overlap with writes and each other; some fail.
func work(t *rapid.T) *worked {
	const sizeMax = 5 * pageBytes
	w := &worked{}
	w.file.data = rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "before")
	w.file.data = bytes.Repeat(w.file.data, rapid.IntRange(0, pageBytes).Draw(t, "times"))
	w.synced = slices.Clone(w.file.data)
	var begun []fsync
	for range rapid.IntRange(0, 20).Draw(t, "steps") {
		size := int64(len(w.file.data))
		switch rapid.SampledFrom([]string{"write", "append", "cut", "begin", "end", "fail"}).Draw(t, "step") {
		case "write":
			w.write(t, rapid.Int64Range(0, sizeMax).Draw(t, "at"))
		case "append":
			w.write(t, size)
		case "cut":
			to := rapid.Int64Range(0, sizeMax).Draw(t, "to")
			if err := w.undo.changes(&w.file, size, to, size); err != nil {
				t.Fatal(err)
			}
			_ = w.file.Truncate(to)
		case "begin":
			begun = append(begun, fsync{w.undo.begin(), slices.Clone(w.file.data)})
		case "end":
			if len(begun) > 0 {
				i := rapid.IntRange(0, len(begun)-1).Draw(t, "which")
				w.undo.end(begun[i].id)
				w.synced = begun[i].data
				begun = begun[i+1:] // those that began before have nothing left to do
			}
		case "fail":
			if len(begun) > 0 {
				begun = begun[:len(begun)-1]
			}
		}
	}
	return w
}

func (w *worked) write(t *rapid.T, at int64) {
	data := bytes.Repeat([]byte{rapid.ByteRange(1, 255).Draw(t, "byte")}, rapid.IntRange(1, 2*pageBytes).Draw(t, "bytes"))
	if err := w.undo.changes(&w.file, int64(len(w.file.data)), at, at+int64(len(data))); err != nil {
		t.Fatal(err)
	}
	_, _ = w.file.WriteAt(data, at)
}

// TestLoseAll: what is left is what the file was when the last successful fsync began.
func TestLoseAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := work(t)
		if w.undo.clean() && !bytes.Equal(w.file.data, w.synced) {
			t.Fatal("it says that all is synced, and it isn't")
		}
		if err := w.undo.lose(&w.file); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(w.file.data, w.synced) {
			t.Fatalf("%d bytes are left, want the %d that were synced", len(w.file.data), len(w.synced))
		}
		if !w.undo.clean() {
			t.Fatal("something is to be undone yet")
		}
	})
}

// TestLoseSome: every page is as it was synced, or as it was last.
func TestLoseSome(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := work(t)
		last := slices.Clone(w.file.data)
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		if err := w.undo.loseSome(&w.file, int64(len(last)), random); err != nil {
			t.Fatal(err)
		}
		size := len(w.file.data)
		if size < min(len(last), len(w.synced)) || size > max(len(last), len(w.synced)) {
			t.Fatalf("%d bytes are left, of %d synced and %d in the end", size, len(w.synced), len(last))
		}
		for at := 0; at < size; at += pageBytes {
			page := w.file.data[at:min(size, at+pageBytes)]
			if !bytes.Equal(page, part(w.synced, at, len(page))) && !bytes.Equal(page, part(last, at, len(page))) {
				t.Fatalf("the page at %d is neither what was synced nor what was written", at)
			}
		}
	})
}

// part is what a file holds there, with zeros after its end.
func part(data []byte, at, n int) []byte {
	out := make([]byte, n)
	if at < len(data) {
		copy(out, data[at:])
	}
	return out
}
