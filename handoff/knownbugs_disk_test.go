package handoff_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/handoff"
	"github.com/ringd/ringd/quorum"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
	"github.com/ringd/ringd/vnode"
)

var errDisk = errors.New("input/output error")

// dataKeyOf is where a key's record is.
func dataKeyOf(k replica.Key) []byte {
	return storage.AppendDataKey(nil, uint32(part), []byte(k.Type), []byte(k.Bucket), []byte(k.Key))
}

// failsReads has a member's disk fail to read a key's record, or all of the
// partition.
func (h *host) failsReads(k string) {
	data, _ := storage.DataRange(uint32(part))
	if k != "" {
		data = dataKeyOf(key(k))
	}
	h.disk.FailReads(func(at []byte) bool { return bytes.HasPrefix(at, data) }, errDisk)
}

// A disk that does not say what is stored has not said that there is nothing. What
// needs the record fails, with an error that says so; and with it ends the life of
// the vnode's actor.
func TestLocalReadErrorIsNotTakenForNotFound(t *testing.T) {
	for name, m := range map[string]replica.Message{
		"read":       replica.Read{Key: key("k"), Full: true},
		"digest":     replica.Read{Key: key("k")},
		"store":      replica.Store{Key: key("k")},
		"transfer":   replica.Transfer{Items: []replica.Item{{Key: key("k")}}},
		"coordinate": replica.Coordinate{Write: replica.Write{Key: key("k"), Value: []byte("w"), Request: causal.RequestID{7}}},
		"heads":      replica.Heads{Keys: []replica.Key{key("k")}},
		"fetch":      replica.Fetch{Keys: []replica.Key{key("k")}},
		"scan":       replica.Scan{Class: 1},
		"list":       replica.List{Type: "default", Bucket: "b"},
		"check":      replica.CheckTree{Limit: 10},
		"restore":    replica.Restore{Key: key("k")},
	} {
		c := newCluster(t)
		o := c.put("A", "k", "v", nil, "B", "C")
		b := c.host("B")
		c.put("B", "other", "w", nil) // its actor
		actor := lastActor(t, b)
		switch with := m.(type) {
		case replica.Store:
			with.Object = causal.AppendObject(nil, o)
			m = with
		case replica.Transfer:
			with.Items[0].Object = causal.AppendObject(nil, o)
		}
		before := snapshot(t, b)
		b.failsReads("")
		fail, ok := b.ask(b, false, m).(replica.Failure)
		if !ok || fail.Err.Kind != replica.KindStorage {
			t.Errorf("%s: %+v, and not that the disk failed", name, fail)
			continue
		}
		b.disk.FailReads(nil, nil)
		if snapshot(t, b) != before {
			t.Errorf("%s: something was written on the strength of a record that could not be read", name)
		}
		// The vnode stops serving for a while; then it goes on as another.
		if fail, ok := b.ask(b, false, replica.Read{Key: key("none")}).(replica.Failure); !ok || fail.Err.Kind != replica.KindStorage {
			t.Errorf("%s: the vnode went on", name)
		}
		c.now = c.now.Add(time.Minute)
		wantValues(t, c.values("B", "k"), "v")
		c.put("B", "other", "w2", nil)
		if lastActor(t, b) == actor {
			t.Errorf("%s: the vnode went on with the actor that it had", name)
		}
	}
}

// A member that has just started knows its vnode from disk only. What that does not
// say is not taken for a vnode that never was: it would have seen nothing, keep
// nothing, and give dots anew.
func TestLocalReadErrorIsNotTakenForANewVnode(t *testing.T) {
	for name, m := range map[string]replica.Message{
		"read":       replica.Read{Key: key("none")},
		"coordinate": replica.Coordinate{Write: replica.Write{Key: key("none"), Request: causal.RequestID{7}}},
		"capture":    replica.Capture{},
		"adopt":      replica.Adopt{},
		"sums":       replica.Sums{Class: 3, Ranges: []replica.LeafRange{{To: replica.Leaves(partitions)}}},
		"entries":    replica.Entries{Class: 3, Leaves: []uint32{1}},
		"reap":       replica.Reap{Limit: 10},
		"expired":    replica.Expired{Limit: 10},
		"hints":      replica.Hints{Limit: 10},
		"count":      replica.HintCount{},
		"drop":       replica.DropHints{Keys: []replica.Key{key("none")}, Versions: []uint64{1}},
		"sums check": replica.CheckSums{Class: 3, Range: replica.LeafRange{To: 1}},
	} {
		c := newCluster(t)
		c.put("A", "k", "v", nil, "B", "C")
		b := c.host("B")
		b.restart()
		before := snapshot(t, b)
		b.disk.FailReads(func([]byte) bool { return true }, errDisk)
		if fail, ok := b.ask(b, false, m).(replica.Failure); !ok || fail.Err.Kind != replica.KindStorage {
			t.Errorf("%s: %+v, and not that the disk failed", name, fail)
		}
		b.disk.FailReads(nil, nil)
		if snapshot(t, b) != before {
			t.Errorf("%s: something was written", name)
		}
	}
	// Each of the records by itself.
	for _, record := range []string{"actor.3", "seen", "incomplete", "trees"} {
		c := newCluster(t)
		c.put("A", "k", "v", nil, "B", "C")
		a := c.host("A")
		a.restart()
		meta := storage.AppendPartitionMetaKey(nil, uint32(part), record)
		a.disk.FailReads(func(at []byte) bool { return bytes.Equal(at, meta) }, errDisk)
		if _, err := c.read("A", "k"); err == nil || err.Kind != replica.KindStorage {
			t.Errorf("the record %q can't be read, and a read got %v", record, err)
		}
	}
}

// lastActor is the actor that gave the last dot of the key "other".
func lastActor(t *testing.T, h *host) causal.Actor {
	t.Helper()
	a, ok := h.ask(h, false, replica.Read{Key: key("other"), Full: true}).(replica.ReadAnswer)
	o, err := causal.DecodeObject(a.Object)
	if !ok || err != nil || len(o.Siblings) == 0 {
		t.Fatalf("%v, %v", a, err)
	}
	newest := o.Siblings[0]
	for _, s := range o.Siblings {
		if s.Time > newest.Time {
			newest = s
		}
	}
	return newest.Dot.Actor
}

// An exchange with an owner whose disk fails ends with that error. Absence would
// have the owner sent what it has, or, worse, the other told that it was deleted.
func TestExchangeDoesNotTakeAnErrorForAbsence(t *testing.T) {
	for _, bad := range []string{"A", "B"} {
		c := newCluster(t)
		c.put("A", "k", "a", nil)
		c.put("B", "k", "b", nil)
		c.put("B", "l", "b", nil)
		c.host(bad).failsReads("k")
		if _, err := c.exchange("A", "B"); err == nil || err.Kind != replica.KindStorage {
			t.Fatalf("the disk of %s fails, and the exchange ended with %v", bad, err)
		}
		if len(c.sent) != 0 {
			t.Fatalf("objects were sent: %v", c.sent)
		}
		for _, h := range c.members {
			h.disk.FailReads(nil, nil)
		}
		c.now = c.now.Add(time.Minute)
		// None of the two was told that it has what the other had seen.
		for _, name := range []string{"A", "B"} {
			if a, _ := c.read(name, "k"); len(a.Seen) > 1 {
				t.Fatalf("%s has seen %v", name, a.Seen)
			}
		}
		c.round()
		for _, name := range []string{"A", "B"} {
			if n := len(c.values(name, "k")); n != 2 {
				t.Fatalf("%s has %d siblings", name, n)
			}
		}
	}
}

// A quorum with an owner whose disk fails asks another one.
func TestReadWithAnOwnerWhoseDiskFails(t *testing.T) {
	c := newCluster(t)
	c.put("A", "k", "v", nil, "C")
	c.host("A").failsReads("k")
	c.wantGet("A", "k", strict, "v")
	c.host("C").failsReads("k")
	if values, err := c.get("B", "k", strict); err == nil {
		t.Fatalf("one owner of three answered, and the read gave %q", values)
	}
}

// C acknowledged a write that A coordinated, and then lost its disk. What it
// answers about keys of which it knows nothing any more would make "not found" of
// an acknowledged write, beside the owner that never got it: until it has been
// compared with enough others, it says that it does not know.
func TestAmnesiaOfAReplicaThatDidNotCoordinate(t *testing.T) {
	c := newCluster(t)
	c.put("A", "k", "v", nil, "C")
	c.host("C").wipe()
	c.host("A").down = true
	if values, err := c.get("B", "k", strict); err == nil {
		t.Fatalf("the read gave %q", values)
	}
	// B, which knows nothing either, does not make C whole.
	c.agree("B", "C")
	if values, err := c.get("B", "k", strict); err == nil {
		t.Fatalf("the read gave %q", values)
	}
	c.host("C").crash() // nor is that forgotten in a restart
	if values, err := c.get("B", "k", strict); err == nil {
		t.Fatalf("after a restart, the read gave %q", values)
	}
	h := c.host("C")
	if fail, ok := h.ask(h, false, replica.List{Type: "default", Bucket: "b"}).(replica.Failure); !ok || fail.Err.Kind != replica.KindUnavailable {
		t.Fatal("C lists the keys that it still has")
	}
	c.host("A").down = false
	c.agree("A", "C")
	c.agree("B", "C")
	c.host("A").down = true
	c.wantGet("B", "k", strict, "v")
	if c.host("C").noticed(vnode.NoticeWhole) != 1 {
		t.Fatal("nobody is told that the vnode is whole again")
	}
}

// The owner that it is compared with loses its data, too, while they are
// compared: it is told that it has what the other had seen, but in a former life.
func TestAmnesiaDuringAnExchange(t *testing.T) {
	for _, lose := range []func(*host){(*host).wipe, (*host).crash} {
		c := newCluster(t)
		value := c.put("A", "k", "v", nil, "B")
		x := c.begin("A", c.exchangeOf("A", "B")).landUntil("Adopt", "B")
		lose(c.host("B"))
		x.land()
		if x.err == nil {
			t.Fatal("B was told that it has what A had seen, which it may have lost")
		}
		b := c.host("B")
		a, ok := b.ask(b, false, replica.Capture{Look: true}).(replica.CaptureAnswer)
		if !ok || a.Seen.Dominates(value.Context) {
			t.Fatalf("B has seen %v", a.Seen)
		}
	}
}

// corrupt overwrites what a member has under a key by garbage.
func (h *host) corrupt(t *testing.T, at []byte) {
	t.Helper()
	old, err := h.disk.Get(at)
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(old)
	bad[len(bad)/2] ^= 0x40
	b := new(storage.Batch)
	b.Set(at, bad)
	if _, err := h.disk.Apply(b); err != nil {
		t.Fatal(err)
	}
	h.disk.Sync()
}

// A record that fails its checksum, or a value that is kept apart, is no absence:
// the replica fails, others answer, what damage was found is told, and the record
// is brought back from the others. The vnode goes on as another actor, because what
// it can't read may have been its own.
func TestCorruptRecordIsRestored(t *testing.T) {
	for _, apart := range []bool{false, true} {
		c := newCluster(t)
		value := "v"
		if apart {
			value = strings.Repeat("v", 200)
		}
		o := c.put("A", "k", value, nil, "B", "C")
		newer := c.put("C", "k", "second", nil, "B") // A lacks it
		c.put("B", "other", "w", nil)
		b := c.host("B")
		actor := lastActor(t, b)
		at := dataKeyOf(key("k"))
		if apart {
			at = storage.AppendValueKey(nil, uint32(part), []byte("default"), []byte("b"), []byte("k"), uint64(o.Siblings[0].Dot.Actor), o.Siblings[0].Dot.Counter)
		}
		b.corrupt(t, at)
		if _, err := c.read("B", "k"); err == nil || err.Kind != replica.KindCorrupt {
			t.Fatalf("apart=%v: the read of a corrupt record: %v", apart, err)
		}
		damaged := 0
		for _, n := range b.notices {
			if n.Kind == vnode.NoticeDamaged && n.Key == key("k") {
				damaged++
			}
		}
		if damaged != 1 {
			t.Fatalf("apart=%v: %d notices of the damage", apart, damaged)
		}
		// It is not written over, and not compared.
		if fail, ok := b.ask(b, false, replica.Coordinate{Write: replica.Write{Key: key("k"), Value: []byte("x"), Request: causal.RequestID{3}}}).(replica.Failure); !ok || fail.Err.Kind != replica.KindCorrupt {
			t.Fatalf("apart=%v: a write went on from a corrupt record", apart)
		}
		if x, err := c.exchange("A", "B"); err == nil && x.Agreed() {
			t.Fatalf("apart=%v: an exchange that could not compare a key agreed", apart)
		}
		if a, _ := c.read("A", "k"); len(a.Seen) > 1 {
			t.Fatalf("apart=%v: A has seen %v", apart, a.Seen)
		}
		// The others answer.
		c.wantGet("B", "k", strict, valuesOf(newer)...)
		if err := c.run(b, handoff.NewRestore(b.id, part, key("k"), c.ring.Owners(part))); err != nil {
			t.Fatalf("apart=%v: %v", apart, err)
		}
		wantValues(t, c.values("B", "k"), valuesOf(newer)...)
		a, err := c.read("B", "k")
		if err != nil || len(a.Seen) > 0 {
			t.Fatalf("apart=%v: B lost a record, and has seen %v (%v)", apart, a.Seen, err)
		}
		c.put("B", "other", "w2", nil)
		if lastActor(t, b) == actor {
			t.Fatalf("apart=%v: B goes on with the actor that it had", apart)
		}
		c.wantTreesRight("B")
		c.round()
		c.round()
		c.wantAgreed("k", valuesOf(newer)...)
	}
}

// A corrupt record whose write only one other owner has: it is not restored from
// the one that lacks it.
func TestCorruptRecordIsRestoredFromEnoughOwners(t *testing.T) {
	c := newCluster(t)
	c.put("A", "k", "v", nil, "B")
	b := c.host("B")
	b.corrupt(t, dataKeyOf(key("k")))
	c.host("A").down = true
	restore := func() *replica.Error {
		return c.run(b, handoff.NewRestore(b.id, part, key("k"), []ring.MemberID{c.host("A").id, b.id, c.host("C").id}))
	}
	if err := restore(); err == nil {
		t.Fatal("restored from C alone, which knows nothing")
	}
	if _, err := c.get("C", "k", strict); err == nil {
		t.Fatal("the acknowledged write is lost")
	}
	c.host("A").down = false
	if err := restore(); err != nil {
		t.Fatal(err)
	}
	c.host("A").down = true
	c.wantGet("C", "k", strict, "v")
}

// A value that is kept apart and corrupt, and can't be restored for now because
// another owner is away, does not keep those behind it from the owner that lacks
// them. Nor is that owner told that it has seen all.
func TestCorruptValueDoesNotHoldUpTheOthers(t *testing.T) {
	c := newCluster(t)
	var bad causal.Object
	for _, k := range []string{"a", "b", "c", "d"} {
		o := c.put("A", k, strings.Repeat(k, 200), nil)
		if k == "b" {
			bad = o
		}
	}
	a := c.host("A")
	a.corrupt(t, storage.AppendValueKey(nil, uint32(part), []byte("default"), []byte("b"), []byte("b"), uint64(bad.Siblings[0].Dot.Actor), bad.Siblings[0].Dot.Counter))
	x, err := c.exchange("A", "B")
	if err != nil || x.Agreed() {
		t.Fatalf("agreed: %v, %v", x.Agreed(), err)
	}
	for _, k := range []string{"a", "c", "d"} {
		wantValues(t, c.values("B", k), strings.Repeat(k, 200))
	}
	if got, _ := c.read("B", "b"); len(got.Seen) > 0 || len(got.Context) > 0 {
		t.Fatalf("B has %v of the corrupt record, and seen %v", got.Context, got.Seen)
	}
	if n := a.noticed(vnode.NoticeDamaged); n == 0 {
		t.Fatal("nobody is told of the corrupt value")
	}
}

// While there is hardly any room on disk, writes are refused, so that nothing is
// half done; what frees room goes on: deletes from the reserve, reads, reaping,
// and handing over always.
func TestRoomForDeletesAndHandingOver(t *testing.T) {
	c := newCluster(t)
	c.deleted("gone")
	live := c.put("A", "k", "v", nil, "B", "C")
	o := c.put("B", "hinted", "v", nil)
	c.hint("F", "A", key("hinted"), o)
	overloaded := func(m replica.Message, what string, want bool) {
		t.Helper()
		fail, ok := m.(replica.Failure)
		if (ok && fail.Err.Kind == replica.KindOverloaded && fail.Err.RetryAfter > 0) != want || ok != want {
			t.Fatalf("%s: %v", what, m)
		}
	}
	for _, h := range c.members {
		h.step(vnode.Room{Level: vnode.RoomReserve})
	}
	a, f := c.host("A"), c.host("F")
	encoded := causal.AppendObject(nil, o)
	write := replica.Coordinate{Write: replica.Write{Key: key("new"), Value: []byte("v"), Request: causal.RequestID{1}}, Slots: 3}
	overloaded(a.ask(a, false, write), "put", true)
	overloaded(f.ask(f, true, write), "put at a fallback", true)
	overloaded(a.ask(a, false, replica.Store{Key: key("new"), Object: encoded}), "store", true)
	overloaded(a.ask(a, false, replica.Transfer{Items: []replica.Item{{Key: key("new"), Object: encoded}}}), "transfer", true)
	overloaded(f.ask(f, true, replica.Store{Key: key("new"), Object: encoded}), "hint", true)
	if c.hasRecord("A", "new") {
		t.Fatal("what was refused was stored")
	}
	put := c.request("A", quorum.NewPut(c.view("A", strict), write.Write)).land()
	if put.result == nil || put.result.Err == nil || put.result.Err.Kind != replica.KindOverloaded {
		t.Fatalf("%+v", put.result)
	}
	tombstone := c.delete("A", "k", live.Context, "B", "C")

	for _, h := range c.members {
		h.step(vnode.Room{Level: vnode.RoomNone})
	}
	overloaded(a.ask(a, false, replica.Coordinate{Write: replica.Write{Key: key("hinted"), Delete: true, Request: causal.RequestID{2}}}), "delete", true)
	overloaded(a.ask(a, false, replica.Store{Key: key("new"), Object: causal.AppendObject(nil, tombstone)}), "store of a delete", true)
	c.wantGet("A", "k", strict)
	overloaded(a.ask(a, false, replica.Fetch{Keys: []replica.Key{key("k")}}), "fetch", false)
	overloaded(a.ask(a, false, replica.Heads{Keys: []replica.Key{key("k")}}), "heads", false)
	if r := c.reap("A"); r.Reaped != 1 {
		t.Fatalf("%+v", r)
	}
	overloaded(f.ask(f, true, replica.DropHints{Slot: 0, Keys: []replica.Key{key("hinted")}, Versions: []uint64{o.Digest()}}), "dropping hints", false)
	if n := c.hints("F", "A"); n != 0 {
		t.Fatal("the hint is still there")
	}

	for _, h := range c.members {
		h.step(vnode.Room{Level: vnode.RoomEnough})
	}
	c.put("A", "new", "v", nil, "B", "C")
	c.round()
	c.wantAgreed("new", "v")
}
