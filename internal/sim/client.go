package sim

import (
	"encoding/binary"
	"fmt"
	"slices"
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
	// sure are those of values that a write with the context replaces, wherever it is
	// coordinated: an own write beside siblings that its client has not seen may stay
	// (causal.Context.Own).
	sure []string
}

// operation is one call, over all its attempts.
type operation struct {
	key      string
	kind     string
	value    string
	basis    reading
	write    replica.Write
	options  replica.Options
	quorums  replica.Quorums
	attempts int
	began    time.Time // the last attempt
	// maybe: some attempt may have been applied.
	maybe bool
}

// strictRead and strictWrite say that two owners of three take part.
func (op *operation) strictRead() bool {
	return op.quorums.PR >= 2 || (!op.quorums.Sloppy && op.quorums.R >= 2)
}

func (op *operation) strictWrite() bool {
	return op.quorums.PW >= 2 || (!op.quorums.Sloppy && op.quorums.W >= 2)
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
	op.write = replica.Write{Key: key(op.key), Value: []byte(op.value)}
	if rng.IntN(3) > 0 {
		op.write.Return = replica.ReturnBody
	}
	binary.BigEndian.PutUint64(op.write.Request[:], rng.Uint64())
	op.write.Request[15] = 1
	op.options = c.options()
	op.kind = c.choose(op)
	op.write.Options = op.options
	var err error
	if op.quorums, err = replica.Resolve(replica.NewBucketType(bucketType, c.w.config.Replicas), op.options); err != nil {
		panic(err)
	}
	c.w.check.operations++
	if !c.openContext(op) {
		c.finished(op, "refused")
		return
	}
	if op.kind != "get" {
		c.w.check.issued(op)
	}
	c.attempt(op)
}

// options draws what the operation asks of replicas.
func (c *client) options() replica.Options {
	rng := c.w.rng
	counts := []replica.Count{1, replica.Unset, 1, replica.All}
	o := replica.Options{R: counts[rng.IntN(4)], W: counts[rng.IntN(2)]}
	switch rng.IntN(4) {
	case 0:
		o.Sloppy = replica.Off
	case 1:
		o.R, o.W, o.PR, o.PW = replica.Unset, replica.Unset, 2, 2
	}
	if rng.IntN(8) == 0 {
		o.RepairBlocking = replica.On
	}
	return o
}

// choose draws the kind of operation, and what it builds on.
func (c *client) choose(op *operation) string {
	seen := c.seen[op.key]
	switch n := c.w.rng.IntN(100); {
	case n < 40:
		return "get"
	case n < 60:
		return "put"
	case n < 80:
		op.basis = seen
		return "put on"
	case n < 91:
		if len(seen.context) == 0 {
			return "get"
		}
		op.basis = seen
		op.write.Delete = true
		return "delete"
	case n < 94:
		op.write.IfAbsent = true
		return "put if absent"
	case n < 97 && len(seen.context) > 0:
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
		c.w.reach("context refused")
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
	op.began = c.w.now
	in := c.w.where(func(m *member) bool { return !m.out && !m.dead })
	m := in[c.w.rng.IntN(len(in))]
	answered := false
	c.w.log("%s %s %s %q at %s, attempt %d", c.name, op.kind, op.key, op.value, m.name, op.attempts)
	answer := func(r quorum.Result) {
		if !answered {
			answered = true
			c.answer(op, r)
		}
	}
	c.w.after(opTimeout+50*time.Millisecond, func() {
		answer(quorum.Result{Err: &replica.Error{Kind: replica.KindUnknown, Message: "no answer", MaybeApplied: true}})
	})
	if !m.serving() {
		c.w.after(c.w.upTo(time.Millisecond), func() {
			answer(quorum.Result{Err: replica.Errorf(replica.KindUnavailable, "connection refused")})
		})
		return
	}
	m.later(c.w.upTo(time.Millisecond), func() {
		deadline := c.w.now.Add(opTimeout)
		back := func(r quorum.Result) {
			// The answer survives the member's end: it is on the wire already.
			c.w.after(c.w.upTo(time.Millisecond), func() { answer(r) })
		}
		if op.kind == "get" {
			v := m.view(key(op.key), op.options, deadline)
			m.launch(quorum.NewGet(v.View, key(op.key)), v, back)
			return
		}
		m.write(op.write, deadline, false, back)
	})
}

func (c *client) answer(op *operation, r quorum.Result) {
	if r.Err != nil {
		c.failed(op, r.Err)
		return
	}
	w := c.w
	if op.kind != "get" && op.write.Return == replica.ReturnNothing {
		w.check.acknowledged(op)
		read := reading{values: slices.Clone(op.basis.values), sure: slices.Clone(op.basis.sure)}
		if len(r.Context.Own) > 0 {
			w.reach("own write beside siblings that were not seen")
		}
		if !op.write.Delete {
			read.values = append(read.values, op.value)
			if len(r.Context.Own) == 0 {
				read.sure = append(read.sure, op.value)
			}
		}
		c.remember(op, read, r.Context)
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
		w.reach("siblings read")
	}
	w.check.read(op.key, values)
	if op.kind == "get" {
		w.check.readBy(op, values)
	} else {
		w.check.acknowledged(op)
	}
	c.remember(op, reading{values: values, sure: values}, r.Context)
}

// remember keeps what an answer told the client.
func (c *client) remember(op *operation, read reading, ctx causal.Context) {
	c.w.check.gaveContext(op.key, ctx)
	if !ctx.Empty() {
		read.context = causal.Seal(c.w.key, bucketType, bucket, op.key, ctx)
	}
	c.seen[op.key] = read
	c.finished(op, fmt.Sprintf("%q", read.values))
}

func (c *client) failed(op *operation, err *replica.Error) {
	op.maybe = op.maybe || err.MaybeApplied || err.Kind == replica.KindUnknown
	switch err.Kind {
	case replica.KindUnknown, replica.KindUnavailable, replica.KindNotOwner, replica.KindStorage, replica.KindStaleRing:
		if op.attempts < attemptsMax {
			c.w.reach("retry")
			if op.maybe {
				c.w.check.retried[op.value] = true
			}
			c.w.log("%s %s %s: %v: again", c.name, op.kind, op.key, err)
			c.w.after(c.w.upTo(300*time.Millisecond), func() { c.attempt(op) })
			return
		}
	}
	switch {
	case op.maybe:
		c.w.check.unknown++
	case op.kind != "get":
		c.w.check.refused(op)
	}
	c.finished(op, fmt.Sprintf("%v: %v", err.Kind, err))
}

func (c *client) finished(op *operation, outcome string) {
	c.w.log("%s %s %s: %s", c.name, op.kind, op.key, outcome)
	// Most of the time one comes right after the other; then there is a pause.
	pause := 20 * time.Millisecond
	if c.w.rng.IntN(4) == 0 {
		pause = 3500 * time.Millisecond
	}
	c.w.after(c.w.upTo(pause), c.next)
}
