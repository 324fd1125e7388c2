package peer

import (
	"time"

	"github.com/ringd/ringd/replica"
)

// item is a message that waits to be written.
type item struct {
	env      replica.Envelope
	id       uint64 // on the wire; of a request only once it is written
	bytes    int    // by sizeOf
	onAnswer func(replica.Envelope, error)
}

func (it *item) expired(now time.Time) bool {
	return !it.env.Deadline.IsZero() && !now.Before(it.env.Deadline)
}

// queue is items in the order in which they came. Its owner bounds and guards
// it.
type queue struct {
	items []item // from head on
	head  int
	bytes int
}

func (q *queue) len() int { return len(q.items) - q.head }

func (q *queue) push(it item) {
	// A queue that never runs empty must not grow by what has left it.
	if len(q.items) == cap(q.items) && q.head > len(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, it)
	q.bytes += it.bytes
}

func (q *queue) pop() item {
	it := q.items[q.head]
	q.items[q.head] = item{}
	q.head++
	q.bytes -= it.bytes
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	return it
}

// drop removes and returns the items of which gone is true.
func (q *queue) drop(gone func(*item) bool) []item {
	var out []item
	kept := q.items[:0]
	for i := q.head; i < len(q.items); i++ {
		if it := q.items[i]; gone(&it) {
			out = append(out, it)
			q.bytes -= it.bytes
		} else {
			kept = append(kept, it)
		}
	}
	clear(q.items[len(kept):])
	q.items, q.head = kept, 0
	return out
}

func all(*item) bool { return true }
