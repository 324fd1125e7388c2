package api

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ringd/ringd/cluster"
)

// wireWarnings name the members that keep the others from speaking a later version
// of the protocol between members.
func wireWarnings(state *cluster.State) []string {
	wire, highest := state.Wire(), uint32(0)
	var behind []string
	for _, m := range slices.SortedFunc(maps.Values(state.Members), func(a, b cluster.Member) int { return cmp.Compare(a.Name, b.Name) }) {
		if m.Gone {
			continue
		}
		highest = max(highest, m.Speaks())
		if m.Speaks() == wire {
			behind = append(behind, m.Name)
		}
	}
	if highest <= wire {
		return nil
	}
	return []string{fmt.Sprintf("an upgrade is under way: wire version %d is spoken until all members speak %d; still to be upgraded: %s", wire, highest, strings.Join(behind, ", "))}
}
