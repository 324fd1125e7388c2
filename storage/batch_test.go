package storage

import (
	"bytes"
	"testing"
)

func TestBatchCopies(t *testing.T) {
	var b Batch
	key, value := []byte("key"), []byte("value")
	for i := range 100 { // enough for the buffer to move
		key[0], value[0] = byte(i), byte(i)
		b.Set(key, value)
	}
	b.Delete(key)
	key[0], value[0] = 'X', 'X'
	for i, op := range b.Ops()[:100] {
		if op.Kind != OpSet || op.Key[0] != byte(i) || string(op.Key[1:]) != "ey" || op.Value[0] != byte(i) {
			t.Fatalf("change %d is %+v", i, op)
		}
		// The capacity ends with the slice: the next change is out of reach.
		_ = append(op.Key, "overwritten"...)
	}
	for i, op := range b.Ops()[:100] {
		if !bytes.Equal(op.Value[1:], []byte("alue")) || op.Value[0] != byte(i) {
			t.Fatalf("appending to a key changed the value of change %d: %q", i, op.Value)
		}
	}
	if b.Len() != 101 || b.Size() != 100*8+3 {
		t.Errorf("Len %d, Size %d", b.Len(), b.Size())
	}
}

func TestBatchReset(t *testing.T) {
	var b Batch
	b.Set([]byte("a"), make([]byte, bufKeptMax+1))
	b.Reset()
	if b.Len() != 0 || b.Size() != 0 || len(b.Ops()) != 0 {
		t.Errorf("not empty: %d changes of %d bytes", b.Len(), b.Size())
	}
	if cap(b.buf) > bufKeptMax {
		t.Errorf("Reset keeps %d bytes", cap(b.buf))
	}
	b.Set([]byte("b"), nil)
	if b.Len() != 1 || string(b.Ops()[0].Key) != "b" {
		t.Errorf("after Reset: %+v", b.Ops())
	}
}

func TestEmptyRangesAreLeftOut(t *testing.T) {
	var b Batch
	b.DeleteRange([]byte("b"), []byte("b"))
	b.DeleteRange([]byte("b"), []byte("a"))
	b.DeleteRange([]byte("b"), nil)
	if b.Len() != 0 {
		t.Errorf("%d changes", b.Len())
	}
}
