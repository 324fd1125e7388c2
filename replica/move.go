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
	// Sources, of a rebuild, bounds how many other owners have to give what they
	// have: as many as there were when a person accepted that there are too few for
	// every acknowledged write to be among it. AllSources is no bound.
	Sources int `json:"sources,omitempty"`
}

// AllSources is above any number of owners.
const AllSources = ring.ReplicasMax

// SourcesNeeded is how many of the other owners of a class's keys a new owner has
// to hear from, so that every write that a quorum acknowledged without it is known
// to one of them, and every quorum has one of them: with majorities, n-n/2 of n.
func SourcesNeeded(n int) int { return min(n-n/2, n-1) }
