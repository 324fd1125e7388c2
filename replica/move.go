package replica

import "github.com/ringd/ringd/ring"

// Move is a slot under way from one owner to another (design section 9).
type Move struct {
	// Number names the move, and no other of the cluster's life.
	Number    uint64           `json:"number"`
	Partition ring.PartitionID `json:"partition"`
	Slot      int              `json:"slot"`
	From      ring.MemberID    `json:"from"`
	To        ring.MemberID    `json:"to"`
	// Rebuild: From is gone for good. To owns the slot from the beginning and gets
	// its data from the other owners.
	Rebuild bool `json:"rebuild,omitempty"`
	// Sources, of a rebuild, bounds how many of the partition's other owners have to
	// give what they have: as many as there were when a person accepted that there are
	// too few for every acknowledged write to be among it. AllSources is no bound.
	Sources int `json:"sources,omitempty"`
}

// AllSources is above any number of owners.
const AllSources = ring.ReplicasMax

// SourcesNeeded is how many of the other owners of a class's keys a new owner has
// to hear from, so that every write that a quorum acknowledged without it is known
// to one of them, and every quorum has one of them: with majorities, n-n/2 of n.
func SourcesNeeded(n int) int { return min(n-n/2, n-1) }

// Inherit begins a move at the vnode that is to have the slot: it durably drops
// what it holds of the partition, hints excepted, unless it has begun the same move
// before. With Rebuild, it is the vnode's own member that says so: the slot is its
// already, and its data have to come from the other owners.
type Inherit struct {
	Move    uint64
	Rebuild bool
}

// InheritAnswer says that it is durable, and how far the move had come: After, if
// Started, is the cursor that the last Transfer of the move left.
type InheritAnswer struct {
	Started bool
	After   Key
}

// Settle tells the new vnode that it has all that the former one acknowledged, and
// that the former one is fenced: from then on it may own the slot. Life is that in
// which it was compared last.
type Settle struct {
	Move uint64
	Life uint64
}

// SettleAnswer says that it is durable.
type SettleAnswer struct{}

// The messages below go to vnodes of the same member only.

// Page asks for whole objects in the order in which they are stored, after a cursor.
type Page struct {
	Started bool
	After   Key
}

// PageAnswer has as many objects as fit into one message, but for those that are
// corrupt. Last is the cursor for the next, unless Done: there are no more.
type PageAnswer struct {
	Items []Item
	Last  Key
	Done  bool
}

// Fence durably ends what the former owner acknowledges and answers of a slot that
// moves. It is taken back by the agreed state only, once that says that the move
// was cancelled.
type Fence struct{ Move uint64 }

// FenceAnswer says that it is durable.
type FenceAnswer struct{}

// Heard tells a vnode that is rebuilt that another owner refuses messages of rings
// before the rebuild's.
type Heard struct{ From ring.MemberID }

// HeardAnswer says that it was noted.
type HeardAnswer struct{}

// Leftovers asks whether a vnode that owns no slot holds objects all the same.
type Leftovers struct{}

// LeftoversAnswer tells.
type LeftoversAnswer struct {
	Any bool
	// Owned: some of it may have been acknowledged by the vnode as an owner. Fence is
	// the move that took the slot away; 0 for none, as when a recovery goes back to a
	// ring of before: then nobody else may hold it.
	Owned bool
	Fence uint64
}

// Drop gives up what a vnode that owns no slot holds, hints excepted.
type Drop struct{}

// DropAnswer says that it is durable.
type DropAnswer struct{}

func (Inherit) message()         {}
func (InheritAnswer) message()   {}
func (Settle) message()          {}
func (SettleAnswer) message()    {}
func (Page) message()            {}
func (PageAnswer) message()      {}
func (Fence) message()           {}
func (FenceAnswer) message()     {}
func (Heard) message()           {}
func (HeardAnswer) message()     {}
func (Leftovers) message()       {}
func (LeftoversAnswer) message() {}
func (Drop) message()            {}
func (DropAnswer) message()      {}
