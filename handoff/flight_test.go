package handoff_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/handoff"
	"github.com/ringd/ringd/quorum"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// flight is an op whose messages go when the test says so: a vnode can be asked
// at one moment and its answer come at another.
type flight struct {
	t    *testing.T
	c    *cluster
	self *host
	step func(e replica.Event) (sends []replica.Send, finished bool)

	under    []*underway
	finished bool
	result   *quorum.Result
	err      *replica.Error // of an op of package handoff
	repairs  int            // sent by a read
}

// underway is a message that was sent; asked: its vnode has it.
type underway struct {
	to    *host
	send  replica.Send
	asked *inbox
	told  int // answers that the op has
}

// request begins an op of package quorum.
func (c *cluster) request(self string, op quorum.Op) *flight {
	c.t.Helper()
	f := &flight{t: c.t, c: c, self: c.host(self)}
	f.step = func(e replica.Event) ([]replica.Send, bool) {
		fx := op.Step(c.now, e)
		if fx.Result != nil {
			f.result = fx.Result
		}
		f.repairs += fx.Repairs
		return fx.Sends, fx.Finished
	}
	f.take(replica.Begin{})
	return f
}

// begin begins an op of package handoff.
func (c *cluster) begin(self string, op handoff.Op) *flight {
	c.t.Helper()
	f := &flight{t: c.t, c: c, self: c.host(self)}
	f.step = func(e replica.Event) ([]replica.Send, bool) {
		fx := op.Step(c.now, e)
		if !fx.Tick.IsZero() && fx.Tick.After(c.now) {
			c.now = fx.Tick
			more := op.Step(c.now, replica.Tick{})
			fx.Sends, fx.Finished, fx.Err = append(fx.Sends, more.Sends...), more.Finished, more.Err
		}
		f.err = fx.Err
		return fx.Sends, fx.Finished
	}
	f.take(replica.Begin{})
	return f
}

func (f *flight) take(e replica.Event) {
	sends, finished := f.step(e)
	f.finished = f.finished || finished
	for _, s := range sends {
		f.under = append(f.under, &underway{to: f.c.byID(s.To), send: s})
	}
}

// next returns the oldest message to a member that matches, nil if there is none.
func (f *flight) next(to string, asked bool) *underway {
	for _, u := range f.under {
		if u.to.name == to && (u.asked != nil) == asked {
			return u
		}
	}
	return nil
}

// ask has a member take the oldest message to it, which must be of the type of
// like. The answer stays on its way.
func (f *flight) ask(to string, like replica.Message) {
	f.t.Helper()
	u := f.next(to, false)
	if u == nil {
		f.t.Fatalf("nothing is on its way to %s, and not %T", to, like)
	}
	if !sameType(u.send.Message, like) {
		f.t.Fatalf("%T is on its way to %s, and not %T", u.send.Message, to, like)
	}
	u.asked = u.to.give(f.self, u.send.Fallback, u.send.Message)
}

// tell gives the op what a member has answered, and returns whether that was
// anything.
func (f *flight) tell(to string) bool {
	f.t.Helper()
	told := false
	for _, u := range slices.Clone(f.under) {
		if u.to.name != to || u.asked == nil {
			continue
		}
		for ; u.told < len(u.asked.answers); u.told++ {
			m := u.asked.answers[u.told]
			told = true
			if _, again := m.(replica.Prepared); !again {
				f.drop(u)
			}
			f.take(replica.Answer{Seq: u.send.Seq, Message: m})
		}
	}
	return told
}

// lose says that no answer comes from a member to anything under way.
func (f *flight) lose(to string) {
	for _, u := range slices.Clone(f.under) {
		if u.to.name == to {
			f.drop(u)
			f.take(replica.Lost{Seq: u.send.Seq, Sent: true})
		}
	}
}

func (f *flight) drop(u *underway) {
	f.under = slices.DeleteFunc(f.under, func(v *underway) bool { return v == u })
}

// land delivers all that is under way, in order, until nothing is, but to the
// members that are named. What is on its way to members that are down is lost.
func (f *flight) land(but ...string) *flight {
	f.t.Helper()
	for range 100_000 {
		i := slices.IndexFunc(f.under, func(u *underway) bool {
			waits := u.asked != nil && u.told == len(u.asked.answers)
			return !slices.Contains(but, u.to.name) && !waits
		})
		if i < 0 {
			return f
		}
		f.landOne(f.under[i])
	}
	f.t.Fatal("the op does not come to an end")
	return f
}

func (f *flight) landOne(u *underway) {
	if u.to.down {
		f.lose(u.to.name)
		return
	}
	if u.asked == nil {
		u.asked = u.to.give(f.self, u.send.Fallback, u.send.Message)
	}
	f.tell(u.to.name)
}

// landUntil lands all before the first message of a type to a member.
func (f *flight) landUntil(what, to string) *flight {
	f.t.Helper()
	for range 10_000 {
		for _, u := range f.under {
			if u.to.name == to && nameOf(u.send.Message) == what {
				return f
			}
		}
		if len(f.under) == 0 {
			break
		}
		f.landOne(f.under[0])
	}
	f.t.Fatalf("no %s is sent to %s", what, to)
	return nil
}

// held are the messages of a type that no vnode has yet, which go to a member.
func (f *flight) held(to string, like replica.Message) []*underway {
	var out []*underway
	for _, u := range f.under {
		if u.to.name == to && u.asked == nil && sameType(u.send.Message, like) {
			out = append(out, u)
		}
	}
	return out
}

func sameType(a, b replica.Message) bool { return nameOf(a) == nameOf(b) }

func nameOf(m replica.Message) string { return reflect.TypeOf(m).Name() }

// strict is a quorum of two of three, owners only; sloppy counts fallbacks.
var (
	strict = replica.Quorums{N: 3, R: 2, W: 2, DW: 2}
	sloppy = replica.Quorums{N: 3, R: 2, W: 2, DW: 2, Sloppy: true}
)

// view is what a member knows of who is up, which is right.
func (c *cluster) view(self string, q replica.Quorums) quorum.View {
	v := quorum.View{Self: c.host(self).id, Quorums: q, ReadAfter: time.Hour, SloppyAfter: time.Hour}
	for i, h := range c.members {
		candidate := quorum.Candidate{ID: h.id, Up: !h.down, Latency: time.Duration(i)}
		if i < q.N {
			v.Owners = append(v.Owners, candidate)
		} else if i >= len(c.ring.Owners(part)) {
			v.Fallbacks = append(v.Fallbacks, candidate)
		}
	}
	return v
}

// get reads with a quorum, at once, and returns the values.
func (c *cluster) get(self, k string, q replica.Quorums) ([]string, *replica.Error) {
	c.t.Helper()
	f := c.request(self, quorum.NewGet(c.view(self, q), key(k))).land()
	if f.result == nil {
		c.t.Fatal("the read was not answered")
	}
	return valuesOf(f.result.Object), f.result.Err
}

// wantGet fails unless a read with a quorum gives these values.
func (c *cluster) wantGet(self, k string, q replica.Quorums, want ...string) {
	c.t.Helper()
	got, err := c.get(self, k, q)
	if err != nil {
		c.t.Fatalf("read at %s: %v", self, err)
	}
	wantValues(c.t, got, want...)
}

func valuesOf(o causal.Object) []string {
	var values []string
	for _, s := range o.Siblings {
		if !s.Tombstone {
			values = append(values, string(s.Value))
		}
	}
	return values
}

// deliveryOf is the op of deliver.
func (c *cluster) deliveryOf(from, to string) *handoff.Delivery {
	f, owner := c.host(from), c.host(to)
	return handoff.NewDelivery(f.id, part, slices.Index(c.ring.Owners(part), owner.id), owner.id, free{})
}

// exchangeOf is the op of exchange.
func (c *cluster) exchangeOf(a, b string) *handoff.Exchange {
	return handoff.NewExchange(c.exchangeConfig(a, b))
}

func (c *cluster) exchangeConfig(a, b string) handoff.ExchangeConfig {
	slot := func(id ring.MemberID) int {
		if i := slices.Index(c.ring.Owners(part), id); i >= 0 {
			return i
		}
		return 3 // it holds a copy
	}
	self, peer := c.host(a).id, c.host(b).id
	return handoff.ExchangeConfig{
		Partition: part, Self: self, Peer: peer, SelfSlot: slot(self), PeerSlot: slot(peer), Replicas: 3,
		Leaves: replica.Leaves(partitions), SecondLook: time.Second, Throttle: free{},
	}
}
