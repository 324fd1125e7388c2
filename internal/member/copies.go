package member

import (
	"slices"

	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/ring"
)

// copyHolders are the members that hold copies of the partitions of which they own no
// slot, in order: all that store data, as long as there is a bucket type with n=all.
func copyHolders(state *cluster.State) []ring.MemberID {
	everywhere := false
	for _, t := range state.BucketTypes {
		everywhere = everywhere || t.Everywhere
	}
	if !everywhere {
		return nil
	}
	var out []ring.MemberID
	for id, m := range state.Members {
		if storesFor(m) {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, ring.MemberID.Compare)
	return out
}

// storesFor says that a member keeps data for others, as a fallback or a copy.
func storesFor(m cluster.Member) bool {
	return m.Role == cluster.RoleStorage && !m.Leaving && !m.Gone
}

// besides are the holders that own no slot of p.
func besides(r *ring.Ring, p ring.PartitionID, holders []ring.MemberID) []ring.MemberID {
	owners := r.Owners(p)
	return slices.DeleteFunc(slices.Clone(holders), func(id ring.MemberID) bool { return slices.Contains(owners, id) })
}

// classOf is the class of a bucket type, 0 of one that is not known.
func classOf(state *cluster.State, bucketType string) int {
	if t, ok := state.BucketTypes[bucketType]; ok {
		return t.Class()
	}
	return 0
}
