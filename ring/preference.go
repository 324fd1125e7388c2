package ring

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Preference is the order in which members are asked for a partition.
type Preference struct {
	// Owners of the first n slots, the primaries. Not to be changed.
	Owners []MemberID
	// Fallbacks stand in for owners that can't be reached, in this order.
	Fallbacks []MemberID
}

// Preference returns who is asked for p by a bucket type of the given n: the
// owners, then, of members, the others in rendezvous-hash order (Thaler and
// Ravishankar 1998) of (partition, member). So a failed member's load spreads
// over all, and a fallback stays the same when someone else comes or goes. The
// order of members doesn't matter, nor does one that is named twice. Without owners nobody is preferred.
func (r *Ring) Preference(p PartitionID, n int, members []MemberID) Preference {
	owners := r.Owners(p)
	n = min(n, len(owners))
	owners = owners[:n:n] // what a caller appends does not reach the ring's next slot
	pref := Preference{Owners: owners}
	if len(members) == 0 || len(owners) == 0 {
		return pref
	}
	type ranked struct {
		id   MemberID
		rank uint64
	}
	var others []ranked
	for _, id := range members {
		if !slices.Contains(owners, id) {
			others = append(others, ranked{id, rendezvous(p, id)})
		}
	}
	slices.SortFunc(others, func(a, b ranked) int {
		if c := cmp.Compare(b.rank, a.rank); c != 0 {
			return c
		}
		return a.id.Compare(b.id)
	})
	others = slices.Compact(others) // one named twice has one rank, so it stands beside itself
	for _, o := range others {
		pref.Fallbacks = append(pref.Fallbacks, o.id)
	}
	return pref
}

func rendezvous(p PartitionID, id MemberID) uint64 {
	var b [20]byte
	binary.BigEndian.PutUint32(b[:], uint32(p))
	copy(b[4:], id[:])
	return xxhash.Sum64(b[:])
}
