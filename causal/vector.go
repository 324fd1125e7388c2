package causal

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Compare orders dots by actor, then counter.
func (d Dot) Compare(other Dot) int {
	if c := cmp.Compare(d.Actor, other.Actor); c != 0 {
		return c
	}
	return cmp.Compare(d.Counter, other.Counter)
}

// String returns "actor:counter", the actor in hex.
func (d Dot) String() string { return fmt.Sprintf("%x:%d", uint64(d.Actor), d.Counter) }

// Get returns the highest counter of actor that is covered, zero if none is.
func (v Vector) Get(actor Actor) uint64 {
	// Vectors are short: an entry for each owner that wrote.
	for _, e := range v {
		if e.Actor == actor {
			return e.Counter
		}
	}
	return 0
}

// Covers reports whether d, a dot with a counter of at least 1, was merged into
// what v stands for.
func (v Vector) Covers(d Dot) bool { return v.Get(d.Actor) >= d.Counter }

// Clone returns a copy that shares nothing.
func (v Vector) Clone() Vector { return slices.Clone(v) }

// Equal reports whether v and other cover the same dots.
func (v Vector) Equal(other Vector) bool { return slices.Equal(v, other) }

// Dominates reports whether v covers all that other does.
func (v Vector) Dominates(other Vector) bool {
	i := 0
	for _, e := range other {
		for i < len(v) && v[i].Actor < e.Actor {
			i++
		}
		if i == len(v) || v[i].Actor != e.Actor || v[i].Counter < e.Counter {
			return false
		}
	}
	return true
}

// Order is how two vectors relate.
type Order uint8

// The ways in which two vectors relate.
const (
	Equal Order = iota
	Before
	After
	Concurrent
)

// Compare says whether v is equal to, before, after or concurrent with other.
func (v Vector) Compare(other Vector) Order {
	more, less := v.Dominates(other), other.Dominates(v)
	switch {
	case more && less:
		return Equal
	case more:
		return After
	case less:
		return Before
	}
	return Concurrent
}

// Join returns the least vector that dominates both. The result may share
// either; vectors are not changed.
func (v Vector) Join(other Vector) Vector {
	switch v.Compare(other) {
	case Equal, After:
		return v
	case Before:
		return other
	}
	out := make(Vector, 0, len(v)+len(other))
	i, j := 0, 0
	for i < len(v) && j < len(other) {
		switch a, b := v[i], other[j]; {
		case a.Actor < b.Actor:
			out = append(out, a)
			i++
		case a.Actor > b.Actor:
			out = append(out, b)
			j++
		default:
			out = append(out, Entry{a.Actor, max(a.Counter, b.Counter)})
			i++
			j++
		}
	}
	out = append(out, v[i:]...)
	return append(out, other[j:]...)
}

// With returns v joined with the vector of d alone. The result may share v.
func (v Vector) With(d Dot) Vector {
	if v.Covers(d) {
		return v
	}
	i, found := slices.BinarySearchFunc(v, d.Actor, func(e Entry, a Actor) int { return cmp.Compare(e.Actor, a) })
	out := append(make(Vector, 0, len(v)+1), v...)
	if found {
		out[i].Counter = d.Counter
		return out
	}
	return slices.Insert(out, i, Entry(d))
}

// Check returns an error if the invariants of Vector don't hold.
func (v Vector) Check() error {
	for i, e := range v {
		if e.Actor == 0 || e.Counter == 0 {
			return errors.New("vector: an entry without actor or counter")
		}
		if i > 0 && v[i-1].Actor >= e.Actor {
			return errors.New("vector: actors out of order")
		}
	}
	return nil
}
