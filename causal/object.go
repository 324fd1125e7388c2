package causal

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Outcome says how a merge came out.
type Outcome uint8

// The outcomes of a merge of a with b.
const (
	// Unchanged: a has all of b.
	Unchanged Outcome = iota
	// Replaced: b has all of a, and more.
	Replaced
	// Merged: each has something that the other lacks.
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
	out := Object{Context: a.Context.Join(b.Context)}
	if n := max(len(a.Siblings), len(b.Siblings)); n > 0 {
		out.Siblings = make([]Sibling, 0, n)
	}
	onlyA, onlyB, both := 0, 0, 0 // siblings of the result, by where they come from
	i, j := 0, 0
	for i < len(a.Siblings) || j < len(b.Siblings) {
		switch {
		case j == len(b.Siblings) || (i < len(a.Siblings) && a.Siblings[i].Dot.Compare(b.Siblings[j].Dot) < 0):
			if s := a.Siblings[i]; !b.Context.Covers(s.Dot) {
				out.Siblings = append(out.Siblings, s)
				onlyA++
			}
			i++
		case i == len(a.Siblings) || a.Siblings[i].Dot.Compare(b.Siblings[j].Dot) > 0:
			if s := b.Siblings[j]; !a.Context.Covers(s.Dot) {
				out.Siblings = append(out.Siblings, s)
				onlyB++
			}
			j++
		default:
			out.Siblings = append(out.Siblings, withValue(a.Siblings[i], b.Siblings[j]))
			both++
			i++
			j++
		}
	}
	switch {
	case onlyB == 0 && onlyA+both == len(a.Siblings) && a.Context.Dominates(b.Context):
		return out, Unchanged
	case onlyA == 0 && onlyB+both == len(b.Siblings) && b.Context.Dominates(a.Context):
		return out, Replaced
	}
	return out, Merged
}

func withValue(a, b Sibling) Sibling {
	if a.Apart {
		return b
	}
	return a
}

// Write returns o after a write of s, whose dot is new, by someone who knew ctx:
// siblings that ctx covers are gone, others stay beside s.
func Write(o Object, ctx Vector, s Sibling) Object {
	out := Object{Context: o.Context.Join(ctx).With(s.Dot)}
	for _, old := range o.Siblings {
		if !ctx.Covers(old.Dot) {
			out.Siblings = append(out.Siblings, old)
		}
	}
	i, _ := slices.BinarySearchFunc(out.Siblings, s.Dot, func(s Sibling, d Dot) int { return s.Dot.Compare(d) })
	out.Siblings = slices.Insert(out.Siblings, i, s)
	return out
}

// Live reports whether o has a value that is no tombstone.
func (o Object) Live() bool {
	return slices.ContainsFunc(o.Siblings, func(s Sibling) bool { return !s.Tombstone })
}

// HasRequest returns the dot under which a live sibling of request stands. The
// zero request is nobody's.
func (o Object) HasRequest(request RequestID) (Dot, bool) {
	if request == (RequestID{}) {
		return Dot{}, false
	}
	for _, s := range o.Siblings {
		if s.Request == request {
			return s.Dot, true
		}
	}
	return Dot{}, false
}

// Digest is equal for equal objects, and different, but for a chance of 2^-64,
// for others: xxh64 over the context and the siblings' dots.
func (o Object) Digest() uint64 {
	var space [256]byte
	b := AppendVector(space[:0], o.Context)
	for _, s := range o.Siblings {
		b = binary.BigEndian.AppendUint64(b, uint64(s.Dot.Actor))
		b = binary.BigEndian.AppendUint64(b, s.Dot.Counter)
	}
	return xxhash.Sum64(b)
}

// Check returns an error if the invariants of Object don't hold.
func (o Object) Check() error {
	if err := o.Context.Check(); err != nil {
		return err
	}
	for i, s := range o.Siblings {
		switch {
		case s.Dot.Actor == 0 || s.Dot.Counter == 0:
			return fmt.Errorf("object: a sibling without a dot")
		case i > 0 && o.Siblings[i-1].Dot.Compare(s.Dot) >= 0:
			return fmt.Errorf("object: siblings out of order at dot %v", s.Dot)
		case !o.Context.Covers(s.Dot):
			return fmt.Errorf("object: the context does not cover its sibling %v", s.Dot)
		case s.Apart && (s.Tombstone || s.Value != nil):
			return fmt.Errorf("object: sibling %v has no value to keep apart, or has it here too", s.Dot)
		case !s.Apart && s.ValueSize != len(s.Value):
			return fmt.Errorf("object: sibling %v of %d bytes says that it has %d", s.Dot, len(s.Value), s.ValueSize)
		case s.Tombstone && len(s.Value) > 0:
			return fmt.Errorf("object: tombstone %v has a value", s.Dot)
		case !slices.IsSortedFunc(s.Meta, func(a, b Meta) int { return compareStrings(a.Key, b.Key) }):
			return fmt.Errorf("object: metadata of %v out of order", s.Dot)
		}
	}
	return nil
}
