package causal

import (
	"cmp"
	"slices"
)

// FoldOptions say how an object is shown.
type FoldOptions struct {
	// LastWriteWins shows only the sibling with the highest timestamp, the
	// higher dot among equals.
	LastWriteWins bool
}

// Fold returns o as a client sees it: siblings that stand for one request count
// once, the one with the smallest dot, and with LastWriteWins only the newest is
// left. The context stays, so that a write with it replaces all of them. The
// result may share o's parts.
//
// This is done where an object is shown and not in Merge, because dropping a
// sibling that causality keeps is not associative: it depends on which replicas
// met first, and leaves replicas with equal vectors and different siblings, for
// ever. (TestDroppingTwinsInMergeDiverges)
func Fold(o Object, options FoldOptions) Object {
	if len(o.Siblings) < 2 {
		return o
	}
	out := Object{Context: o.Context, Siblings: make([]Sibling, 0, len(o.Siblings))}
	for i := range o.Siblings {
		if _, twin := out.HasRequest(o.Siblings[i].Request); !twin {
			out.Siblings = append(out.Siblings, o.Siblings[i])
		}
	}
	if options.LastWriteWins {
		newest := slices.MaxFunc(out.Siblings, func(a, b Sibling) int {
			return cmp.Or(cmp.Compare(a.Time, b.Time), a.Dot.Compare(b.Dot))
		})
		out.Siblings = []Sibling{newest}
	}
	return out
}
