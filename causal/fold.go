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
	// Now, in Unix milliseconds, leaves out what has expired by then; 0 leaves
	// all. Whoever shows an object takes it from one clock, once a request: what
	// an owner's clock says plays no part in which owners agree.
	Now int64
}

// Fold returns o as a client sees it: with LastWriteWins only the newest sibling
// is left; those that have expired, tombstones too, are gone; and siblings that stand for one
// request count once, the one with the smallest dot. The context stays, so that a
// write with it replaces all of them. The result may share o's parts.
//
// The newest is chosen before any has expired, because it was meant to replace
// the others: when it expires, none of them comes back.
//
// This is done where an object is shown and not in Merge, because dropping a
// sibling that causality keeps is not associative: it depends on which replicas
// met first, and leaves replicas with equal vectors and different siblings, for
// ever. (TestDroppingTwinsInMergeDiverges)
func Fold(o Object, options FoldOptions) Object {
	shown := o.Siblings
	if options.LastWriteWins && len(shown) > 1 {
		shown = newest(distinct(shown))
	}
	expired := func(s Sibling) bool { return s.Expired(options.Now) }
	if slices.ContainsFunc(shown, expired) {
		shown = slices.DeleteFunc(slices.Clone(shown), expired)
	}
	if len(shown) > 1 {
		shown = distinct(shown)
	}
	return Object{Context: o.Context, Siblings: shown}
}

// distinct leaves out siblings whose request has one with a smaller dot.
func distinct(siblings []Sibling) []Sibling {
	out := Object{Siblings: make([]Sibling, 0, len(siblings))}
	for i := range siblings {
		if _, twin := out.HasRequest(siblings[i].Request); !twin {
			out.Siblings = append(out.Siblings, siblings[i])
		}
	}
	return out.Siblings
}

// newest leaves the sibling with the highest timestamp, the higher dot among
// equals. Tombstones that expire are nobody's last word: what they deleted had
// expired, and is covered.
func newest(siblings []Sibling) []Sibling {
	rank := func(s Sibling) int {
		if s.Tombstone && s.Expiry != 0 {
			return 0
		}
		return 1
	}
	return []Sibling{slices.MaxFunc(siblings, func(a, b Sibling) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Time, b.Time), a.Dot.Compare(b.Dot))
	})}
}

// Expired reports whether s is no longer shown at now, in Unix milliseconds.
func (s *Sibling) Expired(now int64) bool { return s.Expiry != 0 && s.Expiry <= now }

// LiveAt reports whether o has a value, that is no tombstone, which has not
// expired at now, in Unix milliseconds.
func (o Object) LiveAt(now int64) bool {
	return slices.ContainsFunc(o.Siblings, func(s Sibling) bool { return !s.Tombstone && !s.Expired(now) })
}
