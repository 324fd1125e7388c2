package handoff_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/handoff"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
	"github.com/ringd/ringd/storage/simstore"
	"github.com/ringd/ringd/vnode"
)

// cluster is members whose vnodes of one partition are stepped by hand. Owners
// come first, in the order of their slots; the others are fallbacks.
type cluster struct {
	t       *testing.T
	now     time.Time
	ring    *ring.Ring
	moves   map[ring.PartitionID]replica.Move // under way
	members []*host
	types   map[string]int
	random  uint64
	// intercept, if set, sees every message of an op before it is delivered, and
	// may answer in its place.
	intercept func(to *host, m replica.Message) replica.Message
	sent      map[string]int // objects in transfers, by receiver
	asked     []string       // the types of messages that ops sent
	// hintBytesMax holds for members that start from now on.
	hintBytesMax int64
}

// host is a member: an executor on a disk.
type host struct {
	c       *cluster
	name    string
	id      ring.MemberID
	disk    *simstore.Store
	machine *vnode.Executor
	starts  uint64
	open    []vnode.BatchID
	notices []vnode.Notice
	down    bool
	// held: batches stay unsynced until sync is called.
	held bool
	// ahead is how far its clock is ahead of the others'.
	ahead time.Duration
}

type answered struct {
	reply   any
	message replica.Message
}

// inbox is a reply that collects what comes to it, also long after the request.
type inbox struct{ answers []replica.Message }

const (
	part       = ring.PartitionID(0)
	partitions = 256
)

var at = ring.Epoch{Generation: 1, Number: 1}

// newCluster has three owners and two fallbacks.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, now: time.Unix(1_000_000, 0), types: map[string]int{"default": 3, "pair": 2, "one": 1}, sent: make(map[string]int), hintBytesMax: 1 << 30}
	for i, name := range []string{"A", "B", "C", "F", "G"} {
		c.members = append(c.members, &host{c: c, name: name, id: ring.MemberID{15: byte(i + 1)}, disk: simstore.New()})
	}
	r, err := ring.New(ring.Config{Seed: 1, Partitions: partitions, Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	slots := make([][]ring.MemberID, partitions)
	for p := range slots {
		slots[p] = []ring.MemberID{c.members[0].id, c.members[1].id, c.members[2].id}
	}
	if c.ring, err = r.WithSlots(at, slots); err != nil {
		t.Fatal(err)
	}
	for _, h := range c.members {
		h.start()
	}
	return c
}

func (c *cluster) host(name string) *host {
	for _, h := range c.members {
		if h.name == name {
			return h
		}
	}
	c.t.Fatalf("no member %s", name)
	return nil
}

func (c *cluster) byID(id ring.MemberID) *host {
	for _, h := range c.members {
		if h.id == id {
			return h
		}
	}
	c.t.Fatalf("no member %v", id)
	return nil
}

// start begins a new process, which is agreed on.
func (h *host) start() {
	h.starts++
	config := vnode.DefaultConfig()
	config.Self, config.Ring, config.Types = h.id, h.c.ring, h.c.types
	config.Moves = h.c.moves
	config.StartCount, config.Proven = h.starts, true
	config.Random = func() uint64 { h.c.random++; return 1000 + h.c.random }
	config.InlineBytes = 64
	config.HintBytesMax = h.c.hintBytesMax
	h.machine, h.open, h.down = vnode.NewExecutor(config, vnode.NewKV(config)), nil, false
}

// crash loses what is not synced, and starts again.
func (h *host) crash() {
	h.disk = h.disk.Crash(0)
	h.start()
}

// stop ends the process cleanly and starts another.
func (h *host) restart() {
	h.step(vnode.Stop{})
	h.sync()
	h.start()
}

// wipe empties the partition, as a disk is that was replaced, and starts again.
func (h *host) wipe() {
	b := new(storage.Batch)
	for _, r := range storage.PartitionRanges(uint32(part)) {
		b.DeleteRange(r.Lower, r.Upper)
	}
	if _, err := h.disk.Apply(b); err != nil {
		h.c.t.Fatal(err)
	}
	b.Reset()
	leaving := uint64(0)
	if m, ok := h.c.moves[part]; ok && m.From == h.id && !m.Rebuild {
		leaving = m.Number
	}
	if err := vnode.Lose(b, h.disk, part, 3, true, 0, leaving); err != nil {
		h.c.t.Fatal(err)
	}
	if _, err := h.disk.Apply(b); err != nil {
		h.c.t.Fatal(err)
	}
	h.disk.Sync()
	h.start()
}

// step takes events and, unless batches are held, syncs what they made.
func (h *host) step(events ...vnode.Event) []answered {
	h.c.t.Helper()
	fx := h.machine.Step(h.clock(), events, h.disk)
	out := h.sort(fx)
	h.notices = append(h.notices, fx.Notices...)
	if fx.Batch != nil {
		if _, err := h.disk.Apply(fx.Batch); err != nil {
			h.c.t.Fatal(err)
		}
		h.open = append(h.open, fx.ID)
	}
	if !h.held {
		out = append(out, h.sync()...)
	}
	return out
}

// sync makes all batches durable and returns what was answered thereupon.
func (h *host) sync() []answered {
	h.c.t.Helper()
	if len(h.open) == 0 {
		return nil
	}
	h.disk.Sync()
	last := h.open[len(h.open)-1]
	h.open = nil
	return h.sort(h.machine.Step(h.clock(), []vnode.Event{vnode.Synced{Batch: last}}, h.disk))
}

func (h *host) clock() time.Time { return h.c.now.Add(h.ahead) }

// sort puts answers into the inboxes that they are for, and returns all.
func (h *host) sort(fx vnode.Effects) []answered {
	var out []answered
	for _, a := range fx.Answers {
		out = append(out, answered{a.Reply, a.Envelope.Message})
		if in, ok := a.Reply.(*inbox); ok {
			in.answers = append(in.answers, a.Envelope.Message)
		}
	}
	return out
}

// ask sends one message from another member and returns the last answer to it,
// nil if there is none yet.
func (h *host) ask(from *host, fallback bool, m replica.Message) replica.Message {
	h.c.t.Helper()
	if h.down {
		return replica.Failure{Err: replica.Errorf(replica.KindUnavailable, "down")}
	}
	in := h.give(from, fallback, m)
	if len(in.answers) == 0 {
		return nil
	}
	return in.answers[len(in.answers)-1]
}

// give sends one message from another member, and returns where answers to it
// will be.
func (h *host) give(from *host, fallback bool, m replica.Message) *inbox {
	h.c.t.Helper()
	in := new(inbox)
	h.step(vnode.Request{Reply: in, Envelope: replica.Envelope{
		From: from.id, To: h.id, Epoch: h.c.ring.Epoch(), Partition: part, Fallback: fallback, Message: m,
	}})
	return in
}

// run drives an op to its end. Messages are delivered one at a time, in order.
func (c *cluster) run(self *host, op handoff.Op) *replica.Error {
	c.t.Helper()
	events := []replica.Event{replica.Begin{}}
	for range 100_000 {
		if len(events) == 0 {
			c.t.Fatal("the op waits for nothing")
		}
		fx := op.Step(c.now, events[0])
		events = events[1:]
		for _, s := range fx.Sends {
			to := c.byID(s.To)
			c.asked = append(c.asked, nameOf(s.Message))
			var answer replica.Message
			if c.intercept != nil {
				answer = c.intercept(to, s.Message)
			}
			if transfer, ok := s.Message.(replica.Transfer); ok && answer == nil {
				c.sent[to.name] += len(transfer.Items)
			}
			if answer == nil {
				answer = to.ask(self, s.Fallback, s.Message)
			}
			if answer == nil {
				c.t.Fatalf("%s did not answer %T", to.name, s.Message)
			}
			events = append(events, replica.Answer{Seq: s.Seq, Message: answer})
		}
		if fx.Finished {
			return fx.Err
		}
		if len(events) == 0 && !fx.Tick.IsZero() {
			c.now = fx.Tick
			events = append(events, replica.Tick{})
		}
	}
	c.t.Fatal("the op does not come to an end")
	return nil
}

// free is a throttle that lets everything go.
type free struct{}

func (free) Take(time.Time, int) time.Duration { return 0 }

// exchange compares two owners.
func (c *cluster) exchange(a, b string) (*handoff.Exchange, *replica.Error) {
	c.t.Helper()
	x := c.exchangeOf(a, b)
	return x, c.run(c.host(a), x)
}

// agree compares the two and returns how many objects were sent.
func (c *cluster) agree(a, b string) int {
	c.t.Helper()
	x, err := c.exchange(a, b)
	if err != nil {
		c.t.Fatalf("%s and %s: %v", a, b, err)
	}
	return x.Progress().Done
}

// round compares all pairs of owners.
func (c *cluster) round() int {
	c.t.Helper()
	return c.agree("A", "B") + c.agree("A", "C") + c.agree("B", "C")
}

// deliver gives an owner the hints that a fallback keeps for it.
func (c *cluster) deliver(from, to string) *handoff.Delivery {
	c.t.Helper()
	d := c.deliveryOf(from, to)
	if err := c.run(c.host(from), d); err != nil {
		c.t.Fatalf("hints of %s for %s: %v", from, to, err)
	}
	return d
}

// reap removes at one owner what may be forgotten.
func (c *cluster) reap(name string) replica.ReapAnswer {
	c.t.Helper()
	h := c.host(name)
	a, ok := h.ask(h, false, replica.Reap{Limit: 1000}).(replica.ReapAnswer)
	if !ok {
		c.t.Fatalf("%s did not reap", name)
	}
	return a
}

func key(k string) replica.Key { return replica.Key{Type: "default", Bucket: "b", Key: k} }

// write is coordinated by one member and reaches those named. It returns the
// object after it.
func (c *cluster) write(by string, w replica.Write, reach ...string) causal.Object {
	c.t.Helper()
	h := c.host(by)
	var encoded []byte
	fallback := by == "F" || by == "G"
	if w.Request == (causal.RequestID{}) {
		c.random++
		copy(w.Request[:], fmt.Sprint(c.random))
	}
	n := min(c.types[w.Key.Type], 3)
	for _, a := range h.step(vnode.Request{Reply: "w", Envelope: replica.Envelope{
		From: h.id, To: h.id, Epoch: c.ring.Epoch(), Partition: part, Fallback: fallback, Message: replica.Coordinate{Write: w, Slots: n, Everywhere: c.types[w.Key.Type] > n},
	}}) {
		switch m := a.message.(type) {
		case replica.Prepared:
			encoded = m.Object
		case replica.Failure:
			c.t.Fatalf("write at %s: %v", by, m.Err)
		}
	}
	for _, name := range reach {
		c.store(name, w.Key, encoded)
	}
	o, err := causal.DecodeObject(encoded)
	if err != nil {
		c.t.Fatal(err)
	}
	return o
}

// store brings an owner an object, as a coordinator does.
func (c *cluster) store(name string, k replica.Key, encoded []byte) {
	c.t.Helper()
	h := c.host(name)
	if m := h.ask(h, false, replica.Store{Key: k, Object: encoded}); !h.held {
		if _, ok := m.(replica.StoreAnswer); !ok {
			c.t.Fatalf("%s did not store: %v", name, m)
		}
	}
}

// hint has a fallback keep an object for an owner.
func (c *cluster) hint(at, owner string, k replica.Key, o causal.Object) {
	c.t.Helper()
	h := c.host(at)
	slot := map[string]int{"A": 0, "B": 1, "C": 2}[owner]
	if m, ok := h.ask(h, true, replica.Store{Key: k, Object: causal.AppendObject(nil, o), Slot: slot}).(replica.StoreAnswer); !ok || !m.Durable {
		c.t.Fatalf("%s did not keep the hint", at)
	}
}

func (c *cluster) put(by, k, value string, ctx causal.Vector, reach ...string) causal.Object {
	c.t.Helper()
	return c.write(by, replica.Write{Key: key(k), Value: []byte(value), Context: causal.Context{Seen: ctx}}, reach...)
}

func (c *cluster) delete(by, k string, ctx causal.Vector, reach ...string) causal.Object {
	c.t.Helper()
	return c.write(by, replica.Write{Key: key(k), Delete: true, Context: causal.Context{Seen: ctx}}, reach...)
}

// read is what one owner answers.
func (c *cluster) read(name, k string) (replica.ReadAnswer, *replica.Error) {
	c.t.Helper()
	h := c.host(name)
	switch m := h.ask(h, name == "F" || name == "G", replica.Read{Key: key(k), Full: true}).(type) {
	case replica.ReadAnswer:
		return m, nil
	case replica.Failure:
		return replica.ReadAnswer{}, m.Err
	default:
		c.t.Fatalf("%s answered a read with %T", name, m)
		return replica.ReadAnswer{}, nil
	}
}

// values are those that one owner has, in the order of their dots.
func (c *cluster) values(name, k string) []string {
	c.t.Helper()
	a, rerr := c.read(name, k)
	if rerr != nil {
		c.t.Fatalf("read at %s: %v", name, rerr)
	}
	if len(a.Object) == 0 {
		return nil
	}
	o, err := causal.DecodeObject(a.Object)
	if err != nil {
		c.t.Fatal(err)
	}
	return valuesOf(o)
}

// hasRecord says whether an owner's disk has a record of a key.
func (c *cluster) hasRecord(name, k string) bool {
	c.t.Helper()
	key := key(k)
	_, err := c.host(name).disk.Get(storage.AppendDataKey(nil, uint32(part), []byte(key.Type), []byte(key.Bucket), []byte(key.Key)))
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		c.t.Fatal(err)
	}
	return err == nil
}

// snapshot is all that a member has on disk of the partition.
func snapshot(t *testing.T, h *host) string {
	t.Helper()
	var all strings.Builder
	for _, r := range storage.PartitionRanges(uint32(part)) {
		if err := h.disk.Scan(r.Lower, r.Upper, func(key, value []byte) bool {
			fmt.Fprintf(&all, "%x = %x\n", key, value)
			return true
		}); err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

// wantTreesRight fails unless an owner's sums are those over its index, and the
// index is that of its data.
func (c *cluster) wantTreesRight(name string) {
	c.t.Helper()
	if tree, sums := c.checkTrees(name); len(tree) > 0 || sums > 0 {
		c.t.Fatalf("%s: entries of %v and %d sums are wrong", name, tree, sums)
	}
}

// checkTrees has an owner hold its trees against the data, and returns what was
// wrong.
func (c *cluster) checkTrees(name string) (keys []replica.Key, sums int) {
	c.t.Helper()
	h := c.host(name)
	ask := func(m replica.Message) replica.CheckAnswer {
		a, ok := h.ask(h, false, m).(replica.CheckAnswer)
		if !ok {
			c.t.Fatalf("%s does not check: %v", name, h.ask(h, false, m))
		}
		keys = append(keys, a.Keys...)
		sums += a.Sums
		return a
	}
	ask(replica.CheckTree{Limit: 100_000})
	for class := 1; class <= replica.CopyClass(3); class++ {
		ask(replica.CheckSums{Class: class, Range: replica.LeafRange{To: replica.Leaves(partitions)}})
	}
	return keys, sums
}

func wantValues(t *testing.T, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("the values are %q, not %q", got, want)
	}
}
