package causal

import "slices"

// Receive merges what arrives into what a vnode has of a key. Have, or its
// absence, counts as if its context included seen: the vnode has merged every
// dot up to there, so one that it covers and that is not live in have was
// overwritten or deleted, and stays so, though nothing else remembers it (the
// node clock of DottedDB, Goncalves et al., "DottedDB: Anti-Entropy without
// Merkle Trees, Deletes without Tombstones", SRDS 2017). Seen is in no result.
//
// The outcome is as MergeOutcome's, but for this: Replaced says that the result
// is incoming as it came. A result without siblings whose context seen covers
// needs no record.
func Receive(have Object, seen Vector, incoming Object) (Object, Outcome) {
	dropped := 0
	for i := range incoming.Siblings {
		if isGone(have, seen, incoming.Siblings[i].Dot) {
			dropped++
		}
	}
	if dropped == 0 && (len(incoming.Siblings) > 0 || len(have.Context) > 0) {
		return MergeOutcome(have, incoming)
	}
	kept := Object{Context: incoming.Context, Siblings: make([]Sibling, 0, len(incoming.Siblings)-dropped)}
	for _, s := range incoming.Siblings {
		if !isGone(have, seen, s.Dot) {
			kept.Siblings = append(kept.Siblings, s)
		}
	}
	if len(have.Context) == 0 && len(kept.Siblings) == 0 && seen.Dominates(kept.Context) {
		return have, Unchanged
	}
	out, outcome := MergeOutcome(have, kept)
	if outcome == Replaced && dropped > 0 {
		outcome = Merged
	}
	return out, outcome
}

func isGone(have Object, seen Vector, d Dot) bool { return seen.Covers(d) && !have.HasDot(d) }

// Vouch returns o, which a vnode with the given seen has of a key, as it is sent
// to one that has other: with those of other's dots in its context that seen
// covers and o lacks, for they were overwritten or deleted. What may be left of
// a deletion on either side is let be: both will forget it.
func (o Object) Vouch(seen Vector, other Object) Object {
	if !o.Live() && !other.Live() {
		return o
	}
	for _, s := range other.Siblings {
		if isGone(o, seen, s.Dot) {
			o.Context = o.Context.With(s.Dot)
		}
	}
	return o
}

// Forgettable reports whether a vnode with the given seen keeps what it has of
// o's key without a record: there is no value, and all that was deleted is
// covered.
func (o Object) Forgettable(seen Vector) bool { return !o.Live() && seen.Dominates(o.Context) }

// Header returns o with its values kept apart: what is needed to compare it.
func (o Object) Header() Object {
	out := Object{Context: o.Context, Siblings: slices.Clone(o.Siblings)}
	for i := range out.Siblings {
		if s := &out.Siblings[i]; !s.Tombstone {
			s.Apart, s.Value = true, nil
		}
	}
	return out
}

// HasDot reports whether a sibling of o has the dot d.
func (o Object) HasDot(d Dot) bool {
	return slices.ContainsFunc(o.Siblings, func(s Sibling) bool { return s.Dot == d })
}
