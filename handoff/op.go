package handoff

import (
	"fmt"
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// Op is one transfer or comparison under way, of one partition.
type Op interface {
	// Step takes one event. The first is replica.Begin. After Finished there are
	// no more.
	Step(now time.Time, e replica.Event) Effects
	// Progress so far.
	Progress() Progress
}

// Effects is what the caller of Step has to do.
type Effects struct {
	Sends []replica.Send
	// Tick is when to call with a replica.Tick; zero is when nothing else comes.
	Tick time.Time
	// Finished: the op has come to its end, or to Err.
	Finished bool
	Err      *replica.Error
}

// Kind of an op.
type Kind string

// The kinds of op.
const (
	KindHints       Kind = "hints"
	KindAntiEntropy Kind = "anti-entropy"
	KindVerify      Kind = "verify"
	KindRestore     Kind = "restore"
	KindMove        Kind = "move"
	KindSalvage     Kind = "salvage"
)

// Progress is what an op tells of itself.
type Progress struct {
	Kind      Kind
	Partition ring.PartitionID
	Slot      int // of hints, and of a move
	From, To  ring.MemberID
	// Done of Total objects, as far as they are known. Bytes are those of the
	// objects done.
	Done, Total int
	Bytes       int64
	// Read are the bytes of what was compared: sums, entries, heads.
	Read int64
	// Differed are the keys that were found to differ.
	Differed int
}

// Throttle bounds how fast objects leave a member. Its implementation is shared
// by all ops.
type Throttle interface {
	// Take asks to send bytes now, and returns how long to wait before they may
	// go: they count as sent then.
	Take(now time.Time, bytes int) time.Duration
}

// calls numbers an op's sends and knows what each was for. The answers come back
// to the function that was left with it.
type calls struct {
	seq  uint32
	open map[uint32]func(now time.Time, m replica.Message, fx *Effects)
}

func (c *calls) send(fx *Effects, s replica.Send, then func(now time.Time, m replica.Message, fx *Effects)) {
	if c.open == nil {
		c.open = make(map[uint32]func(time.Time, replica.Message, *Effects))
	}
	c.seq++
	s.Seq = c.seq
	c.open[c.seq] = then
	fx.Sends = append(fx.Sends, s)
}

// take hands an answer, or that there is none, to whom it is for.
func (c *calls) take(now time.Time, e replica.Event, fx *Effects) {
	var seq uint32
	var m replica.Message
	switch e := e.(type) {
	case replica.Answer:
		seq, m = e.Seq, e.Message
	case replica.Lost:
		seq, m = e.Seq, replica.Failure{Err: replica.Errorf(replica.KindUnavailable, "the connection to a member broke")}
	default:
		return
	}
	then, ok := c.open[seq]
	if !ok {
		return
	}
	delete(c.open, seq)
	then(now, m, fx)
}

// wrong is what an answer of the wrong type, or a failure, means.
func wrong(m replica.Message) *replica.Error {
	if f, ok := m.(replica.Failure); ok && f.Err != nil {
		return f.Err
	}
	return replica.Errorf(replica.KindInternal, "a vnode answered with %T", m)
}

// headBytes is about what a head takes on the wire.
func headBytes(o causal.Object) int64 {
	n := int64(16 + 18*len(o.Context))
	for i := range o.Siblings {
		n += int64(64 + len(o.Siblings[i].ContentType))
	}
	return n
}

func keyBytes(k replica.Key) int64 { return int64(len(k.Type) + len(k.Bucket) + len(k.Key)) }

func describe(p ring.PartitionID, what string, err *replica.Error) *replica.Error {
	e := *err
	e.Message = fmt.Sprintf("partition %d: %s: %s", p, what, e.Message)
	return &e
}
