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
