package causal

import "slices"

// FoldOptions say how an object is shown.
type FoldOptions struct {
	// LastWriteWins shows only the sibling with the highest timestamp, the
	// higher dot among equals.
	LastWriteWins bool
}

// Fold returns o as a client sees it: siblings that stand for one request count
// once, the one with the smallest dot, and with LastWriteWins only the newest is
// left. The context stays, so that a write with it replaces all of them.
//
// This is done where an object is shown and not in Merge, because dropping a
// sibling that causality keeps is not associative: it depends on which replicas
// met first, and leaves replicas with equal vectors and different siblings, for
// ever. (TestDroppingTwinsInMergeDiverges)
func Fold(o Object, options FoldOptions) Object {
	out := Object{Context: o.Context}
	for _, s := range o.Siblings {
		if _, seen := out.HasRequest(s.Request); !seen {
			out.Siblings = append(out.Siblings, s)
		}
	}
	if options.LastWriteWins && len(out.Siblings) > 1 {
		newest := slices.MaxFunc(out.Siblings, func(a, b Sibling) int {
			if a.Time != b.Time {
				if a.Time < b.Time {
					return -1
				}
				return 1
			}
			return a.Dot.Compare(b.Dot)
		})
		out.Siblings = []Sibling{newest}
	}
	return out
}
