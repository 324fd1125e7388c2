package peer

import (
	"testing"

	"github.com/ringd/ringd/replica"
)

// A queue that never runs empty keeps its size.
func TestQueueKeepsOrderAndSize(t *testing.T) {
	var q queue
	next := uint64(0)
	for i := range uint64(100_000) {
		q.push(item{id: i, bytes: 10, env: replica.Envelope{Message: store(1)}})
		if q.len() > 10 {
			if it := q.pop(); it.id != next {
				t.Fatalf("item %d came out, want %d", it.id, next)
			}
			next++
		}
		if q.bytes != 10*q.len() {
			t.Fatalf("%d bytes for %d items", q.bytes, q.len())
		}
	}
	if cap(q.items) > 100 {
		t.Errorf("room for %d items was made", cap(q.items))
	}
	dropped := q.drop(func(it *item) bool { return it.id%2 == 0 })
	if len(dropped) != 5 || q.len() != 5 || q.bytes != 50 {
		t.Errorf("%d dropped, %d left with %d bytes", len(dropped), q.len(), q.bytes)
	}
	for q.len() > 0 {
		if it := q.pop(); it.id%2 == 0 {
			t.Errorf("%d was not dropped", it.id)
		}
	}
}
