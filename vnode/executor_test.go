package vnode_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage/simstore"
	"github.com/ringd/ringd/vnode"
)

var (
	self  = ring.MemberID{15: 1}
	other = ring.MemberID{15: 2}
	epoch = ring.Epoch{Generation: 1, Number: 1}
)

const partition = ring.PartitionID(3)

// bench is an executor over a disk, stepped by hand.
type bench struct {
	t       *testing.T
	disk    *simstore.Store
	machine *vnode.Executor
	now     time.Time
	actors  uint64
	// applied and not yet reported as synced.
	open    []vnode.BatchID
	notices []vnode.Notice
	behind  ring.MemberID
}

func testRing(t *testing.T) *ring.Ring {
	t.Helper()
	r, err := ring.New(ring.Config{Seed: 1, Partitions: 8, Replicas: 1})
	if err != nil {
		t.Fatal(err)
	}
	slots := make([][]ring.MemberID, 8)
	for p := range slots {
		slots[p] = []ring.MemberID{self}
	}
	slots[7] = []ring.MemberID{other}
	if r, err = r.WithSlots(epoch, slots); err != nil {
		t.Fatal(err)
	}
	return r
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, disk: simstore.New(), now: time.Unix(1_000_000, 0)}
	b.start(1, true)
	return b
}

// start begins a new life on the disk.
func (b *bench) start(count uint64, proven bool) {
	c := vnode.DefaultConfig()
	c.Self, c.Ring, c.StartCount, c.Proven = self, testRing(b.t), count, proven
	c.Types = map[string]int{"default": 1}
	c.Random = func() uint64 { b.actors++; return 1000 + b.actors }
	c.InlineBytes = 64
	b.machine, b.open, b.notices = vnode.NewExecutor(c, vnode.NewKV(c)), nil, nil
}

// step returns what is answered at once, by the Reply of each request.
func (b *bench) step(events ...vnode.Event) map[string][]replica.Message {
	b.t.Helper()
	fx := b.machine.Step(b.now, events, b.disk)
	if fx.Batch != nil {
		if _, err := b.disk.Apply(fx.Batch); err != nil {
			b.t.Fatal(err)
		}
		b.open = append(b.open, fx.ID)
	}
	b.notices = append(b.notices, fx.Notices...)
	b.behind = fx.Behind
	out := make(map[string][]replica.Message)
	for _, a := range fx.Answers {
		out[a.Reply.(string)] = append(out[a.Reply.(string)], a.Envelope.Message)
	}
	return out
}

// sync makes the oldest open batch durable and reports it.
func (b *bench) sync() map[string][]replica.Message {
	b.t.Helper()
	b.disk.Sync()
	id := b.open[0]
	b.open = b.open[1:]
	return b.step(vnode.Synced{Batch: id})
}

func request(name string, m replica.Message) vnode.Request {
	return vnode.Request{Reply: name, Envelope: replica.Envelope{From: self, To: self, Epoch: epoch, Partition: partition, Message: m}}
}

func testKey(k string) replica.Key { return replica.Key{Type: "default", Bucket: "b", Key: k} }

func put(name, key, value string, ctx causal.Vector) vnode.Request {
	w := replica.Write{Key: testKey(key), Value: []byte(value), Context: causal.Context{Seen: ctx}}
	copy(w.Request[:], name)
	return request(name, replica.Coordinate{Write: w})
}

func read(name, key string) vnode.Request {
	return request(name, replica.Read{Key: testKey(key), Full: true})
}

func object(t *testing.T, m replica.Message) causal.Object {
	t.Helper()
	var encoded []byte
	switch m := m.(type) {
	case replica.Prepared:
		encoded = m.Object
	case replica.ReadAnswer:
		encoded = m.Object
	default:
		t.Fatalf("%#v holds no object", m)
	}
	o, err := causal.DecodeObject(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func values(o causal.Object) string {
	var s []string
	for _, sib := range o.Siblings {
		s = append(s, string(sib.Value))
	}
	return fmt.Sprint(s)
}

func TestWriteIsAcknowledgedAfterItsSync(t *testing.T) {
	b := newBench(t)
	got := b.step(put("w", "k", "v", nil))
	if len(got["w"]) != 1 {
		t.Fatalf("before the sync: %v, want Prepared only", got)
	}
	if o := object(t, got["w"][0]); values(o) != "[v]" {
		t.Fatalf("prepared %v", values(o))
	}
	got = b.sync()
	if _, ok := got["w"][0].(replica.Committed); !ok {
		t.Fatalf("after the sync: %v", got)
	}
}

func TestReadWaitsForTheSyncThatCoversIt(t *testing.T) {
	b := newBench(t)
	b.step(put("w1", "k", "v", nil), put("w2", "j", "u", nil))
	got := b.step(read("k", "k"), read("none", "none"))
	if len(got["k"]) != 0 {
		t.Fatal("a read was answered with what is not durable")
	}
	if _, ok := got["none"][0].(replica.ReadAnswer); !ok {
		t.Fatal("a read of another key waited")
	}
	b.step(put("w3", "j", "u2", nil)) // a later batch, of another key
	got = b.sync()
	if len(got["k"]) != 1 || values(object(t, got["k"][0])) != "[v]" {
		t.Fatalf("after the sync that covers the key: %v", got)
	}
}

func TestReadInTheStepOfItsWriteSeesIt(t *testing.T) {
	b := newBench(t)
	b.step(put("w", "k", "v", nil), read("r", "k"))
	if got := b.sync(); values(object(t, got["r"][0])) != "[v]" {
		t.Fatalf("%v", got)
	}
}

func TestWriteThatChangesNothingWaitsToo(t *testing.T) {
	b := newBench(t)
	first := b.step(put("same", "k", "v", nil))
	stored := first["same"][0].(replica.Prepared).Object
	got := b.step(put("same", "k", "v", nil), request("store", replica.Store{Key: testKey("k"), Object: stored}))
	if len(got["store"]) != 0 || len(got["same"]) != 1 {
		t.Fatalf("acknowledged before the sync that covers it: %v", got)
	}
	if again := got["same"][0].(replica.Prepared).Object; string(again) != string(stored) {
		t.Fatal("a retry made a second write")
	}
	got = b.sync()
	if a := got["store"][0].(replica.StoreAnswer); a.Changed || !a.Durable {
		t.Fatalf("%+v", a)
	}
}

func TestSiblingsAndContext(t *testing.T) {
	b := newBench(t)
	b.step(put("1", "k", "x", nil))
	got := b.step(put("2", "k", "y", nil))
	o := object(t, got["2"][0])
	if values(o) != "[x y]" {
		t.Fatalf("two writes without a context: %v", values(o))
	}
	got = b.step(put("3", "k", "z", o.Context))
	if o := object(t, got["3"][0]); values(o) != "[z]" {
		t.Fatalf("a write with the context of both: %v", values(o))
	}
}

func TestPutReplacesTombstones(t *testing.T) {
	b := newBench(t)
	o := object(t, b.step(put("1", "k", "x", nil))["1"][0])
	gone := put("2", "k", "", o.Context)
	m := gone.Envelope.Message.(replica.Coordinate)
	m.Write.Delete, m.Write.Value = true, nil
	gone.Envelope.Message = m
	if o = object(t, b.step(gone)["2"][0]); !o.IsTombstone() {
		t.Fatalf("after the delete: %v", values(o))
	}
	again := object(t, b.step(put("3", "k", "y", nil))["3"][0])
	if values(again) != "[y]" || !again.Context.Dominates(o.Context) {
		t.Fatalf("re-created without a context: %v of %v", values(again), again.Context)
	}
}

func TestLargeValuesAreKeptApart(t *testing.T) {
	b := newBench(t)
	large := make([]byte, 1000)
	for i := range large {
		large[i] = byte(i)
	}
	b.step(put("1", "k", string(large), nil))
	o := object(t, b.step(put("2", "k", "small", nil))["2"][0])
	if len(o.Siblings) != 2 || string(o.Siblings[0].Value) != string(large) {
		t.Fatal("the object for the other owners lacks the large value")
	}
	before := b.diskBytes()
	b.step(put("3", "k", "one", o.Context))
	b.sync()
	b.sync()
	b.sync()
	if got := b.step(read("r", "k")); values(object(t, got["r"][0])) != "[one]" {
		t.Fatalf("%v", got)
	}
	if after := b.diskBytes(); after >= before-len(large)/2 {
		t.Fatalf("the replaced value is still there: %d bytes before, %d after", before, after)
	}
}

func (b *bench) diskBytes() int {
	n := 0
	if err := b.disk.Scan(nil, []byte{0xff, 0xff}, func(k, v []byte) bool { n += len(k) + len(v); return true }); err != nil {
		b.t.Fatal(err)
	}
	return n
}

// TestActorContinuity goes through the ways in which a life can end and the
// next begin. Only a clean stop followed by the very next start, proven, goes on
// with the actor.
func TestActorContinuity(t *testing.T) {
	for _, c := range []struct {
		name   string
		clean  bool
		count  uint64
		proven bool
		same   bool
	}{
		{"clean stop, next start, proven", true, 2, true, true},
		{"clean stop, next start, not proven", true, 2, false, false},
		{"clean stop, a start between", true, 3, true, false},
		{"clean stop, same start again", true, 1, true, false},
		{"crash", false, 2, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			first := object(t, b.step(put("1", "k", "x", nil))["1"][0]).Siblings[0].Dot
			if c.clean {
				b.step(vnode.Stop{})
			}
			b.disk.Sync()
			b.start(c.count, c.proven)
			second := object(t, b.step(put("2", "j", "y", nil))["2"][0]).Siblings[0].Dot
			if (first.Actor == second.Actor) != c.same {
				t.Fatalf("dots %v and %v", first, second)
			}
			if c.same && second.Counter != first.Counter+1 {
				t.Fatalf("the counter went from %d to %d", first.Counter, second.Counter)
			}
		})
	}
}

// TestCleanMarkIsGoneWithTheFirstDot: a life that goes on with its actor and
// then crashes must not leave the mark of the clean stop before it.
func TestCleanMarkIsGoneWithTheFirstDot(t *testing.T) {
	b := newBench(t)
	b.step(put("1", "k", "x", nil))
	b.step(vnode.Stop{})
	b.disk.Sync()
	b.start(2, true)
	used := object(t, b.step(put("2", "j", "y", nil))["2"][0]).Siblings[0].Dot
	b.disk = b.disk.Crash(0) // the dot was given, and sent; its batch is lost
	b.start(3, true)
	next := object(t, b.step(put("3", "i", "z", nil))["3"][0]).Siblings[0].Dot
	if next.Actor == used.Actor {
		t.Fatalf("dot %v after %v was lost", next, used)
	}
}

func TestIdleVnodesKeepTheirActorOverCleanStops(t *testing.T) {
	b := newBench(t)
	first := object(t, b.step(put("1", "k", "x", nil))["1"][0]).Siblings[0].Dot
	for count := uint64(2); count < 5; count++ {
		b.step(vnode.Stop{})
		b.disk.Sync()
		b.start(count, true)
	}
	next := object(t, b.step(put("2", "j", "y", nil))["2"][0]).Siblings[0].Dot
	if next.Actor != first.Actor || next.Counter != first.Counter+1 {
		t.Fatalf("%v after %v", next, first)
	}
}

func TestOwnDotsFromOutsideEndTheActor(t *testing.T) {
	b := newBench(t)
	first := object(t, b.step(put("1", "k", "x", nil))["1"][0])
	ahead := first.Context.With(causal.Dot{Actor: first.Siblings[0].Dot.Actor, Counter: 99})
	incoming := causal.Object{Context: ahead, Siblings: first.Siblings}
	b.step(request("s", replica.Store{Key: testKey("other"), Object: causal.AppendObject(nil, incoming)}))
	next := object(t, b.step(put("2", "j", "y", nil))["2"][0]).Siblings[0].Dot
	if next.Actor == first.Siblings[0].Dot.Actor {
		t.Fatal("the actor went on although dots of it that it never gave are about")
	}
	if !hasNotice(b.notices, vnode.NoticeOwnDots) {
		t.Fatalf("no alarm: %v", b.notices)
	}
}

func hasNotice(notices []vnode.Notice, kind vnode.NoticeKind) bool {
	for _, n := range notices {
		if n.Kind == kind {
			return true
		}
	}
	return false
}

func TestReadErrorIsNotNotFound(t *testing.T) {
	b := newBench(t)
	first := object(t, b.step(put("1", "k", "x", nil))["1"][0]).Siblings[0].Dot
	b.sync()
	b.disk.FailReads(func([]byte) bool { return true }, errors.New("input/output error"))
	got := b.step(read("r", "k"), put("w", "k", "y", nil), request("s", replica.Store{Key: testKey("k"), Object: causal.AppendObject(nil, causal.Object{})}))
	for name, m := range got {
		f, ok := m[0].(replica.Failure)
		if !ok || f.Err.Kind != replica.KindStorage {
			t.Errorf("%s: %#v", name, m)
		}
	}
	b.disk.FailReads(nil, nil)
	if f, ok := b.step(read("soon", "k"))["soon"][0].(replica.Failure); !ok || f.Err.Kind != replica.KindStorage {
		t.Fatal("the vnode serves right after its disk failed")
	}
	if !hasNotice(b.notices, vnode.NoticeVnodeFailed) {
		t.Fatal("nobody was told that the vnode does not serve")
	}
	b.now = b.now.Add(10 * time.Second)
	next := object(t, b.step(put("2", "j", "y", nil))["2"][0]).Siblings[0].Dot
	if !hasNotice(b.notices, vnode.NoticeVnodeServes) {
		t.Fatal("nobody was told that the vnode serves again")
	}
	if next.Actor == first.Actor {
		t.Fatal("the actor went on after the disk failed")
	}
}

func TestFailedCommitEndsService(t *testing.T) {
	b := newBench(t)
	b.step(put("1", "k", "x", nil), read("r", "k"))
	got := b.step(vnode.Synced{Batch: b.open[0], Err: errors.New("disk gone")})
	for _, name := range []string{"1", "r"} {
		if f, ok := got[name][0].(replica.Failure); !ok || !f.Err.MaybeApplied {
			t.Errorf("%s: %#v", name, got[name])
		}
	}
	got = b.step(read("later", "k"))
	if f, ok := got["later"][0].(replica.Failure); !ok || f.Err.Kind != replica.KindStorage {
		t.Fatalf("%#v", got)
	}
}

func TestEpochsAndOwners(t *testing.T) {
	b := newBench(t)
	r := read("r", "k")
	r.Envelope.Epoch = ring.Epoch{}
	if f := b.step(r)["r"][0].(replica.Failure); f.Err.Kind != replica.KindStaleRing {
		t.Errorf("an older ring: %v", f.Err)
	}
	r = read("r", "k")
	r.Envelope.Partition = 7
	if f := b.step(r)["r"][0].(replica.Failure); f.Err.Kind != replica.KindNotOwner {
		t.Errorf("another's partition: %v", f.Err)
	}
	r = read("r", "k")
	r.Envelope.Partition, r.Envelope.Epoch = 1000, ring.Epoch{}
	if f := b.step(r)["r"][0].(replica.Failure); f.Err.Kind != replica.KindNotOwner {
		t.Errorf("a partition that is none: %v", f.Err)
	}
	r = read("newer", "k")
	r.Envelope.From, r.Envelope.Epoch = other, ring.Epoch{Generation: 1, Number: 2}
	if got := b.step(r); len(got) != 0 || b.behind != other {
		t.Fatalf("a newer ring: answered %v, behind %v", got, b.behind)
	}
	next := testRing(t)
	slots := make([][]ring.MemberID, 8)
	for p := range slots {
		slots[p] = []ring.MemberID{self}
	}
	next, err := next.WithSlots(ring.Epoch{Generation: 1, Number: 2}, slots)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.step(vnode.Installed{Ring: next}); len(got["newer"]) != 1 {
		t.Fatalf("with the newer ring: %v", got)
	}
}

func TestLateRequestsAreDropped(t *testing.T) {
	b := newBench(t)
	r := put("w", "k", "v", nil)
	r.Envelope.Deadline = b.now.Add(-time.Millisecond)
	if f, ok := b.step(r)["w"][0].(replica.Failure); !ok || f.Err.Kind != replica.KindUnknown || f.Err.MaybeApplied {
		t.Fatalf("%#v", f)
	}
	if len(b.open) != 0 {
		t.Fatal("it was written all the same")
	}
}

func TestLimits(t *testing.T) {
	b := newBench(t)
	for i := range 3 {
		r := put(fmt.Sprint(i), "k", "v", nil)
		m := r.Envelope.Message.(replica.Coordinate)
		m.SiblingsMax = 2
		r.Envelope.Message = m
		got := b.step(r)[fmt.Sprint(i)][0]
		if f, failed := got.(replica.Failure); failed != (i == 2) || (failed && f.Err.Kind != replica.KindInvalid) {
			t.Fatalf("write %d: %#v", i, got)
		}
	}
}

func TestConditionThatLostItsRace(t *testing.T) {
	b := newBench(t)
	o := object(t, b.step(put("1", "k", "x", nil))["1"][0])
	b.step(put("2", "k", "y", nil))
	r := put("3", "k", "z", o.Context)
	m := r.Envelope.Message.(replica.Coordinate)
	m.Conditional, m.Expect = true, o.Context
	r.Envelope.Message = m
	if f, ok := b.step(r)["3"][0].(replica.Failure); !ok || f.Err.Kind != replica.KindAborted {
		t.Fatalf("%#v", f)
	}
}

func TestList(t *testing.T) {
	b := newBench(t)
	for i := range 5 {
		b.step(put(fmt.Sprint(i), fmt.Sprintf("k%d", i), "v", nil))
	}
	b.disk.Sync()
	b.step(vnode.Synced{Batch: b.open[len(b.open)-1]})
	var names []string
	ask := replica.List{Type: "default", Bucket: "b", Limit: 2}
	for {
		a := b.step(request("l", ask))["l"][0].(replica.ListAnswer)
		for _, e := range a.Entries {
			names = append(names, e.Name)
			ask.After, ask.Started = e.Name, true
		}
		if a.Done {
			break
		}
	}
	if fmt.Sprint(names) != "[k0 k1 k2 k3 k4]" {
		t.Fatalf("%v", names)
	}
	a := b.step(request("b", replica.List{Type: "default", Buckets: true}))["b"][0].(replica.ListAnswer)
	if !a.Done || len(a.Entries) != 1 || a.Entries[0].Name != "b" || !a.Entries[0].Live {
		t.Fatalf("%+v", a)
	}
}
