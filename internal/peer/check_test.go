package peer

import (
	"errors"
	"math"
	"testing"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/internal/peer/peerpb"
	"github.com/ringd/ringd/replica"
)

func TestUnsendableExchange(t *testing.T) {
	bad := causal.Vector{{Actor: 2, Counter: 1}, {Actor: 1, Counter: 1}}
	object := causal.Object{Context: causal.Vector{{Actor: 1, Counter: 1}}}
	for _, m := range []replica.Message{
		// They stay within a member.
		replica.Hints{},
		replica.HintsAnswer{},
		replica.DropHints{},
		replica.DropHintsAnswer{},
		replica.HintCount{},
		replica.HintCountAnswer{},
		replica.Reap{},
		replica.ReapAnswer{},
		replica.Expired{},
		replica.ExpiredAnswer{},
		replica.CheckTree{},
		replica.CheckSums{},
		replica.CheckAnswer{},
		replica.Restore{},
		replica.RestoreAnswer{},
		replica.Page{},
		replica.PageAnswer{},
		replica.Fence{Move: 1},
		replica.FenceAnswer{},
		replica.Heard{From: id(1)},
		replica.HeardAnswer{},
		replica.Leftovers{},
		replica.LeftoversAnswer{},
		replica.Drop{},
		replica.DropAnswer{},

		replica.CaptureAnswer{Seen: bad},
		replica.CaptureAnswer{Roots: []replica.Root{{Class: 256}}},
		replica.CaptureAnswer{Roots: []replica.Root{{Class: 1}, {Class: 1}}},
		replica.Sums{Class: -1},
		replica.Sums{Ranges: []replica.LeafRange{{From: 2, To: 1}}},
		replica.Entries{Class: 256},
		replica.Entries{Limit: -1},
		replica.Entries{Leaves: []uint32{leavesMax}},
		replica.Entries{Started: true},
		replica.EntriesAnswer{Entries: []replica.Entry{{Leaf: leavesMax}}},
		replica.Heads{Keys: make([]replica.Key, partsMax+1)},
		replica.HeadsAnswer{Seen: bad},
		replica.HeadsAnswer{Heads: []replica.Head{{Object: causal.Object{Context: bad}}}},
		replica.HeadsAnswer{Heads: []replica.Head{{Object: object, Bad: true}}},
		replica.Scan{Class: -1},
		replica.Scan{Limit: -1},
		replica.ScanAnswer{Keys: make([]replica.Key, 1)},
		replica.ScanAnswer{Seen: bad},
		replica.Fetch{Keys: make([]replica.Key, partsMax+1)},
		replica.Transfer{Items: make([]replica.Item, 1)},
		replica.TransferAnswer{Changed: -1},
		replica.Adopt{},
		replica.Adopt{From: id(1), Seen: bad},
		replica.Transfer{Move: 1},
		replica.Inherit{},
		replica.Inherit{Move: 1, Rebuild: true},
		replica.Settle{Life: 1},
	} {
		if err := encode(new(peerpb.Envelope), &replica.Envelope{Message: m}, 1, epoch0); !errors.Is(err, ErrUnsendable) {
			t.Errorf("%T: %v", m, err)
		}
	}
}

func TestMalformedExchange(t *testing.T) {
	key, bad := packKey(replica.Key{}), []byte{9}
	// A head of a corrupt record has to be empty.
	object := causal.AppendObject(nil, causal.Object{Context: causal.Vector{{Actor: 1, Counter: 1}}})
	tooMany := make([][]byte, partsMax+1)
	for i := range tooMany {
		tooMany[i] = key
	}
	for name, e := range map[string]*peerpb.Envelope{
		"slot":               {Message: &peerpb.Envelope_Store{Store: &peerpb.Store{Key: key, Slot: 256}}},
		"expiry":             {Message: &peerpb.Envelope_Forward{Forward: &peerpb.Forward{Key: key, ExpiryMs: 1 << 63}}},
		"seen":               {Message: &peerpb.Envelope_ReadAnswer{ReadAnswer: &peerpb.ReadAnswer{Seen: bad}}},
		"capture seen":       {Message: &peerpb.Envelope_CaptureAnswer{CaptureAnswer: &peerpb.CaptureAnswer{Seen: bad}}},
		"root class":         {Message: &peerpb.Envelope_CaptureAnswer{CaptureAnswer: &peerpb.CaptureAnswer{Classes: []uint32{256}, Sums: []uint64{1}}}},
		"root twice":         {Message: &peerpb.Envelope_CaptureAnswer{CaptureAnswer: &peerpb.CaptureAnswer{Classes: []uint32{1, 1}, Sums: []uint64{1, 1}}}},
		"root without sum":   {Message: &peerpb.Envelope_CaptureAnswer{CaptureAnswer: &peerpb.CaptureAnswer{Classes: []uint32{1}}}},
		"roots":              {Message: &peerpb.Envelope_CaptureAnswer{CaptureAnswer: &peerpb.CaptureAnswer{Classes: make([]uint32, 257), Sums: make([]uint64, 257)}}},
		"sums class":         {Message: &peerpb.Envelope_Sums{Sums: &peerpb.Sums{Class: 256}}},
		"half a range":       {Message: &peerpb.Envelope_Sums{Sums: &peerpb.Sums{Ranges: []uint32{1}}}},
		"range backwards":    {Message: &peerpb.Envelope_Sums{Sums: &peerpb.Sums{Ranges: []uint32{2, 1}}}},
		"empty range":        {Message: &peerpb.Envelope_Sums{Sums: &peerpb.Sums{Ranges: []uint32{1, 1}}}},
		"range beyond":       {Message: &peerpb.Envelope_Sums{Sums: &peerpb.Sums{Ranges: []uint32{0, math.MaxUint32}}}},
		"ranges":             {Message: &peerpb.Envelope_Sums{Sums: &peerpb.Sums{Ranges: make([]uint32, 2*partsMax+2)}}},
		"entries class":      {Message: &peerpb.Envelope_Entries{Entries: &peerpb.Entries{Class: 256}}},
		"leaf":               {Message: &peerpb.Envelope_Entries{Entries: &peerpb.Entries{Leaves: []uint32{leavesMax}}}},
		"leaves":             {Message: &peerpb.Envelope_Entries{Entries: &peerpb.Entries{Leaves: make([]uint32, partsMax+1)}}},
		"cursor":             {Message: &peerpb.Envelope_Entries{Entries: &peerpb.Entries{Leaves: []uint32{1}, After: bad}}},
		"cursor of no leaf":  {Message: &peerpb.Envelope_Entries{Entries: &peerpb.Entries{After: key}}},
		"entry without leaf": {Message: &peerpb.Envelope_EntriesAnswer{EntriesAnswer: &peerpb.EntriesAnswer{Keys: [][]byte{key}, Versions: []uint64{1}}}},
		"entry without key":  {Message: &peerpb.Envelope_EntriesAnswer{EntriesAnswer: &peerpb.EntriesAnswer{Leaves: []uint32{1}, Versions: []uint64{1}}}},
		"entry leaf":         {Message: &peerpb.Envelope_EntriesAnswer{EntriesAnswer: &peerpb.EntriesAnswer{Leaves: []uint32{leavesMax}, Keys: [][]byte{key}, Versions: []uint64{1}}}},
		"heads key":          {Message: &peerpb.Envelope_Heads{Heads: &peerpb.Heads{Keys: [][]byte{{}}}}},
		"heads keys":         {Message: &peerpb.Envelope_Heads{Heads: &peerpb.Heads{Keys: tooMany}}},
		"head":               {Message: &peerpb.Envelope_HeadsAnswer{HeadsAnswer: &peerpb.HeadsAnswer{Heads: [][]byte{bad}}}},
		"heads":              {Message: &peerpb.Envelope_HeadsAnswer{HeadsAnswer: &peerpb.HeadsAnswer{Heads: make([][]byte, partsMax+1)}}},
		"bad beyond":         {Message: &peerpb.Envelope_HeadsAnswer{HeadsAnswer: &peerpb.HeadsAnswer{Heads: [][]byte{{}}, Bad: []uint32{1}}}},
		"bad twice":          {Message: &peerpb.Envelope_HeadsAnswer{HeadsAnswer: &peerpb.HeadsAnswer{Heads: [][]byte{{}, {}}, Bad: []uint32{1, 1}}}},
		"bad with an object": {Message: &peerpb.Envelope_HeadsAnswer{HeadsAnswer: &peerpb.HeadsAnswer{Heads: [][]byte{object}, Bad: []uint32{0}}}},
		"heads seen":         {Message: &peerpb.Envelope_HeadsAnswer{HeadsAnswer: &peerpb.HeadsAnswer{Seen: bad}}},
		"scan class":         {Message: &peerpb.Envelope_Scan{Scan: &peerpb.Scan{Class: 256}}},
		"scan without heads": {Message: &peerpb.Envelope_ScanAnswer{ScanAnswer: &peerpb.ScanAnswer{Keys: [][]byte{key}}}},
		"scan seen":          {Message: &peerpb.Envelope_ScanAnswer{ScanAnswer: &peerpb.ScanAnswer{Seen: bad}}},
		"fetch key":          {Message: &peerpb.Envelope_Fetch{Fetch: &peerpb.Fetch{Keys: [][]byte{bad}}}},
		"objects":            {Message: &peerpb.Envelope_FetchAnswer{FetchAnswer: &peerpb.FetchAnswer{Objects: make([][]byte, partsMax+1)}}},
		"item without":       {Message: &peerpb.Envelope_Transfer{Transfer: &peerpb.Transfer{Keys: [][]byte{key}}}},
		"item of nothing":    {Message: &peerpb.Envelope_Transfer{Transfer: &peerpb.Transfer{Keys: [][]byte{key}, Objects: [][]byte{{}}}}},
		"items":              {Message: &peerpb.Envelope_Transfer{Transfer: &peerpb.Transfer{Keys: tooMany, Objects: tooMany}}},
		"cursor of no item":  {Message: &peerpb.Envelope_Transfer{Transfer: &peerpb.Transfer{Move: 1}}},
		"inherit no move":    {Message: &peerpb.Envelope_Inherit{Inherit: new(peerpb.Inherit)}},
		"inherit cursor":     {Message: &peerpb.Envelope_InheritAnswer{InheritAnswer: &peerpb.InheritAnswer{After: bad}}},
		"settle no move":     {Message: &peerpb.Envelope_Settle{Settle: &peerpb.Settle{Life: 1}}},
		"adopt from nobody":  {Message: &peerpb.Envelope_Adopt{Adopt: &peerpb.Adopt{From: make([]byte, 16)}}},
		"adopt from":         {Message: &peerpb.Envelope_Adopt{Adopt: &peerpb.Adopt{From: []byte{1}}}},
		"adopt from longer":  {Message: &peerpb.Envelope_Adopt{Adopt: &peerpb.Adopt{From: append(make([]byte, 16), 1)}}},
		"adopt seen":         {Message: &peerpb.Envelope_Adopt{Adopt: &peerpb.Adopt{From: []byte("0123456789abcdef"), Seen: bad}}},
	} {
		e.Id = 1
		if _, err := decode(e, epoch0); !errors.Is(err, errMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every request that leaves a member has its answer, and no other.
func TestAnswersOfExchange(t *testing.T) {
	pairs := [][2]replica.Message{
		{replica.Capture{}, replica.CaptureAnswer{}},
		{replica.Sums{}, replica.SumsAnswer{}},
		{replica.Entries{}, replica.EntriesAnswer{}},
		{replica.Heads{}, replica.HeadsAnswer{}},
		{replica.Scan{}, replica.ScanAnswer{}},
		{replica.Fetch{}, replica.FetchAnswer{}},
		{replica.Transfer{}, replica.TransferAnswer{}},
		{replica.Adopt{}, replica.AdoptAnswer{}},
		{replica.Release{}, replica.ReleaseAnswer{}},
		{replica.Inherit{}, replica.InheritAnswer{}},
		{replica.Settle{}, replica.SettleAnswer{}},
		{replica.Read{}, replica.ReadAnswer{}},
		{replica.Store{}, replica.StoreAnswer{}},
		{replica.Forward{}, replica.ForwardAnswer{}},
		{replica.List{}, replica.ListAnswer{}},
	}
	for i, asked := range pairs {
		if kind := kindOf(asked[0]); kind == noRequest || kind.isBulk() != (i < 11) || !kind.answeredBy(replica.Failure{}) {
			t.Errorf("%T is of kind %d", asked[0], kind)
		}
		for j, answer := range pairs {
			if got := kindOf(asked[0]).answeredBy(answer[1]); got != (i == j) {
				t.Errorf("%T answered by %T: %v", asked[0], answer[1], got)
			}
		}
		if kind := kindOf(asked[1]); kind != noRequest {
			t.Errorf("%T is a request of kind %d", asked[1], kind)
		}
	}
}
