package handoff_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/quorum"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/storage"
)

// A write reached one owner of three and failed. Who has read it must not read
// the older value next, from the two others: under repair=blocking a read answers
// with what a quorum has durably, or not at all.
func TestFailedMinorityWriteSeenAndThenUnseen(t *testing.T) {
	blocking := strict
	blocking.RepairBlocking = true
	c := newCluster(t)
	old := c.put("A", "k", "old", nil, "B", "C")
	c.host("B").down, c.host("C").down = true, true
	view := c.view("A", strict)
	for i := range view.Owners {
		view.Owners[i].Up = true // as far as A knows
	}
	put := c.request("A", quorum.NewPut(view, replica.Write{
		Key: key("k"), Value: []byte("new"), Context: causal.Context{Seen: old.Context}, Request: causal.RequestID{1},
	})).land()
	if put.result == nil || put.result.Err == nil || !put.result.Err.MaybeApplied {
		t.Fatalf("%+v", put.result)
	}
	c.host("B").down, c.host("C").down = false, false

	// While B can't store it durably, nobody sees it.
	read := c.request("A", quorum.NewGet(c.view("A", blocking), key("k"))).landUntil("Store", "B")
	c.host("B").held = true
	read.land()
	if read.result != nil {
		t.Fatalf("the read gave %q before two owners had it durably", valuesOf(read.result.Object))
	}
	c.host("B").held = false
	c.host("B").sync()
	read.land()
	if read.result == nil || read.result.Err != nil {
		t.Fatalf("%+v", read.result)
	}
	wantValues(t, valuesOf(read.result.Object), "new")
	c.host("A").down = true
	c.wantGet("C", "k", blocking, "new")
}

// bytesOf are an owner's objects as they are on its disk.
func bytesOf(t *testing.T, h *host) string {
	t.Helper()
	var all strings.Builder
	for _, space := range storage.PartitionRanges(uint32(part)) {
		data, _ := storage.DataRange(uint32(part))
		values, _ := storage.ValueRange(uint32(part), nil, nil, nil)
		if space.Lower[0] != data[0] && space.Lower[0] != values[0] {
			continue
		}
		if err := h.disk.Scan(space.Lower, space.Upper, func(at, value []byte) bool {
			fmt.Fprintf(&all, "%x = %x\n", at, value)
			return true
		}); err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

// scribble makes writes and deletes on a few keys, with and without what the
// writer had read, that reach some of the owners; a fallback coordinates some.
func (c *cluster) scribble(rng *rand.Rand, n int) {
	c.t.Helper()
	owners := []string{"A", "B", "C"}
	for i := range n {
		k := fmt.Sprintf("k%d", rng.IntN(12))
		by := owners[rng.IntN(3)]
		a, err := c.read(by, k)
		if err != nil {
			c.t.Fatal(err)
		}
		w := replica.Write{Key: key(k), Value: []byte(strings.Repeat(fmt.Sprint(i), 1+rng.IntN(40)))}
		if rng.IntN(3) > 0 {
			w.Context.Seen = a.Context
		}
		if rng.IntN(4) == 0 && len(a.Context) > 0 {
			w.Context.Seen, w.Delete, w.Value = a.Context, true, nil
		}
		if rng.IntN(8) == 0 {
			w.Context.Seen = nil
			by = "F"
		}
		var reach []string
		for _, name := range owners {
			if name != by && by != "F" && rng.IntN(2) == 0 {
				reach = append(reach, name)
			}
		}
		c.write(by, w, reach...)
	}
}

// Repair brings owners to one state and leaves them there: in whatever order
// reads and exchanges repaired, objects are byte-equal at all owners after one
// round, and neither a read nor a round finds anything more to do, nor changes a
// byte on a disk.
func TestRepairDoesNotChangeWhatItRepaired(t *testing.T) {
	for seed := range uint64(20) {
		c := newCluster(t)
		rng := rand.New(rand.NewPCG(seed, 1))
		all := strict
		all.R = 3
		readAll := func() int {
			repairs := 0
			for i := range 12 {
				by := []string{"A", "B", "C"}[i%3]
				f := c.request(by, quorum.NewGet(c.view(by, all), key(fmt.Sprintf("k%d", i)))).land()
				if f.result == nil || f.result.Err != nil || !f.finished {
					t.Fatalf("seed %d: %+v", seed, f.result)
				}
				repairs += f.repairs
			}
			return repairs
		}
		c.scribble(rng, 60)
		for _, name := range []string{"A", "B", "C"} {
			c.deliver("F", name)
		}
		if seed%2 == 0 {
			readAll()
		}
		c.round()
		if seed%3 == 0 {
			for _, name := range []string{"A", "B", "C"} {
				c.reap(name)
			}
		}
		before := make(map[string]string)
		for _, name := range []string{"A", "B", "C"} {
			before[name] = bytesOf(t, c.host(name))
		}
		for range 3 {
			if n := c.round(); n != 0 {
				t.Fatalf("seed %d: a further round sent %d objects", seed, n)
			}
			if n := readAll(); n != 0 {
				t.Fatalf("seed %d: %d repairs by reads of what was repaired", seed, n)
			}
		}
		for _, name := range []string{"A", "B", "C"} {
			if bytesOf(t, c.host(name)) != before[name] {
				t.Fatalf("seed %d: repair changed what %s has", seed, name)
			}
		}
		// What is left of deletions may be here and not there until all was reaped.
		for range 2 {
			c.round()
			for _, name := range []string{"A", "B", "C"} {
				c.reap(name)
			}
		}
		for _, name := range []string{"B", "C"} {
			if bytesOf(t, c.host(name)) != bytesOf(t, c.host("A")) {
				t.Fatalf("seed %d: %s has something else than A", seed, name)
			}
		}
		for _, name := range []string{"A", "B", "C"} {
			c.wantTreesRight(name)
		}
	}
}

// Two owners have, for two keys, each other's versions. Sums over versions alone
// would be equal; they are over keys and versions.
func TestSumsDifferWhenTwoKeysHaveEachOthersVersions(t *testing.T) {
	c := newCluster(t)
	version := func(actor causal.Actor) []byte {
		d := causal.Dot{Actor: actor, Counter: 1}
		return causal.AppendObject(nil, causal.Object{
			Context:  causal.Vector{}.With(d),
			Siblings: []causal.Sibling{{Dot: d, Value: []byte("v"), ValueSize: 1}},
		})
	}
	c.store("A", key("k"), version(1))
	c.store("A", key("l"), version(2))
	c.store("B", key("k"), version(2))
	c.store("B", key("l"), version(1))
	if n := c.agree("A", "B"); n != 4 {
		t.Fatalf("%d objects were sent for two keys that differ both ways", n)
	}
	for _, k := range []string{"k", "l"} {
		wantValues(t, c.values("A", k), "v", "v")
		wantValues(t, c.values("B", k), "v", "v")
	}
}

// The sums in memory are those over the index, and the index is that of the data,
// whatever was written and however the member ended: a sum that is wrong hides a
// difference, or shows one for ever.
func TestSumsAreThoseOfTheData(t *testing.T) {
	for seed := range uint64(6) {
		c := newCluster(t)
		rng := rand.New(rand.NewPCG(seed, 2))
		for i := range 6 {
			c.scribble(rng, 20)
			if i == 1 {
				for _, name := range []string{"A", "B", "C"} {
					h := c.host(name)
					h.ask(h, false, replica.Capture{Look: true}) // its sums are summed up
				}
			}
			switch rng.IntN(4) {
			case 0:
				c.round()
			case 1:
				c.host("A").restart() // takes up the sums that it saved
			case 2:
				c.host("B").held = true
				c.store("B", key("unsynced"), causal.AppendObject(nil, c.put("A", "unsynced", "v", nil)))
				c.host("B").held = false
				c.host("B").crash()
			case 3:
				c.round()
				for _, name := range []string{"A", "B", "C"} {
					c.reap(name)
				}
			}
			for _, name := range []string{"A", "B", "C"} {
				c.wantTreesRight(name)
			}
		}
	}
}

// Sums that an earlier life saved are not those of the data any more, though the
// life after it, which had no use for sums, stopped cleanly.
func TestSumsOfAnEarlierLifeAreNotTakenUp(t *testing.T) {
	c := newCluster(t)
	a := c.host("A")
	c.put("A", "k", "v", nil)
	c.wantTreesRight("A")
	a.restart() // saved
	c.put("A", "l", "v", nil)
	a.crash()
	c.put("A", "m", "v", nil)
	a.restart()
	c.wantTreesRight("A")
}

// Index and data differ though they are written together, because a disk or a bug
// changed one of them: the check over the data finds the key, sets it right, and
// with it the sums that were of the index as it was.
func TestCheckFindsWhatTheTreeHides(t *testing.T) {
	for name, plant := range map[string]func(b *storage.Batch, entry []byte){
		"entry missing":            func(b *storage.Batch, entry []byte) { b.Delete(entry) },
		"entry of another version": func(b *storage.Batch, entry []byte) { b.Set(entry, []byte{1, 1, 2, 3, 4, 5, 6, 7, 8}) },
		"entry unreadable":         func(b *storage.Batch, entry []byte) { b.Set(entry, []byte("?")) },
		"record missing":           func(b *storage.Batch, _ []byte) { b.Delete(dataKeyOf(key("k7"))) },
	} {
		for _, summed := range []bool{false, true} {
			c := newCluster(t)
			for i := range 20 {
				c.put("A", fmt.Sprintf("k%d", i), "v", nil, "B", "C")
			}
			c.round()
			h := c.host("B")
			if !summed {
				h.crash() // the sums are made of the index as it will be
			}
			b := new(storage.Batch)
			plant(b, c.entryOf("B", "k7"))
			if _, err := h.disk.Apply(b); err != nil {
				t.Fatal(err)
			}
			h.disk.Sync()
			if keys, _ := c.checkTrees("B"); len(keys) == 0 || keys[0] != key("k7") {
				t.Fatalf("%s: the check found %v", name, keys)
			}
			c.wantTreesRight("B")
			// A record that is gone is one that was lost, and not one that was deleted,
			// though the vnode had seen it: it comes back, and nobody else loses it.
			c.round()
			c.wantAgreed("k7", "v")
		}
	}
}

// entryOf is where the tree of an owner has a key.
func (c *cluster) entryOf(name, k string) []byte {
	c.t.Helper()
	var entry []byte
	lower, upper := storage.TreeRange(uint32(part), 3, 0, replica.Leaves(partitions))
	if err := c.host(name).disk.Scan(lower, upper, func(at, _ []byte) bool {
		if parsed, _, _, err := storage.ParseTreeKey(at); err == nil && string(parsed.Key) == k {
			entry = bytes.Clone(at)
		}
		return entry == nil
	}); err != nil {
		c.t.Fatal(err)
	}
	if entry == nil {
		c.t.Fatalf("%s has no entry of %s", name, k)
	}
	return entry
}

// A value expires at a time that is in it, and owners' clocks differ. No owner's
// clock decides what it answers or has: else a value would be gone at some, and
// an exchange bring it back, or remove it where it is still read.
func TestExpiredOnSomeReplicasOnly(t *testing.T) {
	c := newCluster(t)
	c.host("B").ahead, c.host("C").ahead = time.Hour, -time.Hour
	expiry := c.now.Add(time.Minute)
	o := c.write("A", replica.Write{Key: key("k"), Value: []byte("v"), Expiry: expiry.UnixMilli()}, "B")
	// C gets it by an exchange with B, where it has expired.
	c.agree("B", "C")
	first, _ := c.read("A", "k")
	for _, name := range []string{"B", "C"} {
		a, err := c.read(name, "k")
		if err != nil || a.Digest != first.Digest || !bytes.Equal(a.Object, first.Object) {
			t.Fatalf("%s answers otherwise than A: %v", name, err)
		}
		c.wantGet(name, "k", strict, "v")
	}
	if n := c.round(); n != 0 {
		t.Fatalf("%d objects were sent because clocks differ", n)
	}
	// What is shown is judged by one clock, that of who coordinates the read.
	read := c.request("A", quorum.NewGet(c.view("A", strict), key("k"))).land()
	for at, want := range map[time.Time]int{expiry.Add(-time.Second): 1, expiry: 0} {
		if shown := causal.Fold(read.result.Object, causal.FoldOptions{Now: at.UnixMilli()}); len(shown.Siblings) != want {
			t.Fatalf("%d values at %v", len(shown.Siblings), at)
		}
	}
	// The sweep of one whose clock is ahead makes it a delete like any other, which
	// a write of which it knew nothing survives.
	b := c.host("B")
	swept, ok := b.ask(b, false, replica.Expired{Limit: 10}).(replica.ExpiredAnswer)
	if !ok || len(swept.Keys) != 1 || !swept.Contexts[0].Equal(o.Context) {
		t.Fatalf("%+v", swept)
	}
	cc := c.host("C")
	if a := cc.ask(cc, false, replica.Expired{Limit: 10}).(replica.ExpiredAnswer); len(a.Keys) != 0 {
		t.Fatalf("expired by the clock of C: %v", a.Keys)
	}
	c.put("C", "k", "renewed", o.Context)
	c.write("B", replica.Write{Key: key("k"), Delete: true, Context: causal.Context{Seen: swept.Contexts[0]}}, "A")
	c.round()
	c.round()
	c.wantAgreed("k", "renewed")
}

// Limits bind clients. An object above them, which concurrent writes or a lower
// limit made, moves like any other: a replica that lacks it would lack it for ever.
func TestClientLimitsDoNotBlockRepair(t *testing.T) {
	c := newCluster(t)
	large := strings.Repeat("x", 2<<20) // above what one message is filled with
	for i, by := range []string{"A", "A", "B", "B", "C"} {
		c.put(by, "k", fmt.Sprint(i), nil)
	}
	c.put("A", "large", large, nil)
	c.put("B", "large", large+"y", nil)
	a := c.host("A")
	for what, m := range map[string]replica.Coordinate{
		"siblings": {Write: replica.Write{Key: key("k"), Value: []byte("v"), Request: causal.RequestID{1}}, SiblingsMax: 2},
		"bytes":    {Write: replica.Write{Key: key("k"), Value: []byte("v"), Request: causal.RequestID{2}}, ObjectBytesMax: 2},
	} {
		if fail, ok := a.ask(a, false, m).(replica.Failure); !ok || fail.Err.Kind != replica.KindInvalid {
			t.Fatalf("a write above the limit of %s was not refused", what)
		}
	}
	// A read's repair, and the exchange.
	view := c.view("A", strict)
	view.Quorums.R, view.SiblingsMax, view.ObjectBytesMax = 3, 2, 2
	read := c.request("A", quorum.NewGet(view, key("k"))).land()
	if read.repairs != 3 || !read.finished {
		t.Fatalf("%d owners were repaired", read.repairs)
	}
	c.round()
	for _, name := range []string{"A", "B", "C"} {
		if n := len(c.values(name, "k")); n != 5 {
			t.Fatalf("%s has %d siblings", name, n)
		}
		wantValues(t, c.values(name, "large"), large, large+"y")
	}
	if n := c.round(); n != 0 {
		t.Fatalf("%d objects were sent right after", n)
	}
}
