package peer

import (
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/internal/peer/peerpb"
	"github.com/ringd/ringd/replica"
)

// However large the numbers are, a message is taken for no less than it is.
func TestSizeOfLargestNumbers(t *testing.T) {
	for _, frame := range []*peerpb.Frame{goldenFrame(t), goldenFrame2(t), goldenFrame3(t)} {
		envs, _, err := decodeFrame(nil, frame, epoch0)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range frame.Envelopes {
			e.Id, e.Partition, e.Generation, e.Epoch, e.RemainingUs, e.Fallback = math.MaxUint64, math.MaxUint32, math.MaxUint64, math.MaxUint64, math.MaxInt64, true
			if f := e.GetForward(); f != nil {
				f.ExpiryMs, f.IfAbsent, f.IfMatch, f.Delete, f.Options.TimeoutNs = math.MaxInt64, true, true, true, -1
			}
			if f := e.GetFailure().GetError(); f != nil {
				f.Needed, f.Got, f.RetryAfterNs = math.MaxUint32, math.MaxUint32, -1
			}
			switch m := e.GetMessage().(type) {
			case *peerpb.Envelope_Inherit:
				m.Inherit.Move = math.MaxUint64
			case *peerpb.Envelope_Transfer:
				m.Transfer.Move = math.MaxUint64
			case *peerpb.Envelope_Settle:
				m.Settle.Move, m.Settle.Life = math.MaxUint64, math.MaxUint64
			}
			if size, estimate := proto.Size(&peerpb.Frame{Envelopes: []*peerpb.Envelope{e}}), sizeOf(envs[i].Message); size > estimate {
				t.Errorf("%T of %d bytes is taken for %d", envs[i].Message, size, estimate)
			}
		}
	}
}

// Many small parts count as much as they are.
func TestSizeOfManyParts(t *testing.T) {
	const n = 10_000
	v := make(causal.Vector, n)
	for i := range v {
		v[i] = causal.Entry{Actor: causal.Actor(i + 1), Counter: math.MaxUint64}
	}
	ranges, leaves := make([]replica.LeafRange, n), make([]uint32, n)
	for i := range ranges {
		ranges[i], leaves[i] = replica.LeafRange{From: leavesMax - 1, To: leavesMax}, leavesMax-1
	}
	entries, items := make([]replica.Entry, n), make([]replica.Item, n)
	long := replica.Key{Type: strings.Repeat("t", 200), Bucket: strings.Repeat("b", 200), Key: strings.Repeat("k", 200)}
	for i := range entries {
		entries[i], items[i] = replica.Entry{Leaf: leavesMax - 1, Key: long, Version: 1}, replica.Item{Key: long, Object: make([]byte, 300)}
	}
	for _, m := range []replica.Message{
		replica.ReadAnswer{Context: v, Seen: v},
		replica.CaptureAnswer{Seen: v},
		replica.Sums{Ranges: ranges},
		replica.SumsAnswer{Sums: make([]uint64, n)},
		replica.Entries{Leaves: leaves, Started: true, After: long},
		replica.EntriesAnswer{Entries: entries},
		replica.EntriesAnswer{Entries: make([]replica.Entry, n)},
		replica.Heads{Keys: make([]replica.Key, n)},
		replica.HeadsAnswer{Heads: make([]replica.Head, n), Seen: v},
		replica.ScanAnswer{Keys: make([]replica.Key, n), Heads: make([]replica.Head, n), Seen: v},
		replica.Fetch{Keys: make([]replica.Key, n)},
		replica.FetchAnswer{Objects: make([][]byte, n)},
		replica.Transfer{Items: items},
		replica.Adopt{From: id(1), Seen: v},
		replica.InheritAnswer{Started: true, After: long},
	} {
		var out peerpb.Envelope
		if err := encode(&out, &replica.Envelope{Message: m}, 1, epoch0); err != nil {
			t.Fatal(err)
		}
		if size, estimate := proto.Size(&out), sizeOf(m); estimate < size || estimate > 10*size {
			t.Errorf("%T of %d bytes is taken for %d", m, size, estimate)
		}
	}
}
