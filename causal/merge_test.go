package causal_test

import (
	"testing"

	"github.com/ringd/ringd/causal"
	"pgregory.net/rapid"
)

// checkLaws holds Merge to being a join: associative, commutative, idempotent.
func checkLaws(t *rapid.T, a, b, c causal.Object) {
	ab := must(t, causal.Merge(a, b))
	if ba := causal.Merge(b, a); !same(ab, ba) {
		t.Fatalf("not commutative: %v and %v", ab, ba)
	}
	left, right := causal.Merge(ab, c), causal.Merge(a, causal.Merge(b, c))
	if !same(left, right) {
		t.Fatalf("not associative: %v and %v", left, right)
	}
	if !same(causal.Merge(a, a), a) || !same(causal.Merge(ab, a), ab) || !same(causal.Merge(b, ab), ab) {
		t.Fatalf("not idempotent")
	}
}

// naiveMerge is the definition, sibling by sibling.
func naiveMerge(a, b causal.Object) causal.Object {
	found := make(map[causal.Dot]causal.Sibling)
	has := func(o causal.Object, d causal.Dot) bool {
		for _, s := range o.Siblings {
			if s.Dot == d {
				return true
			}
		}
		return false
	}
	take := func(from, other causal.Object) {
		for _, s := range from.Siblings {
			if has(other, s.Dot) || !other.Context.Covers(s.Dot) {
				if old, ok := found[s.Dot]; !ok || old.Apart {
					found[s.Dot] = s
				}
			}
		}
	}
	take(a, b)
	take(b, a)
	out := causal.Object{Context: a.Context.Join(b.Context)}
	for _, d := range sortedDots(found) {
		out.Siblings = append(out.Siblings, found[d])
	}
	return out
}

// TestMergeOfAnyObjects draws objects that no run of writes may lead to: the
// laws hold for those too.
func TestMergeOfAnyObjects(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawObject.Draw(t, "a"), drawObject.Draw(t, "b"), drawObject.Draw(t, "c")
		before := string(causal.AppendObject(causal.AppendObject(nil, a), b))
		checkLaws(t, a, b, c)
		got, outcome := causal.MergeOutcome(a, b)
		if want := naiveMerge(a, b); !same(got, want) {
			t.Fatalf("merged to %v, by definition %v", got, want)
		}
		// By dots and contexts alone; the digest is over exactly these.
		switch like := got.Digest(); outcome {
		case causal.Unchanged:
			if like != a.Digest() {
				t.Fatalf("unchanged, but %v became %v", a, got)
			}
		case causal.Replaced:
			if !same(got, b) || like == a.Digest() {
				t.Fatalf("replaced by %v, but the result is %v", b, got)
			}
		case causal.Merged:
			if like == a.Digest() || same(got, b) {
				t.Fatalf("%v was merged into %v, which gave one of them", b, a)
			}
		}
		if string(causal.AppendObject(causal.AppendObject(nil, a), b)) != before {
			t.Fatalf("an input changed")
		}
	})
}

func TestMergeKeepsTheValueThatIsHere(t *testing.T) {
	d := causal.Dot{Actor: 1, Counter: 1}
	here := causal.Object{Context: vector(1, 1), Siblings: []causal.Sibling{{Dot: d, Value: []byte("v"), ValueSize: 1}}}
	apart := causal.Object{Context: vector(1, 1), Siblings: []causal.Sibling{{Dot: d, Apart: true, ValueSize: 1}}}
	newer := causal.Object{Context: vector(1, 1, 2, 1), Siblings: apart.Siblings}
	for name, c := range map[string]struct {
		a, b causal.Object
		want causal.Outcome
	}{
		"here on the left":          {here, apart, causal.Unchanged},
		"here on the right":         {apart, here, causal.Unchanged},
		"apart on the newer, right": {here, newer, causal.Merged},
		"apart on the newer, left":  {newer, here, causal.Unchanged},
	} {
		got, outcome := causal.MergeOutcome(c.a, c.b)
		if outcome != c.want || len(got.Siblings) != 1 || string(got.Siblings[0].Value) != "v" || got.Siblings[0].Apart {
			t.Errorf("%s: outcome %v, %+v", name, outcome, got)
		}
	}
}

func TestMergeOfDominatedObjectsAllocatesNothing(t *testing.T) {
	older := causal.Write(causal.Object{}, causal.Context{}, siblingOf(causal.Dot{Actor: 1, Counter: 1}, false))
	newer := causal.Write(older, causal.Context{Seen: older.Context}, siblingOf(causal.Dot{Actor: 2, Counter: 1}, false))
	for name, pair := range map[string][2]causal.Object{
		"unchanged": {newer, older}, "replaced": {older, newer}, "equal": {newer, newer}, "first": {{}, newer},
	} {
		if n := testing.AllocsPerRun(100, func() { causal.Merge(pair[0], pair[1]) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// droppingMerge is a merge that also drops all but the smallest of the dots that
// stand for one request, as a retry's twin would be dropped "at merge".
func droppingMerge(a, b causal.Object) causal.Object {
	return causal.Fold(causal.Merge(a, b), causal.FoldOptions{})
}

// TestDroppingTwinsInMergeDiverges is why Merge drops no twins and Fold does. A
// request x was retried at another replica: A has d1 of x, B has d2 of x. A
// client read d1 from A and wrote e over it at B, which gives C. When A and B
// meet first, d2 is dropped for d1 and then d1 for e; when B and C meet first,
// d2 stays beside e, as no dot of x is there to drop it for. Both vectors are
// equal, so no repair would ever see the difference.
func TestDroppingTwinsInMergeDiverges(t *testing.T) {
	d1, d2, e := causal.Dot{Actor: 1, Counter: 1}, causal.Dot{Actor: 2, Counter: 1}, causal.Dot{Actor: 2, Counter: 2}
	x := request(1)
	a := causal.Write(causal.Object{}, causal.Context{}, causal.Sibling{Dot: d1, Request: x})
	b := causal.Write(causal.Object{}, causal.Context{}, causal.Sibling{Dot: d2, Request: x})
	c := causal.Write(b, causal.Context{Seen: a.Context}, causal.Sibling{Dot: e, Request: request(2)})
	if dots(c) != "[2:1 2:2]" || !c.Context.Equal(vector(1, 1, 2, 2)) {
		t.Fatalf("C is %+v", c)
	}

	left := droppingMerge(droppingMerge(a, b), c)
	right := droppingMerge(a, droppingMerge(b, c))
	if dots(left) != "[2:2]" || dots(right) != "[2:1 2:2]" || !left.Context.Equal(right.Context) {
		t.Errorf("the merge that drops twins gives %v and %v: the reason for Fold is gone", left, right)
	}

	left, right = causal.Merge(causal.Merge(a, b), c), causal.Merge(a, causal.Merge(b, c))
	if !same(left, right) || dots(left) != "[2:1 2:2]" {
		t.Errorf("Merge gives %v and %v", left, right)
	}
	ab := causal.Merge(a, b)
	if folded := causal.Fold(ab, causal.FoldOptions{}); dots(ab) != "[1:1 2:1]" || dots(folded) != "[1:1]" || !folded.Context.Equal(ab.Context) {
		t.Errorf("the twins are %v, shown as %v", ab, folded)
	}
}
