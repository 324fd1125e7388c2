package replica

import (
	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/ring"
)

// The messages below compare and mend the vnodes of one partition. A bucket
// type's n is its class: owners compare what both of their slots hold, and each
// class has a hash tree of its own.

// Capture begins a session between two vnodes: the vnode answers with what it
// has durably seen by now and the roots of its trees. It is in at most one
// session with another member at a time, and refuses more as overloaded, until
// Release, or until nothing was heard of it for a while.
type Capture struct {
	// Look only: no session begins.
	Look bool
}

// CaptureAnswer is what a session begins with.
type CaptureAnswer struct {
	Seen causal.Vector
	// Life is drawn anew when the vnode starts, and when it lost data: what was
	// compared in one says nothing about the next.
	Life  uint64
	Roots []Root
	// Incomplete: the vnode lost data, and has not got it all back yet.
	Incomplete bool
}

// Root is the sum over one class. A class without keys has none.
type Root struct {
	Class int
	Sum   uint64
}

// Sums asks for sums over ranges of a class's leaves. Each range is cut into at
// most SumsFanout parts of equal size, the last of which may be smaller.
type Sums struct {
	Class  int
	Ranges []LeafRange
}

// SumsFanout is how many sums stand for one range.
const SumsFanout = 64

// leavesOfAll are shared by the partitions of a ring: with ten million keys on a
// member, a leaf has about ten.
const leavesOfAll = 1 << 20

// Leaves returns how many leaves the hash trees of a ring's partitions have.
func Leaves(partitions int) uint32 { return uint32(max(1, leavesOfAll/partitions)) }

// LeafRange is the leaves from From up to, not including, To.
type LeafRange struct{ From, To uint32 }

// Part returns the size of the parts that Sums cuts r into.
func (r LeafRange) Part() uint32 { return (r.To - r.From + SumsFanout - 1) / SumsFanout }

// SumsAnswer has the sums of all parts of all ranges, in order.
type SumsAnswer struct{ Sums []uint64 }

// Entries asks for what the given leaves of a class hold, in order, after a
// cursor.
type Entries struct {
	Class  int
	Leaves []uint32
	// After, if Started, is the last key that an earlier answer had, in the first
	// of Leaves.
	Started bool
	After   Key
	Limit   int
}

// EntriesAnswer has up to Limit entries. More: there are further ones.
type EntriesAnswer struct {
	Entries []Entry
	More    bool
}

// Entry is a key in a hash tree.
type Entry struct {
	Leaf    uint32
	Key     Key
	Version uint64 // causal.Object.Digest
}

// Heads asks for what the vnode has of the given keys, values left out.
type Heads struct{ Keys []Key }

// HeadsAnswer is in the order of the keys that were asked for. Seen was taken in
// one step with all of them.
type HeadsAnswer struct {
	Heads []Head
	Seen  causal.Vector
}

// Head is an object without its values (causal.Object.Header). Bad: the record
// is corrupt; it says nothing about the key.
type Head struct {
	Object causal.Object
	Bad    bool
}

// Scan asks for the heads of all keys of the classes from Class on, in the order
// in which they are stored, after a cursor. Without the trees: it is what they
// are checked against.
type Scan struct {
	Class   int
	Started bool
	After   Key
	Limit   int
}

// ScanAnswer has up to Limit heads, in the order of Keys. Done: there are no
// more.
type ScanAnswer struct {
	Keys  []Key
	Heads []Head
	Seen  causal.Vector
	Done  bool
}

// Fetch asks for whole objects.
type Fetch struct{ Keys []Key }

// FetchAnswer has the objects of the first keys that were asked for, as many as
// fit into one message, and at least one: encoded with their values inline, nil
// for a key without a record.
type FetchAnswer struct{ Objects [][]byte }

// Transfer asks an owner, or who is to be one, to merge objects that another vnode
// has. A client's limits don't bind it.
type Transfer struct {
	Items []Item
	// Move, if not zero, has the last of Items noted, with them, as the cursor of
	// that move.
	Move uint64
}

// Item is one object under way, encoded with its values inline.
type Item struct {
	Key    Key
	Object []byte
}

// TransferAnswer says that all items are durable. Changed is how many of them
// told the vnode something.
type TransferAnswer struct{ Changed int }

// Adopt tells a vnode that it has all that another had seen: the sender compared
// the two after Seen was captured, durably merged every difference into this
// one, and found it in the life that it had then.
type Adopt struct {
	From ring.MemberID
	Life uint64
	Seen causal.Vector
	// Complete: From's data was whole, so that the comparison counts towards
	// making this vnode's whole again.
	Complete bool
}

// AdoptAnswer says that it is durable.
type AdoptAnswer struct{}

// Release ends a session.
type Release struct{}

// ReleaseAnswer says that it has ended.
type ReleaseAnswer struct{}

// The messages below go to vnodes of the same member only.

// Hints asks for the hints that are kept for a slot, in the order of their keys,
// after a cursor. Life is that of the vnode that they are for.
type Hints struct {
	Slot    int
	Life    uint64
	Started bool
	After   Key
	Limit   int
}

// HintsAnswer has up to Limit hints, and fewer if they are large. Done: there are
// no more.
type HintsAnswer struct {
	Hints []Hint
	Done  bool
	// Own is what the slot's owner, in the life that was named, has of what the
	// vnode coordinated as a fallback, once it has all hints that are kept now.
	Own causal.Vector
}

// Hint is an object kept for another. Version is what DropHints compares.
type Hint struct {
	Item    Item
	Version uint64
}

// DropHints removes those of the hints that still have their version, since the
// vnode that they are for has them, in its present life.
type DropHints struct {
	Slot     int
	Life     uint64
	Keys     []Key
	Versions []uint64
}

// DropHintsAnswer says that it is durable.
type DropHintsAnswer struct{ Dropped int }

// HintCount asks how many hints are kept for each slot.
type HintCount struct{}

// HintCountAnswer has the hints and their bytes by slot. Leaving: there will be no
// more of them.
type HintCountAnswer struct {
	Count, Bytes []int64
	Leaving      bool
}

// Reap removes what is left of deletions and is known everywhere, among the next
// Limit that the vnode keeps after a cursor.
type Reap struct {
	Started bool
	After   Key
	Limit   int
}

// ReapAnswer tells how far it got. Reaped were removed, Kept are still needed;
// Stuck are those among them that name dots of actors beyond anyone's seen.
type ReapAnswer struct {
	Reaped, Kept, Stuck int
	Last                Key
	Done                bool
}

// Expired asks for keys whose values have all expired by the vnode's clock.
type Expired struct{ Limit int }

// ExpiredAnswer has their keys, and the contexts to delete them with.
type ExpiredAnswer struct {
	Keys     []Key
	Contexts []causal.Vector
}

// CheckTree holds the hash trees against the next Limit records of the data,
// after a cursor, and sets right what differs.
type CheckTree struct {
	Started bool
	After   Key
	Limit   int
}

// CheckSums holds a class's sums against its entries, and those against the
// data, over the leaves of a range, and sets right what differs.
type CheckSums struct {
	Class int
	Range LeafRange
}

// CheckAnswer answers both: how many were checked, and which keys, and how many
// sums, were wrong. For CheckTree: Last is the cursor, and Done.
type CheckAnswer struct {
	Checked int
	Keys    []Key
	Sums    int
	Last    Key
	Done    bool
}

// Restore replaces a record that is corrupt by what the other owners have of its
// key, merged and encoded with its values inline; nil if they have nothing. The
// vnode forgets what it has seen, for it lost some of it.
type Restore struct {
	Key    Key
	Object []byte
}

// RestoreAnswer says that it is durable. Whole: the record was found good, and
// stayed.
type RestoreAnswer struct{ Whole bool }

func (Capture) message()         {}
func (CaptureAnswer) message()   {}
func (Sums) message()            {}
func (SumsAnswer) message()      {}
func (Entries) message()         {}
func (EntriesAnswer) message()   {}
func (Heads) message()           {}
func (HeadsAnswer) message()     {}
func (Scan) message()            {}
func (ScanAnswer) message()      {}
func (Fetch) message()           {}
func (FetchAnswer) message()     {}
func (Transfer) message()        {}
func (TransferAnswer) message()  {}
func (Adopt) message()           {}
func (AdoptAnswer) message()     {}
func (Release) message()         {}
func (ReleaseAnswer) message()   {}
func (Hints) message()           {}
func (HintsAnswer) message()     {}
func (DropHints) message()       {}
func (DropHintsAnswer) message() {}
func (HintCount) message()       {}
func (HintCountAnswer) message() {}
func (Reap) message()            {}
func (ReapAnswer) message()      {}
func (Expired) message()         {}
func (ExpiredAnswer) message()   {}
func (CheckTree) message()       {}
func (CheckSums) message()       {}
func (CheckAnswer) message()     {}
func (Restore) message()         {}
func (RestoreAnswer) message()   {}
