package causal_test

import (
	"slices"
	"testing"

	"github.com/ringd/ringd/causal"
	"pgregory.net/rapid"
)

// covered is the naive model of a vector: the set of the dots that it covers.
func covered(v causal.Vector) map[causal.Dot]bool {
	set := make(map[causal.Dot]bool)
	for _, e := range v {
		for n := uint64(1); n <= e.Counter; n++ {
			set[causal.Dot{Actor: e.Actor, Counter: n}] = true
		}
	}
	return set
}

func subset(a, b map[causal.Dot]bool) bool {
	for d := range a {
		if !b[d] {
			return false
		}
	}
	return true
}

func TestVectorAgainstSetsOfDots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, d := drawVector.Draw(t, "a"), drawVector.Draw(t, "b"), drawDot.Draw(t, "d")
		aWas, bWas := a.Clone(), b.Clone()
		inA, inB := covered(a), covered(b)

		if got := a.Covers(d); got != inA[d] {
			t.Fatalf("%v covers %v: %v", a, d, got)
		}
		more, less := subset(inB, inA), subset(inA, inB)
		if got := a.Dominates(b); got != more {
			t.Fatalf("%v dominates %v: %v", a, b, got)
		}
		want := causal.Concurrent
		switch {
		case more && less:
			want = causal.Equal
		case more:
			want = causal.After
		case less:
			want = causal.Before
		}
		if got := a.Compare(b); got != want || a.Equal(b) != (want == causal.Equal) {
			t.Fatalf("%v compared with %v: %v, equal %v", a, b, got, a.Equal(b))
		}

		join, with := a.Join(b), a.With(d)
		for _, v := range []causal.Vector{join, with} {
			if err := v.Check(); err != nil {
				t.Fatal(err)
			}
		}
		both := covered(b)
		for x := range inA {
			both[x] = true
		}
		if in := covered(join); !subset(in, both) || !subset(both, in) {
			t.Fatalf("%v joined with %v: %v", a, b, join)
		}
		if one := (causal.Vector{causal.Entry(d)}); !with.Equal(a.Join(one)) {
			t.Fatalf("%v with %v: %v", a, d, with)
		}
		if !a.Equal(aWas) || !b.Equal(bWas) {
			t.Fatalf("an input changed")
		}
	})
}

func TestJoinLeavesSharedVectorsAlone(t *testing.T) {
	// Room behind the entries would be written to by a careless append.
	v := append(make(causal.Vector, 0, 8), vector(1, 1, 5, 1)...)
	x, y := v.With(causal.Dot{Actor: 9, Counter: 1}), v.With(causal.Dot{Actor: 3, Counter: 7})
	v.With(causal.Dot{Actor: 5, Counter: 9})
	v.Join(vector(7, 7))
	if !x.Equal(vector(1, 1, 5, 1, 9, 1)) || !y.Equal(vector(1, 1, 3, 7, 5, 1)) || !v.Equal(vector(1, 1, 5, 1)) {
		t.Errorf("got %v and %v of %v", x, y, v)
	}
}

func TestVectorCheck(t *testing.T) {
	for name, v := range map[string]causal.Vector{
		"no actor":     vector(0, 1),
		"no counter":   vector(1, 0),
		"twice":        vector(1, 1, 1, 2),
		"out of order": vector(2, 1, 1, 1),
	} {
		if v.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := vector(1, 1, 2, 1).Check(); err != nil {
		t.Error(err)
	}
	if !slices.Equal(causal.Vector(nil).Join(nil), nil) || causal.Vector(nil).Get(1) != 0 {
		t.Error("a nil vector covers something")
	}
}
