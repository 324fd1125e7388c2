package sim

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/quorum"
	"github.com/ringd/ringd/replica"
)

const (
	bucketType  = replica.DefaultBucketType
	bucket      = "b"
	opTimeout   = 400 * time.Millisecond
	attemptsMax = 3
)

// client does one operation after another at members of its choice, as a
// client library would: a write whose outcome is unknown is tried again, with
// the same request id, at another member.
type client struct {
	w    *world
	name string
	left int
	ops  int
	// seen is the client's last read of each key.
	seen map[string]reading
}

// reading is what a read gave: an opaque context, and the values that it
// stands for.
type reading struct {
	context []byte
	values  []string
}

// operation is one call, over all its attempts.
type operation struct {
	key      string
	kind     string
	value    string
	basis    reading
	write    replica.Write
	options  replica.Options
	attempts int
}

func (w *world) startClients() {
	w.clients = w.config.Clients
	for i := range w.config.Clients {
		c := &client{w: w, name: fmt.Sprintf("c%d", i), left: w.config.Operations / w.config.Clients, seen: make(map[string]reading)}
		w.after(w.upTo(10*time.Millisecond), c.next)
	}
}

func (c *client) next() {
	if c.left == 0 {
		c.w.clients--
		return
	}
	c.left--
	c.ops++
	rng := c.w.rng
	op := &operation{key: fmt.Sprintf("k%d", rng.IntN(c.w.config.Keys))}
	op.value = fmt.Sprintf("%s-%d-%s", c.name, c.ops, op.key)
	if rng.IntN(3) == 0 {
		op.value += strings.Repeat("x", 12) // kept apart
	}
	op.write = replica.Write{Key: key(op.key), Value: []byte(op.value), Return: replica.ReturnBody}
	binary.BigEndian.PutUint64(op.write.Request[:], rng.Uint64())
	op.write.Request[15] = 1
	counts := []replica.Count{1, replica.Unset, 1, replica.All}
	if c.w.config.Emptied {
		counts[0] = replica.Unset
	}
	op.options = replica.Options{R: counts[rng.IntN(4)], W: counts[rng.IntN(2)]}
	if rng.IntN(3) == 0 {
		op.options.Sloppy = replica.Off
	}
	if rng.IntN(8) == 0 {
		op.options.RepairBlocking = replica.On
	}
	op.kind = c.choose(op)
	op.write.Options = op.options
	if !c.openContext(op) {
		c.finished(op, "refused")
		return
	}
	if op.kind != "get" {
		c.w.check.issued(op)
	}
	c.attempt(op)
}

// choose draws the kind of operation, and what it builds on.
func (c *client) choose(op *operation) string {
	seen := c.seen[op.key]
	switch n := c.w.rng.IntN(100); {
	case n < 40:
		return "get"
	case n < 60:
		return "put"
	case n < 82:
		op.basis = seen
		return "put on"
	case n < 90:
		op.basis = seen
		op.write.Delete = true
		if len(seen.context) == 0 {
			return "get"
		}
		return "delete"
	case n < 93:
		op.write.IfAbsent = true
		return "put if absent"
	case n < 96 && len(seen.context) > 0:
		op.basis = seen
		op.write.IfMatch = true
		return "put if match"
	default:
		return "put on another key's"
	}
}

// openContext does what a member does with the context that a client sends. It
// reports whether the member accepts it.
func (c *client) openContext(op *operation) bool {
	sealed := op.basis.context
	if op.kind == "put on another key's" {
		for k := range c.w.config.Keys {
			other := fmt.Sprintf("k%d", k)
			if s := c.seen[other]; other != op.key && len(s.context) > 0 {
				sealed = s.context
				break
			}
		}
	}
	if len(sealed) == 0 {
		return true
	}
	v, err := causal.Open(c.w.key, bucketType, bucket, op.key, sealed)
	if err != nil {
		c.w.reached["context refused"]++
		return false
	}
	op.write.Context = v
	return true
}

func key(k string) replica.Key { return replica.Key{Type: bucketType, Bucket: bucket, Key: k} }

// attempt sends op to a member. No answer by a little after the deadline means
// that the outcome is unknown.
func (c *client) attempt(op *operation) {
	op.attempts++
	m := c.w.members[c.w.rng.IntN(len(c.w.members))]
	answered := false
	c.w.log("%s %s %s %q at %s, attempt %d", c.name, op.kind, op.key, op.value, m.name, op.attempts)
	answer := func(r quorum.Result) {
		if !answered {
			answered = true
			c.answer(op, r)
		}
	}
	c.w.after(opTimeout+50*time.Millisecond, func() {
		answer(quorum.Result{Err: replica.Errorf(replica.KindUnknown, "no answer")})
	})
	if !m.up {
		c.w.after(c.w.upTo(time.Millisecond), func() {
			answer(quorum.Result{Err: replica.Errorf(replica.KindUnavailable, "connection refused")})
		})
		return
	}
	m.later(c.w.upTo(time.Millisecond), func() {
		v, p := m.view(key(op.key), op.options, c.w.now.Add(opTimeout))
		back := func(r quorum.Result) {
			// The answer survives the member's end: it is on the wire already.
			c.w.after(c.w.upTo(time.Millisecond), func() { answer(r) })
		}
		m.launch(m.op(v, op), p, v.Deadline, back)
	})
}

func (m *member) op(v quorum.View, op *operation) quorum.Op {
	if op.kind == "get" {
		return quorum.NewGet(v, key(op.key))
	}
	switch quorum.RouteOf(v, false) {
	case quorum.RouteForward:
		// It may be handed to one owner after another.
		m.w.check.retried[op.value] = true
		return quorum.NewForward(v, op.write)
	case quorum.RouteFallback:
		m.w.reached["coordinated by a fallback"]++
	}
	return quorum.NewPut(v, op.write)
}

func (c *client) answer(op *operation, r quorum.Result) {
	if r.Err != nil {
		if (r.Err.Kind == replica.KindUnknown || r.Err.Kind == replica.KindUnavailable) && op.attempts < attemptsMax {
			c.w.reached["retry"]++
			c.w.check.retried[op.value] = true
			c.w.after(c.w.upTo(20*time.Millisecond), func() { c.attempt(op) })
			return
		}
		c.finished(op, r.Err.Kind.String())
		return
	}
	visible := causal.Fold(r.Object, causal.FoldOptions{})
	values := make([]string, 0, len(visible.Siblings))
	for _, s := range visible.Siblings {
		if !s.Tombstone {
			values = append(values, string(s.Value))
		}
	}
	if len(values) > 1 {
		c.w.reached["siblings read"]++
	}
	c.w.check.read(op.key, values)
	c.w.check.gaveContext(op.key, r.Context)
	if op.kind != "get" {
		c.w.check.acknowledged(op)
	}
	read := reading{values: values}
	if !r.Context.Empty() {
		read.context = causal.Seal(c.w.key, bucketType, bucket, op.key, r.Context)
	}
	c.seen[op.key] = read
	c.finished(op, fmt.Sprintf("%q", values))
}

func (c *client) finished(op *operation, outcome string) {
	c.w.log("%s %s %s: %s", c.name, op.kind, op.key, outcome)
	c.w.after(c.w.upTo(20*time.Millisecond), c.next)
}
