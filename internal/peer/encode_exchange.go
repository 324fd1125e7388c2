package peer

import (
	"fmt"

	"github.com/ringd/ringd/internal/peer/peerpb"
	"github.com/ringd/ringd/replica"
)

// encodeExchange is encode for the messages that compare, mend and move. Its error is
// ErrUnsendable.
func encodeExchange(to *peerpb.Envelope, m replica.Message) error {
	if err := check(m); err != nil {
		return fmt.Errorf("%w: %T: %w", ErrUnsendable, m, err)
	}
	var err error
	switch m := m.(type) {
	case replica.Capture:
		to.Message = &peerpb.Envelope_Capture{Capture: &peerpb.Capture{Look: m.Look}}
	case replica.CaptureAnswer:
		out := &peerpb.CaptureAnswer{Life: m.Life, Incomplete: m.Incomplete}
		for _, r := range m.Roots {
			out.Classes, out.Sums = append(out.Classes, uint32(r.Class)), append(out.Sums, r.Sum)
		}
		out.Seen, err = packVector(m.Seen)
		to.Message = &peerpb.Envelope_CaptureAnswer{CaptureAnswer: out}
	case replica.Sums:
		out := &peerpb.Sums{Class: uint32(m.Class), Ranges: make([]uint32, 0, 2*len(m.Ranges))}
		for _, r := range m.Ranges {
			out.Ranges = append(out.Ranges, r.From, r.To)
		}
		to.Message = &peerpb.Envelope_Sums{Sums: out}
	case replica.SumsAnswer:
		to.Message = &peerpb.Envelope_SumsAnswer{SumsAnswer: &peerpb.SumsAnswer{Sums: m.Sums}}
	case replica.Entries:
		to.Message = &peerpb.Envelope_Entries{Entries: &peerpb.Entries{
			Class: uint32(m.Class), Leaves: m.Leaves, After: packCursor(m.Started, m.After), Limit: uint32(m.Limit),
		}}
	case replica.EntriesAnswer:
		to.Message = &peerpb.Envelope_EntriesAnswer{EntriesAnswer: packEntries(m)}
	case replica.Heads:
		to.Message = &peerpb.Envelope_Heads{Heads: &peerpb.Heads{Keys: packKeys(m.Keys)}}
	case replica.HeadsAnswer:
		out := new(peerpb.HeadsAnswer)
		if out.Heads, out.Bad, err = packHeads(m.Heads); err == nil {
			out.Seen, err = packVector(m.Seen)
		}
		to.Message = &peerpb.Envelope_HeadsAnswer{HeadsAnswer: out}
	case replica.Scan:
		to.Message = &peerpb.Envelope_Scan{Scan: &peerpb.Scan{
			Class: uint32(m.Class), After: packCursor(m.Started, m.After), Limit: uint32(m.Limit),
		}}
	case replica.ScanAnswer:
		out := &peerpb.ScanAnswer{Keys: packKeys(m.Keys), Done: m.Done}
		if out.Heads, out.Bad, err = packHeads(m.Heads); err == nil {
			out.Seen, err = packVector(m.Seen)
		}
		to.Message = &peerpb.Envelope_ScanAnswer{ScanAnswer: out}
	case replica.Fetch:
		to.Message = &peerpb.Envelope_Fetch{Fetch: &peerpb.Fetch{Keys: packKeys(m.Keys)}}
	case replica.FetchAnswer:
		to.Message = &peerpb.Envelope_FetchAnswer{FetchAnswer: &peerpb.FetchAnswer{Objects: m.Objects}}
	case replica.Transfer:
		out := packItems(m.Items)
		out.Move = m.Move
		to.Message = &peerpb.Envelope_Transfer{Transfer: out}
	case replica.TransferAnswer:
		to.Message = &peerpb.Envelope_TransferAnswer{TransferAnswer: &peerpb.TransferAnswer{Changed: uint32(m.Changed)}}
	case replica.Adopt:
		out := &peerpb.Adopt{From: m.From[:], Life: m.Life, Complete: m.Complete}
		out.Seen, err = packVector(m.Seen)
		to.Message = &peerpb.Envelope_Adopt{Adopt: out}
	case replica.AdoptAnswer:
		to.Message = &peerpb.Envelope_AdoptAnswer{AdoptAnswer: new(peerpb.AdoptAnswer)}
	case replica.Release:
		to.Message = &peerpb.Envelope_Release{Release: new(peerpb.Release)}
	case replica.ReleaseAnswer:
		to.Message = &peerpb.Envelope_ReleaseAnswer{ReleaseAnswer: new(peerpb.ReleaseAnswer)}
	case replica.Inherit:
		to.Message = &peerpb.Envelope_Inherit{Inherit: &peerpb.Inherit{Move: m.Move}}
	case replica.InheritAnswer:
		to.Message = &peerpb.Envelope_InheritAnswer{InheritAnswer: &peerpb.InheritAnswer{After: packCursor(m.Started, m.After)}}
	case replica.Settle:
		to.Message = &peerpb.Envelope_Settle{Settle: &peerpb.Settle{Move: m.Move, Life: m.Life}}
	case replica.SettleAnswer:
		to.Message = &peerpb.Envelope_SettleAnswer{SettleAnswer: new(peerpb.SettleAnswer)}
	default:
		return fmt.Errorf("%w: %T does not leave a member", ErrUnsendable, m)
	}
	return err
}

// packCursor returns nothing for the beginning: no key is nothing.
func packCursor(started bool, after replica.Key) []byte {
	if !started {
		return nil
	}
	return packKey(after)
}

func packKeys(keys []replica.Key) [][]byte {
	out := make([][]byte, len(keys))
	for i := range keys {
		out[i] = packKey(keys[i])
	}
	return out
}

func packEntries(m replica.EntriesAnswer) *peerpb.EntriesAnswer {
	n := len(m.Entries)
	out := &peerpb.EntriesAnswer{
		Leaves: make([]uint32, n), Keys: make([][]byte, n), Versions: make([]uint64, n), More: m.More,
	}
	for i := range m.Entries {
		e := &m.Entries[i]
		out.Leaves[i], out.Keys[i], out.Versions[i] = e.Leaf, packKey(e.Key), e.Version
	}
	return out
}

func packHeads(heads []replica.Head) (out [][]byte, bad []uint32, err error) {
	out = make([][]byte, len(heads))
	for i := range heads {
		if heads[i].Bad {
			bad = append(bad, uint32(i))
			continue
		}
		if out[i], err = packObject(&heads[i].Object); err != nil {
			return nil, nil, err
		}
	}
	return out, bad, nil
}

func packItems(items []replica.Item) *peerpb.Transfer {
	out := &peerpb.Transfer{Keys: make([][]byte, len(items)), Objects: make([][]byte, len(items))}
	for i := range items {
		out.Keys[i], out.Objects[i] = packKey(items[i].Key), items[i].Object
	}
	return out
}
