package handoff_test

import (
	"slices"
	"testing"

	"github.com/ringd/ringd/handoff"
	"github.com/ringd/ringd/ring"
)

// TestCopyPairs: with each holder of a copy the first owner that is up begins, and nobody else.
func TestCopyPairs(t *testing.T) {
	c := newCluster(t)
	var holders []ring.MemberID
	for _, h := range c.members {
		holders = append(holders, h.id)
	}
	for _, down := range [][]string{nil, {"A"}, {"B"}, {"A", "B"}, {"C", "F"}} {
		up := func(id ring.MemberID) bool { return !slices.Contains(down, c.byID(id).name) }
		var begins string
		for _, name := range []string{"C", "B", "A"} {
			if !slices.Contains(down, name) {
				begins = name
			}
		}
		for _, h := range c.members {
			pairs := handoff.CopyPairs(c.ring, h.id, holders, up)
			want := 0
			if h.name == begins {
				want = 2 * partitions // F and G
			}
			if slices.Contains(down, h.name) {
				continue
			}
			if len(pairs) != want {
				t.Errorf("%v down: %s begins %d comparisons with copies, not %d", down, h.name, len(pairs), want)
			}
		}
	}
}
