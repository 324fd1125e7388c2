package causal_test

import (
	"testing"

	"github.com/ringd/ringd/causal"
	"pgregory.net/rapid"
)

func TestFoldOfAnyObject(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o, other := drawObject.Draw(t, "object"), drawObject.Draw(t, "other")
		before := string(causal.AppendObject(nil, o))
		for _, options := range []causal.FoldOptions{{}, {LastWriteWins: true}} {
			got := must(t, causal.Fold(o, options))
			if !got.Context.Equal(o.Context) {
				t.Fatalf("%+v: the context became %v", options, got.Context)
			}
			if !same(causal.Fold(got, options), got) {
				t.Fatalf("%+v: folding twice gives something else", options)
			}
			if !same(causal.Fold(causal.Merge(o, other), options), causal.Fold(causal.Merge(other, o), options)) {
				t.Fatalf("%+v: what is shown depends on the order of merging", options)
			}
			if (len(got.Siblings) == 0) != (len(o.Siblings) == 0) {
				t.Fatalf("%+v: nothing is left of %v", options, o)
			}
			checkFolded(t, o, got, options)
		}
		if string(causal.AppendObject(nil, o)) != before {
			t.Fatalf("the object changed")
		}
		// What a client was shown, it replaces with all that was folded away.
		next := causal.Dot{Actor: 4, Counter: 1}
		if w := causal.Write(o, causal.Fold(o, causal.FoldOptions{}).Context, siblingOf(next, false)); len(w.Siblings) != 1 {
			t.Fatalf("a write with the context shown leaves %v", dots(w))
		}
	})
}

// checkFolded holds each sibling, shown or not, to the rules of Fold.
func checkFolded(t *rapid.T, o, got causal.Object, options causal.FoldOptions) {
	shown := make(map[causal.Dot]bool)
	for _, s := range got.Siblings {
		shown[s.Dot] = true
	}
	isTwin := func(s causal.Sibling) bool {
		first, ok := o.HasRequest(s.Request)
		return ok && first != s.Dot
	}
	for _, s := range o.Siblings {
		beaten := isTwin(s)
		for _, other := range o.Siblings {
			if options.LastWriteWins && !isTwin(other) &&
				(other.Time > s.Time || other.Time == s.Time && other.Dot.Compare(s.Dot) > 0) {
				beaten = true
			}
		}
		if shown[s.Dot] == beaten {
			t.Fatalf("%+v of %v: %v is shown: %v", options, o, s.Dot, shown[s.Dot])
		}
	}
}
