package handoff

import (
	"cmp"
	"slices"
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// Exchange makes two owners of a partition agree: it compares their hash trees,
// descends where they differ, and gives each what the other has that it lacks.
// Then each has all that the other had seen when the exchange began, and is told
// so; that is captured before anything is compared.
//
// The peer may be one that owns no slot and holds a copy. It is given what the owner has,
// and the owner what it lacks; that something was overwritten or deleted, the owner does
// not take from a copy.
//
// What differs because it is being written is mostly told from drift by a second
// look, a while after the first.
type Exchange struct {
	config   ExchangeConfig
	calls    calls
	progress Progress
	sides    [2]side

	classes []int // to be compared, the first of which is under way
	ranges  []replica.LeafRange
	leaves  []uint32 // that differ, of the class under way
	lookAt  time.Time
	stage   stage
	chunk   chunk
	// clean: nothing was left out that differs.
	clean    bool
	waiting  int // answers
	busy     bool
	finished bool
	err      *replica.Error
}

// ExchangeConfig says what is compared.
type ExchangeConfig struct {
	Partition ring.PartitionID
	// Self runs the exchange, and owns slot SelfSlot; Peer PeerSlot. Slots count
	// from 0; that of a Peer which holds a copy is Replicas.
	Self, Peer         ring.MemberID
	SelfSlot, PeerSlot int
	Replicas           int
	Leaves             uint32
	// BucketType, if set, is the only one to be compared, of the given class.
	BucketType string
	Class      int
	// SecondLook is how long after the first it comes.
	SecondLook time.Duration
	Throttle   Throttle
}

// SecondLook is the default: far above what a write is under way.
const SecondLook = 500 * time.Millisecond

// side is one of the two vnodes.
type side struct {
	id         ring.MemberID
	seen       causal.Vector // durable, captured at the beginning
	life       uint64
	incomplete bool
	captured   bool
	roots      map[int]uint64
	sums       []uint64
	sender     Sender // to this side, from the other
}

type stage uint8

const (
	capturing stage = iota
	descending
	pausing
	comparing
	adopting
	releasing
)

// leavesAtOnce bounds the leaves whose entries are held at a time, keysAtOnce
// the keys that are compared by their heads.
const (
	leavesAtOnce = 64
	keysAtOnce   = 256
	rangesAtOnce = 16
)

// chunk is what is compared at a time.
type chunk struct {
	leaves  []uint32
	entries [2]map[replica.Key]uint64
	keys    []replica.Key // that differ and were not looked at yet
	heads   [2]replica.HeadsAnswer
	fetches [2]fetch // to each side
}

// fetch is what goes to one side: keys, and the dots that the other side vouches
// for. Single: one at a time, for one of them is corrupt.
type fetch struct {
	keys   []replica.Key
	dots   map[replica.Key][]causal.Dot
	single bool
}

// NewExchange returns the op that compares self with peer.
func NewExchange(c ExchangeConfig) *Exchange {
	x := &Exchange{config: c, clean: true, progress: Progress{Kind: KindAntiEntropy, Partition: c.Partition, From: c.Self, To: c.Peer}}
	for i, id := range []ring.MemberID{c.Self, c.Peer} {
		x.sides[i].id = id
		x.sides[i].sender = Sender{
			to: id, throttle: c.Throttle, calls: &x.calls, progress: &x.progress,
			acked:  func(time.Time, []replica.Item, *Effects) {},
			failed: x.fail,
		}
	}
	return x
}

// Progress implements Op.
func (x *Exchange) Progress() Progress { return x.progress }

// Agreed reports, once the exchange has finished without an error, whether each
// side was told that it has what the other had seen.
func (x *Exchange) Agreed() bool { return x.clean && x.config.BucketType == "" }

// Busy reports, once the exchange has failed, that it did not begin because a
// vnode is in another, or has too much to do.
func (x *Exchange) Busy() bool { return x.busy }

// Step implements Op.
func (x *Exchange) Step(now time.Time, e replica.Event) Effects {
	var fx Effects
	if _, ok := e.(replica.Begin); ok {
		// The peer first: one that is in another session costs this vnode nothing.
		x.capture(1, &fx)
		return fx
	}
	x.calls.take(now, e, &fx)
	for x.advance(now, &fx) {
	}
	if x.finished {
		fx.Finished, fx.Err = true, x.err
	}
	return fx
}

func (x *Exchange) fail(err *replica.Error, _ *Effects) {
	if x.err == nil {
		x.err = describe(x.config.Partition, "anti-entropy", err)
	}
}

// ask sends a message to one side and expects the answer.
func (x *Exchange) ask(i int, m replica.Message, fx *Effects, then func(m replica.Message) bool) {
	x.waiting++
	x.calls.send(fx, replica.Send{To: x.sides[i].id, Message: m}, func(_ time.Time, m replica.Message, fx *Effects) {
		x.waiting--
		if !then(m) {
			x.fail(wrong(m), fx)
		}
	})
}

// capture begins a session with one side.
func (x *Exchange) capture(i int, fx *Effects) {
	x.ask(i, replica.Capture{}, fx, func(m replica.Message) bool {
		a, ok := m.(replica.CaptureAnswer)
		if !ok {
			x.busy = wrong(m).Kind == replica.KindOverloaded
			return false
		}
		s := &x.sides[i]
		s.seen, s.life, s.incomplete, s.captured = a.Seen, a.Life, a.Incomplete, true
		s.roots = make(map[int]uint64)
		for _, r := range a.Roots {
			s.roots[r.Class] = r.Sum
		}
		x.progress.Read += int64(16 + 18*len(a.Seen) + 12*len(a.Roots))
		return true
	})
}

// advance takes the next step that needs no answer; false: it waits.
func (x *Exchange) advance(now time.Time, fx *Effects) bool {
	for i := range x.sides {
		if x.err == nil {
			x.sides[i].sender.advance(now, fx)
		}
	}
	if x.err != nil && x.stage != releasing {
		x.release(fx)
		return true
	}
	if x.waiting > 0 {
		return false
	}
	switch x.stage {
	case capturing:
		if !x.sides[0].captured {
			x.capture(0, fx)
			return true
		}
		x.beginClasses()
		x.stage = descending
	case descending:
		return x.descend(now, fx)
	case pausing:
		if now.Before(x.lookAt) {
			fx.Tick = x.lookAt
			return false
		}
		x.stage = comparing
	case comparing:
		return x.compare(fx)
	case adopting:
		x.release(fx)
	case releasing:
		x.finished = true
		return false
	}
	return true
}

// toCopy says that the peer owns no slot.
func (x *Exchange) toCopy() bool { return x.config.PeerSlot == x.config.Replicas }

// beginClasses finds the classes that both slots hold and whose roots differ.
func (x *Exchange) beginClasses() {
	for class := max(x.config.SelfSlot, x.config.PeerSlot) + 1; class <= replica.CopyClass(x.config.Replicas); class++ {
		if x.config.BucketType != "" && class != x.config.Class {
			continue
		}
		if x.sides[0].roots[class] != x.sides[1].roots[class] {
			x.classes = append(x.classes, class)
		}
	}
	x.ranges = []replica.LeafRange{{To: x.config.Leaves}}
}

// descend compares sums until it has the leaves of the class that differ.
func (x *Exchange) descend(now time.Time, fx *Effects) bool {
	if len(x.classes) == 0 {
		x.adopt(fx)
		return true
	}
	if len(x.ranges) == 0 {
		x.stage, x.lookAt = pausing, now.Add(x.config.SecondLook)
		if len(x.leaves) == 0 {
			x.stage = comparing
		}
		return true
	}
	n := min(len(x.ranges), rangesAtOnce)
	asked := x.ranges[:n:n]
	x.ranges = x.ranges[n:]
	for i := range x.sides {
		x.ask(i, replica.Sums{Class: x.classes[0], Ranges: asked}, fx, func(m replica.Message) bool {
			a, ok := m.(replica.SumsAnswer)
			if !ok {
				return false
			}
			x.progress.Read += int64(8 * len(a.Sums))
			x.sides[i].sums = a.Sums
			if x.waiting == 0 && x.err == nil {
				return x.differing(asked)
			}
			return true
		})
	}
	return true
}

// differing goes on with the parts of ranges whose sums differ.
func (x *Exchange) differing(asked []replica.LeafRange) bool {
	i := 0
	for _, r := range asked {
		for from := r.From; from < r.To; from += r.Part() {
			if i >= len(x.sides[0].sums) || i >= len(x.sides[1].sums) {
				x.err = replica.Errorf(replica.KindInternal, "partition %d: %d and %d sums for %v", x.config.Partition, len(x.sides[0].sums), len(x.sides[1].sums), asked)
				return true
			}
			part := replica.LeafRange{From: from, To: min(r.To, from+r.Part())}
			if x.sides[0].sums[i] != x.sides[1].sums[i] {
				if part.To-part.From == 1 {
					x.leaves = append(x.leaves, part.From)
				} else {
					x.ranges = append(x.ranges, part)
				}
			}
			i++
		}
	}
	return true
}

// compare takes the next step with the leaves that differ, a chunk at a time.
func (x *Exchange) compare(fx *Effects) bool {
	c := &x.chunk
	switch {
	case x.mayFetch(0) || x.mayFetch(1):
		for i := range c.fetches {
			if x.mayFetch(i) {
				x.fetch(i, fx)
			}
		}
	case !x.sides[0].sender.idle() || !x.sides[1].sender.idle():
		return false
	case len(c.keys) > 0:
		x.askHeads(fx)
	case len(c.leaves) > 0:
		x.askEntries(fx)
	case len(x.leaves) > 0:
		n := min(len(x.leaves), leavesAtOnce)
		*c = chunk{leaves: x.leaves[:n:n]}
		x.leaves = x.leaves[n:]
	default:
		x.classes = x.classes[1:]
		x.ranges = []replica.LeafRange{{To: x.config.Leaves}}
		x.stage = descending
	}
	return true
}

// askEntries lists the chunk's leaves on both sides; then the keys that differ
// are those to be looked at.
func (x *Exchange) askEntries(fx *Effects) {
	c := &x.chunk
	for i := range x.sides {
		c.entries[i] = make(map[replica.Key]uint64)
		x.askEntriesOf(i, replica.Entries{Class: x.classes[0], Leaves: c.leaves}, fx)
	}
	c.leaves = nil
}

func (x *Exchange) askEntriesOf(i int, ask replica.Entries, fx *Effects) {
	x.waiting++
	x.calls.send(fx, replica.Send{To: x.sides[i].id, Message: ask}, func(_ time.Time, m replica.Message, fx *Effects) {
		x.waiting--
		a, ok := m.(replica.EntriesAnswer)
		if !ok {
			x.fail(wrong(m), fx)
			return
		}
		c := &x.chunk
		for _, e := range a.Entries {
			c.entries[i][e.Key] = e.Version
			x.progress.Read += keyBytes(e.Key) + 12
		}
		if a.More && len(a.Entries) > 0 {
			last := a.Entries[len(a.Entries)-1]
			rest := ask.Leaves[slices.Index(ask.Leaves, last.Leaf):]
			x.askEntriesOf(i, replica.Entries{Class: ask.Class, Leaves: rest, Started: true, After: last.Key}, fx)
			return
		}
		if x.waiting == 0 {
			c.keys = differ(c.entries[0], c.entries[1])
			c.entries = [2]map[replica.Key]uint64{}
		}
	})
}

// differ returns the keys that two lists of versions don't agree on, in order.
func differ(a, b map[replica.Key]uint64) []replica.Key {
	var keys []replica.Key
	for k, version := range a {
		if other, ok := b[k]; !ok || other != version {
			keys = append(keys, k)
		}
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, compareKeys)
	return keys
}

func compareKeys(a, b replica.Key) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Bucket, b.Bucket), cmp.Compare(a.Key, b.Key))
}

// askHeads compares the next keys by their heads.
func (x *Exchange) askHeads(fx *Effects) {
	c := &x.chunk
	n := min(len(c.keys), keysAtOnce)
	keys := c.keys[:n:n]
	c.keys = c.keys[n:]
	if x.config.BucketType != "" {
		before := len(keys)
		keys = slices.DeleteFunc(slices.Clone(keys), func(k replica.Key) bool { return k.Type != x.config.BucketType })
		x.clean = x.clean && len(keys) == before
		if len(keys) == 0 {
			return
		}
	}
	for i := range x.sides {
		x.ask(i, replica.Heads{Keys: keys}, fx, func(m replica.Message) bool {
			a, ok := m.(replica.HeadsAnswer)
			if !ok || len(a.Heads) != len(keys) {
				return false
			}
			for j := range a.Heads {
				x.progress.Read += keyBytes(keys[j]) + headBytes(a.Heads[j].Object)
			}
			c.heads[i] = a
			if x.waiting == 0 && x.err == nil {
				x.judge(keys)
			}
			return true
		})
	}
}

// judge decides what goes where.
func (x *Exchange) judge(keys []replica.Key) {
	c := &x.chunk
	for i := range c.fetches {
		c.fetches[i] = fetch{dots: make(map[replica.Key][]causal.Dot)}
	}
	if x.toCopy() {
		c.heads[1].Seen = nil
	}
	for j, k := range keys {
		a, b := c.heads[0].Heads[j], c.heads[1].Heads[j]
		if a.Bad || b.Bad {
			x.clean = false
			continue
		}
		sides := [2]Side{{a.Object, c.heads[0].Seen}, {b.Object, c.heads[1].Seen}}
		toA, toB := Compare(sides[0], sides[1])
		if toA || toB {
			x.progress.Differed++
		}
		if toA {
			c.fetches[0].add(k, vouched(sides[0], sides[1]))
		}
		if toB {
			c.fetches[1].add(k, vouched(sides[1], sides[0]))
		}
	}
	c.heads = [2]replica.HeadsAnswer{}
}

func (f *fetch) add(k replica.Key, dots []causal.Dot) {
	f.keys = append(f.keys, k)
	if len(dots) > 0 {
		f.dots[k] = dots
	}
}

// mayFetch says that there is more to be sent to side i, and little enough under
// way.
func (x *Exchange) mayFetch(i int) bool {
	return len(x.chunk.fetches[i].keys) > 0 && x.sides[i].sender.idle()
}

// fetch reads the next objects for side i from the other, and has them sent.
func (x *Exchange) fetch(i int, fx *Effects) {
	f := &x.chunk.fetches[i]
	asked := f.keys
	if f.single {
		asked = asked[:1]
	}
	x.ask(1-i, replica.Fetch{Keys: asked}, fx, func(m replica.Message) bool {
		if failure, ok := m.(replica.Failure); ok && failure.Err.Kind == replica.KindCorrupt {
			x.fetchRest(f, len(asked))
			return true
		}
		a, ok := m.(replica.FetchAnswer)
		if !ok || len(a.Objects) == 0 || len(a.Objects) > len(asked) {
			return false
		}
		var items []replica.Item
		for j, encoded := range a.Objects {
			encoded, err := vouch(encoded, f.dots[asked[j]])
			if err != nil {
				x.err = replica.Errorf(replica.KindCorrupt, "partition %d: an object to send: %v", x.config.Partition, err)
				return true
			}
			if encoded != nil {
				items = append(items, replica.Item{Key: asked[j], Object: encoded})
			}
		}
		f.keys = f.keys[len(a.Objects):]
		x.sides[i].sender.offer(items)
		return true
	})
}

// fetchRest goes on after one of so many objects was corrupt: it is left out, and
// those behind it are not.
func (x *Exchange) fetchRest(f *fetch, asked int) {
	f.single = true
	if asked == 1 {
		f.keys, x.clean = f.keys[1:], false
	}
}

// vouch adds dots that were overwritten to the context of an object, or of the
// absence of one.
func vouch(encoded []byte, dots []causal.Dot) ([]byte, error) {
	if len(dots) == 0 {
		return encoded, nil
	}
	var o causal.Object
	if encoded != nil {
		var err error
		if o, err = causal.DecodeObject(encoded); err != nil {
			return nil, err
		}
	}
	for _, d := range dots {
		o.Context = o.Context.With(d)
	}
	return causal.AppendObject(nil, o), nil
}

// adopt tells each side that it has what the other had seen, of keys that both
// hold: of others, neither was asked.
func (x *Exchange) adopt(fx *Effects) {
	x.stage = adopting
	if !x.Agreed() {
		return
	}
	for i := range x.sides {
		if i == 0 && x.toCopy() {
			continue
		}
		to, from := &x.sides[i], &x.sides[1-i]
		m := replica.Adopt{From: from.id, Life: to.life, Seen: replica.SeenFrom(from.seen, max(x.config.SelfSlot, x.config.PeerSlot)+1), Complete: !from.incomplete}
		x.ask(i, m, fx, func(m replica.Message) bool {
			_, ok := m.(replica.AdoptAnswer)
			return ok
		})
	}
}

// release ends the session on both sides. Whether they heard it does not matter.
func (x *Exchange) release(fx *Effects) {
	x.stage = releasing
	x.waiting = 0
	for i := range x.sides {
		if x.sides[i].captured {
			x.calls.send(fx, replica.Send{To: x.sides[i].id, Message: replica.Release{}}, func(time.Time, replica.Message, *Effects) {})
		}
	}
}
