package causal

// Outcome says how a merge came out. Dots and contexts decide it, not where
// values are kept.
type Outcome uint8

// The outcomes of a merge of a with b.
const (
	// Unchanged: a has all of b. The result is a, with the values of b for
	// those that a keeps apart.
	Unchanged Outcome = iota
	// Replaced: b has all of a, and more. The result is b itself.
	Replaced
	// Merged: each has something that the other lacks; or b has more, but keeps
	// a value apart that a has, and must not replace it.
	Merged
)

// Merge returns what is known once both a and b are: a sibling survives if the
// other side has its dot too, or does not cover it (dotted version vector sets,
// Almeida et al., "Scalable and Accurate Causality Tracking for Eventually
// Consistent Stores", DAIS 2014). It is associative, commutative and
// idempotent; nothing is dropped that causality does not drop. In particular
// siblings of one request stay, see Fold.
func Merge(a, b Object) Object {
	o, _ := MergeOutcome(a, b)
	return o
}

// MergeOutcome is Merge that also says how it came out. The result may share
// its parts with a and b; a value that is apart on one side only is taken from
// the other.
func MergeOutcome(a, b Object) (Object, Outcome) {
	var lostA, lostB int     // siblings that the other side has seen replaced
	var onlyA, onlyB int     // survivors that one side has
	var both int             // survivors that both have
	var valuesA, valuesB int // of both: the value is here, and apart on the other side
	pairs(a.Siblings, b.Siblings, func(x, y *Sibling) {
		switch {
		case y == nil && b.Context.Covers(x.Dot):
			lostA++
		case y == nil:
			onlyA++
		case x == nil && a.Context.Covers(y.Dot):
			lostB++
		case x == nil:
			onlyB++
		default:
			both++
			if !x.Apart && y.Apart {
				valuesA++
			} else if x.Apart && !y.Apart {
				valuesB++
			}
		}
	})
	outcome := Merged
	switch {
	case lostA == 0 && onlyB == 0 && a.Context.Dominates(b.Context):
		if valuesB == 0 {
			return a, Unchanged
		}
		outcome = Unchanged
	case lostB == 0 && onlyA == 0 && valuesA == 0 && b.Context.Dominates(a.Context):
		return b, Replaced
	}
	out := Object{Context: a.Context.Join(b.Context)}
	if n := onlyA + onlyB + both; n > 0 {
		out.Siblings = make([]Sibling, 0, n)
	}
	pairs(a.Siblings, b.Siblings, func(x, y *Sibling) {
		switch {
		case y == nil && b.Context.Covers(x.Dot), x == nil && a.Context.Covers(y.Dot):
		case x == nil || y != nil && x.Apart:
			out.Siblings = append(out.Siblings, *y)
		default:
			out.Siblings = append(out.Siblings, *x)
		}
	})
	return out, outcome
}

// pairs calls do for each dot of a or b in order, with nil for the side that
// lacks it.
func pairs(a, b []Sibling, do func(x, y *Sibling)) {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		switch c := a[i].Dot.Compare(b[j].Dot); {
		case c < 0:
			do(&a[i], nil)
			i++
		case c > 0:
			do(nil, &b[j])
			j++
		default:
			do(&a[i], &b[j])
			i++
			j++
		}
	}
	for ; i < len(a); i++ {
		do(&a[i], nil)
	}
	for ; j < len(b); j++ {
		do(nil, &b[j])
	}
}
