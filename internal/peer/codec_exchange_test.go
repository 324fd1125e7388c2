package peer

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/internal/peer/peerpb"
	"github.com/ringd/ringd/replica"
)

// genList returns up to three of what gen makes, nil for none.
func genList[T any](t *rapid.T, gen func(*rapid.T) T) []T {
	var out []T
	for range rapid.IntRange(0, 3).Draw(t, "length") {
		out = append(out, gen(t))
	}
	return out
}

func genNumber(t *rapid.T) uint64 { return rapid.Uint64().Draw(t, "number") }
func genMove(t *rapid.T) uint64   { return rapid.Uint64Min(1).Draw(t, "move") }
func genClass(t *rapid.T) int     { return rapid.IntRange(0, classMax).Draw(t, "class") }
func genLimit(t *rapid.T) int     { return rapid.IntRange(0, maxUint32).Draw(t, "limit") }
func genLeaf(t *rapid.T) uint32   { return rapid.Uint32Range(0, leavesMax-1).Draw(t, "leaf") }

func genRange(t *rapid.T) replica.LeafRange {
	from := genLeaf(t)
	return replica.LeafRange{From: from, To: rapid.Uint32Range(from+1, leavesMax).Draw(t, "to")}
}

func genHead(t *rapid.T) replica.Head {
	if rapid.Bool().Draw(t, "bad") {
		return replica.Head{Bad: true}
	}
	return replica.Head{Object: genObject(t).Header()}
}

func genCursor(t *rapid.T) (bool, replica.Key) {
	if rapid.Bool().Draw(t, "started") {
		return true, genKey(t)
	}
	return false, replica.Key{}
}

const exchangeKinds = 22

func genExchange(t *rapid.T, kind int) replica.Message {
	switch kind {
	case 0:
		return replica.Capture{Look: rapid.Bool().Draw(t, "look")}
	case 1:
		a := replica.CaptureAnswer{Seen: genVector(t), Life: genNumber(t), Incomplete: rapid.Bool().Draw(t, "incomplete")}
		for _, class := range rapid.SliceOfNDistinct(rapid.IntRange(0, classMax), 0, 3, rapid.ID[int]).Draw(t, "classes") {
			a.Roots = append(a.Roots, replica.Root{Class: class, Sum: genNumber(t)})
		}
		return a
	case 2:
		return replica.Sums{Class: genClass(t), Ranges: genList(t, genRange)}
	case 3:
		return replica.SumsAnswer{Sums: genList(t, genNumber)}
	case 4:
		m := replica.Entries{Class: genClass(t), Leaves: genList(t, genLeaf), Limit: genLimit(t)}
		if len(m.Leaves) > 0 {
			m.Started, m.After = genCursor(t)
		}
		return m
	case 5:
		return replica.EntriesAnswer{More: rapid.Bool().Draw(t, "more"), Entries: genList(t, func(t *rapid.T) replica.Entry {
			return replica.Entry{Leaf: genLeaf(t), Key: genKey(t), Version: genNumber(t)}
		})}
	case 6:
		return replica.Heads{Keys: genList(t, genKey)}
	case 7:
		return replica.HeadsAnswer{Heads: genList(t, genHead), Seen: genVector(t)}
	case 8:
		m := replica.Scan{Class: genClass(t), Limit: genLimit(t)}
		m.Started, m.After = genCursor(t)
		return m
	case 9:
		a := replica.ScanAnswer{Heads: genList(t, genHead), Seen: genVector(t), Done: rapid.Bool().Draw(t, "done")}
		for range a.Heads {
			a.Keys = append(a.Keys, genKey(t))
		}
		return a
	case 10:
		return replica.Fetch{Keys: genList(t, genKey)}
	case 11:
		return replica.FetchAnswer{Objects: genList(t, func(t *rapid.T) []byte { return genBytes(t, "object") })}
	case 12:
		m := replica.Transfer{Items: genList(t, func(t *rapid.T) replica.Item {
			return replica.Item{Key: genKey(t), Object: rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "object")}
		})}
		if len(m.Items) > 0 {
			m.Move = genNumber(t)
		}
		return m
	case 13:
		return replica.TransferAnswer{Changed: genLimit(t)}
	case 14:
		return replica.Adopt{From: id(rapid.Byte().Draw(t, "from")), Life: genNumber(t), Seen: genVector(t), Complete: rapid.Bool().Draw(t, "complete")}
	case 15:
		return replica.AdoptAnswer{}
	case 16:
		return replica.Release{}
	case 17:
		return replica.ReleaseAnswer{}
	case 18:
		return replica.Inherit{Move: genMove(t)}
	case 19:
		var a replica.InheritAnswer
		a.Started, a.After = genCursor(t)
		return a
	case 20:
		return replica.Settle{Move: genMove(t), Life: genNumber(t)}
	}
	return replica.SettleAnswer{}
}

// goldenFrame2 has what version 2 added.
func goldenFrame2(t testing.TB) *peerpb.Frame {
	key := replica.Key{Type: "default", Bucket: "b\xff", Key: "k\x00"}
	v := causal.Vector{{Actor: 0x0102030405060708, Counter: 9}, {Actor: 0xf102030405060708, Counter: 300}}
	seen := causal.Vector{{Actor: 7, Counter: 1 << 40}}
	head := replica.Head{Object: causal.Object{Context: v, Siblings: []causal.Sibling{
		{Dot: causal.Dot(v[0]), Tombstone: true, Time: 0x123456789abc},
		{Dot: causal.Dot(v[1]), Apart: true, ValueSize: 5000, ContentType: "text/plain", Time: 0x123456789abd, Expiry: 1_700_000_000_000},
	}}}
	heads := []replica.Head{head, {}, {Bad: true}}
	return frameOf(t, []replica.Message{
		replica.Read{Key: key},
		replica.ReadAnswer{Object: []byte("object"), Context: v, Digest: 0xdeadbeef, Seen: seen},
		replica.Store{Key: key, Object: []byte("object"), Slot: 2},
		replica.Forward{Write: replica.Write{Key: key, Value: []byte("value"), Expiry: 1_700_000_000_000}},
		replica.Capture{Look: true},
		replica.CaptureAnswer{Seen: seen, Life: 0xabcdef, Roots: []replica.Root{{Class: 1, Sum: 2}, {Class: 3, Sum: 1 << 63}}, Incomplete: true},
		replica.Sums{Class: 3, Ranges: []replica.LeafRange{{From: 0, To: 4096}, {From: 64, To: 65}}},
		replica.SumsAnswer{Sums: []uint64{0, 1, math.MaxUint64}},
		replica.Entries{Class: 3, Leaves: []uint32{1, 4095}, Started: true, After: key, Limit: 100},
		replica.EntriesAnswer{Entries: []replica.Entry{{Leaf: 4095, Key: key, Version: 0xdeadbeef}}, More: true},
		replica.Heads{Keys: []replica.Key{key, {}}},
		replica.HeadsAnswer{Heads: heads, Seen: seen},
		replica.Scan{Class: 1, Started: true, After: key, Limit: 100},
		replica.ScanAnswer{Keys: []replica.Key{key, {Key: "a"}, {Key: "b"}}, Heads: heads, Seen: seen, Done: true},
		replica.Fetch{Keys: []replica.Key{key}},
		replica.FetchAnswer{Objects: [][]byte{[]byte("object"), nil}},
		replica.Transfer{Items: []replica.Item{{Key: key, Object: []byte("object")}}},
		replica.TransferAnswer{Changed: 300},
		replica.Adopt{From: id(9), Life: 0xabcdef, Seen: seen, Complete: true},
		replica.AdoptAnswer{},
		replica.Release{},
		replica.ReleaseAnswer{},
	}, true)
}

// goldenFrame3 has what version 3 added.
func goldenFrame3(t testing.TB) *peerpb.Frame {
	key := replica.Key{Type: "default", Bucket: "b\xff", Key: "k\x00"}
	return frameOf(t, []replica.Message{
		replica.Inherit{Move: 300},
		replica.InheritAnswer{},
		replica.InheritAnswer{Started: true, After: key},
		replica.Transfer{Items: []replica.Item{{Key: key, Object: []byte("object")}}, Move: 300},
		replica.Settle{Move: 300, Life: 0xabcdef},
		replica.SettleAnswer{},
	}, false)
}
