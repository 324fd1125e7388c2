package member

import (
	"sync"

	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/ring"
)

// preferences keeps the fallbacks of partitions, which are sorted anew only when
// the agreed state changes.
type preferences struct {
	state   *cluster.State
	members []ring.MemberID
	lists   sync.Map // preferenceKey to []ring.MemberID
}

type preferenceKey struct {
	partition ring.PartitionID
	n         int
}

// fallbacks are the members that stand in for the owners of p's first n slots, in
// order.
func (c *coordinator) fallbacks(state *cluster.State, p ring.PartitionID, n int) []ring.MemberID {
	prefs := c.preferences.Load()
	if prefs == nil || prefs.state != state {
		prefs = &preferences{state: state}
		for id, m := range state.Members {
			if storesFor(m) {
				prefs.members = append(prefs.members, id)
			}
		}
		c.preferences.Store(prefs)
	}
	key := preferenceKey{p, n}
	if list, ok := prefs.lists.Load(key); ok {
		return list.([]ring.MemberID)
	}
	list := state.Ring.Preference(p, n, prefs.members).Fallbacks
	prefs.lists.Store(key, list)
	return list
}
