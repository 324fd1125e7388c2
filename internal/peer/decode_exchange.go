package peer

import (
	"fmt"

	"github.com/ringd/ringd/internal/peer/peerpb"
	"github.com/ringd/ringd/replica"
)

// decodeExchange is decode for the messages that compare, mend and move. Counts are
// checked before room is made for them. Its error is errMalformed.
func decodeExchange(from *peerpb.Envelope) (replica.Message, error) {
	m, err := unpackExchange(from)
	if err != nil {
		return nil, err
	}
	if err := check(m); err != nil {
		return nil, fmt.Errorf("%w: %T: %w", errMalformed, m, err)
	}
	return m, nil
}

func unpackExchange(from *peerpb.Envelope) (replica.Message, error) {
	var err error
	switch m := from.GetMessage().(type) {
	case *peerpb.Envelope_Capture:
		return replica.Capture{Look: m.Capture.GetLook()}, nil
	case *peerpb.Envelope_CaptureAnswer:
		return unpackCapture(m.CaptureAnswer)
	case *peerpb.Envelope_Sums:
		out := replica.Sums{Class: int(m.Sums.GetClass())}
		out.Ranges, err = unpackRanges(m.Sums.GetRanges())
		return out, err
	case *peerpb.Envelope_SumsAnswer:
		return replica.SumsAnswer{Sums: m.SumsAnswer.GetSums()}, nil
	case *peerpb.Envelope_Entries:
		out := replica.Entries{Class: int(m.Entries.GetClass()), Leaves: m.Entries.GetLeaves(), Limit: int(m.Entries.GetLimit())}
		out.Started, out.After, err = unpackCursor(m.Entries.GetAfter())
		return out, err
	case *peerpb.Envelope_EntriesAnswer:
		return unpackEntries(m.EntriesAnswer)
	case *peerpb.Envelope_Heads:
		keys, err := unpackKeys(m.Heads.GetKeys())
		return replica.Heads{Keys: keys}, err
	case *peerpb.Envelope_HeadsAnswer:
		var out replica.HeadsAnswer
		if out.Heads, err = unpackHeads(m.HeadsAnswer.GetHeads(), m.HeadsAnswer.GetBad()); err == nil {
			out.Seen, err = unpackVector(m.HeadsAnswer.GetSeen())
		}
		return out, err
	case *peerpb.Envelope_Scan:
		out := replica.Scan{Class: int(m.Scan.GetClass()), Limit: int(m.Scan.GetLimit())}
		out.Started, out.After, err = unpackCursor(m.Scan.GetAfter())
		return out, err
	case *peerpb.Envelope_ScanAnswer:
		return unpackScan(m.ScanAnswer)
	case *peerpb.Envelope_Fetch:
		keys, err := unpackKeys(m.Fetch.GetKeys())
		return replica.Fetch{Keys: keys}, err
	case *peerpb.Envelope_FetchAnswer:
		return unpackObjects(m.FetchAnswer.GetObjects()), nil
	case *peerpb.Envelope_Transfer:
		return unpackItems(m.Transfer)
	case *peerpb.Envelope_TransferAnswer:
		return replica.TransferAnswer{Changed: int(m.TransferAnswer.GetChanged())}, nil
	case *peerpb.Envelope_Adopt:
		return unpackAdopt(m.Adopt)
	case *peerpb.Envelope_AdoptAnswer:
		return replica.AdoptAnswer{}, nil
	case *peerpb.Envelope_Release:
		return replica.Release{}, nil
	case *peerpb.Envelope_ReleaseAnswer:
		return replica.ReleaseAnswer{}, nil
	case *peerpb.Envelope_Inherit:
		return replica.Inherit{Move: m.Inherit.GetMove()}, nil
	case *peerpb.Envelope_InheritAnswer:
		var out replica.InheritAnswer
		out.Started, out.After, err = unpackCursor(m.InheritAnswer.GetAfter())
		return out, err
	case *peerpb.Envelope_Settle:
		return replica.Settle{Move: m.Settle.GetMove(), Life: m.Settle.GetLife()}, nil
	case *peerpb.Envelope_SettleAnswer:
		return replica.SettleAnswer{}, nil
	}
	return nil, fmt.Errorf("%w: an envelope without a message that is known here", errMalformed)
}

func unpackCapture(a *peerpb.CaptureAnswer) (replica.Message, error) {
	classes, sums := a.GetClasses(), a.GetSums()
	if len(classes) != len(sums) || len(classes) > classMax+1 {
		return nil, fmt.Errorf("%w: %d classes with %d sums", errMalformed, len(classes), len(sums))
	}
	out := replica.CaptureAnswer{Life: a.GetLife(), Incomplete: a.GetIncomplete()}
	for i, class := range classes {
		out.Roots = append(out.Roots, replica.Root{Class: int(class), Sum: sums[i]})
	}
	var err error
	out.Seen, err = unpackVector(a.GetSeen())
	return out, err
}

func unpackRanges(bounds []uint32) ([]replica.LeafRange, error) {
	if len(bounds) == 0 {
		return nil, nil
	}
	n := len(bounds) / 2
	if len(bounds)%2 != 0 || n > partsMax {
		return nil, fmt.Errorf("%w: ranges of %d bounds", errMalformed, len(bounds))
	}
	out := make([]replica.LeafRange, n)
	for i := range out {
		out[i] = replica.LeafRange{From: bounds[2*i], To: bounds[2*i+1]}
	}
	return out, nil
}

func unpackCursor(b []byte) (started bool, after replica.Key, err error) {
	if len(b) == 0 {
		return false, replica.Key{}, nil
	}
	after, err = unpackKey(b)
	return true, after, err
}

func unpackKeys(from [][]byte) ([]replica.Key, error) {
	if len(from) == 0 {
		return nil, nil
	}
	if err := checkParts(len(from)); err != nil {
		return nil, fmt.Errorf("%w: keys: %w", errMalformed, err)
	}
	out := make([]replica.Key, len(from))
	for i := range out {
		var err error
		if out[i], err = unpackKey(from[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func unpackEntries(a *peerpb.EntriesAnswer) (replica.Message, error) {
	leaves, versions := a.GetLeaves(), a.GetVersions()
	keys, err := unpackKeys(a.GetKeys())
	if err != nil {
		return nil, err
	}
	if len(leaves) != len(keys) || len(versions) != len(keys) {
		return nil, fmt.Errorf("%w: %d keys in %d leaves with %d versions", errMalformed, len(keys), len(leaves), len(versions))
	}
	out := replica.EntriesAnswer{More: a.GetMore()}
	if len(keys) > 0 {
		out.Entries = make([]replica.Entry, len(keys))
	}
	for i := range out.Entries {
		out.Entries[i] = replica.Entry{Leaf: leaves[i], Key: keys[i], Version: versions[i]}
	}
	return out, nil
}

func unpackHeads(from [][]byte, bad []uint32) ([]replica.Head, error) {
	if err := checkParts(len(from)); err != nil {
		return nil, fmt.Errorf("%w: heads: %w", errMalformed, err)
	}
	var out []replica.Head
	if len(from) > 0 {
		out = make([]replica.Head, len(from))
	}
	for i := range out {
		var err error
		if out[i].Object, err = unpackObject(from[i]); err != nil {
			return nil, err
		}
	}
	for i, at := range bad {
		if int64(at) >= int64(len(out)) || (i > 0 && bad[i-1] >= at) {
			return nil, fmt.Errorf("%w: %d of %d heads is bad, or bad twice", errMalformed, at, len(out))
		}
		out[at].Bad = true
	}
	return out, nil
}

func unpackScan(a *peerpb.ScanAnswer) (replica.Message, error) {
	out := replica.ScanAnswer{Done: a.GetDone()}
	var err error
	if out.Keys, err = unpackKeys(a.GetKeys()); err != nil {
		return nil, err
	}
	if out.Heads, err = unpackHeads(a.GetHeads(), a.GetBad()); err != nil {
		return nil, err
	}
	out.Seen, err = unpackVector(a.GetSeen())
	return out, err
}

// unpackObjects does not look into the objects: whoever merges them does.
func unpackObjects(objects [][]byte) replica.Message {
	for i := range objects {
		objects[i] = some(objects[i])
	}
	return replica.FetchAnswer{Objects: objects}
}

// unpackItems does not look into the objects either.
func unpackItems(t *peerpb.Transfer) (replica.Message, error) {
	objects := t.GetObjects()
	keys, err := unpackKeys(t.GetKeys())
	if err != nil {
		return nil, err
	}
	if len(objects) != len(keys) {
		return nil, fmt.Errorf("%w: %d objects of %d keys", errMalformed, len(objects), len(keys))
	}
	out := replica.Transfer{Move: t.GetMove()}
	if len(keys) > 0 {
		out.Items = make([]replica.Item, len(keys))
	}
	for i := range out.Items {
		out.Items[i] = replica.Item{Key: keys[i], Object: some(objects[i])}
	}
	return out, nil
}

func unpackAdopt(a *peerpb.Adopt) (replica.Message, error) {
	out := replica.Adopt{Life: a.GetLife(), Complete: a.GetComplete()}
	if n := copy(out.From[:], a.GetFrom()); n != len(out.From) || n != len(a.GetFrom()) {
		return nil, fmt.Errorf("%w: a member id of %d bytes", errMalformed, len(a.GetFrom()))
	}
	var err error
	out.Seen, err = unpackVector(a.GetSeen())
	return out, err
}
