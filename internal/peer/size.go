package peer

import (
	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
)

// What parts of a message take at most, beside texts and values.
const (
	// envelopeBytes are of an envelope, and of a message's fields that come once.
	envelopeBytes = 112
	writeBytes    = 112
	entryBytes    = 18 // of a vector
	metaBytes     = 16
	objectFields  = 32 // of an object without siblings
	siblingBytes  = 96
	nameBytes     = 32 // of a list
	fieldBytes    = 6  // a tag and a length
	keyParts      = 10 // the lengths within a key
	leafBytes     = 3  // the number of a leaf
	sumBytes      = 8
)

// sizeOf estimates how many bytes m takes on the wire: no less than it does, and
// little more. Queues, frames and statistics count in it.
func sizeOf(m replica.Message) int {
	n := envelopeBytes
	switch m := m.(type) {
	case replica.Read:
		n += keyBytes(m.Key)
	case replica.ReadAnswer:
		n += len(m.Object) + entryBytes*(len(m.Context)+len(m.Seen))
	case replica.Store:
		n += keyBytes(m.Key) + len(m.Object)
	case replica.Forward:
		w := &m.Write
		n += writeBytes + keyBytes(w.Key) + len(w.Value) + len(w.ContentType) + entryBytes*(len(w.Context.Seen)+len(w.Context.Own))
		for _, e := range w.Meta {
			n += metaBytes + len(e.Key) + len(e.Value)
		}
	case replica.ForwardAnswer:
		n += entryBytes*(len(m.Result.Context.Seen)+len(m.Result.Context.Own)) + objectBytes(&m.Result.Object)
	case replica.List:
		n += nameBytes + len(m.Type) + len(m.Bucket) + len(m.After)
	case replica.ListAnswer:
		for i := range m.Entries {
			n += nameBytes + len(m.Entries[i].Name) + entryBytes*len(m.Entries[i].Context)
		}
	case replica.Failure:
		n += nameBytes + len(m.State)
		if m.Err != nil {
			n += len(m.Err.Message) + len(m.Err.Field)
		}
	default:
		n += sizeOfExchange(m)
	}
	return n
}

// sizeOfExchange is sizeOf beyond the envelope, of the messages that compare,
// mend and move.
func sizeOfExchange(m replica.Message) int {
	switch m := m.(type) {
	case replica.CaptureAnswer:
		return entryBytes*len(m.Seen) + (2+sumBytes)*len(m.Roots)
	case replica.Sums:
		return 2 * leafBytes * len(m.Ranges)
	case replica.SumsAnswer:
		return sumBytes * len(m.Sums)
	case replica.Entries:
		return keyParts + keyBytes(m.After) + leafBytes*len(m.Leaves)
	case replica.EntriesAnswer:
		n := 0
		for i := range m.Entries {
			n += fieldBytes + keyParts + keyBytes(m.Entries[i].Key) + leafBytes + sumBytes
		}
		return n
	case replica.Heads:
		return keysBytes(m.Keys)
	case replica.HeadsAnswer:
		return entryBytes*len(m.Seen) + headsBytes(m.Heads)
	case replica.Scan:
		return keyParts + keyBytes(m.After)
	case replica.ScanAnswer:
		return entryBytes*len(m.Seen) + keysBytes(m.Keys) + headsBytes(m.Heads)
	case replica.Fetch:
		return keysBytes(m.Keys)
	case replica.FetchAnswer:
		n := 0
		for _, o := range m.Objects {
			n += fieldBytes + len(o)
		}
		return n
	case replica.Transfer:
		n := 0
		for i := range m.Items {
			n += 2*fieldBytes + keyParts + keyBytes(m.Items[i].Key) + len(m.Items[i].Object)
		}
		return n
	case replica.Adopt:
		return entryBytes * len(m.Seen)
	case replica.InheritAnswer:
		return keyParts + keyBytes(m.After)
	}
	return 0
}

func keysBytes(keys []replica.Key) int {
	n := 0
	for i := range keys {
		n += fieldBytes + keyParts + keyBytes(keys[i])
	}
	return n
}

func headsBytes(heads []replica.Head) int {
	n := 0
	for i := range heads {
		n += fieldBytes + objectBytes(&heads[i].Object)
	}
	return n
}

// objectBytes is no less than o takes as package causal encodes it.
func objectBytes(o *causal.Object) int {
	if isNone(o) {
		return 0
	}
	n := objectFields + entryBytes*len(o.Context)
	for i := range o.Siblings {
		s := &o.Siblings[i]
		n += siblingBytes + len(s.Value) + len(s.ContentType)
		for _, e := range s.Meta {
			n += metaBytes + len(e.Key) + len(e.Value)
		}
	}
	return n
}

func keyBytes(k replica.Key) int { return len(k.Type) + len(k.Bucket) + len(k.Key) }
