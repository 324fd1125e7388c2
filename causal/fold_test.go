package causal_test

import (
	"math"
	"testing"

	"github.com/ringd/ringd/causal"
	"pgregory.net/rapid"
)

func TestFoldOfAnyObject(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o, other := drawObject.Draw(t, "object"), drawObject.Draw(t, "other")
		before := string(causal.AppendObject(nil, o))
		for _, options := range []causal.FoldOptions{{}, {LastWriteWins: true}, {Now: 4}, {LastWriteWins: true, Now: 4}, {Now: math.MaxInt64}} {
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
			if len(got.Siblings) == 0 && len(o.Siblings) > 0 && options.Now == 0 {
				t.Fatalf("%+v: nothing is left of %v", options, o)
			}
			if got.Live() && !o.LiveAt(options.Now) {
				t.Fatalf("%+v: what is shown of %v has a value: %v", options, o, got.Live())
			}
			checkFolded(t, o, got, options)
		}
		if string(causal.AppendObject(nil, o)) != before {
			t.Fatalf("the object changed")
		}
		// What a client was shown, it replaces with all that was folded away.
		next := causal.Dot{Actor: 4, Counter: 1}
		if w := causal.Write(o, causal.Context{Seen: causal.Fold(o, causal.FoldOptions{}).Context}, siblingOf(next, false)); len(w.Siblings) != 1 {
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
	isGone := func(s causal.Sibling) bool { return s.Expiry != 0 && s.Expiry <= options.Now }
	// Which sibling of a request counts: the first, of those that are not gone.
	isTwin := func(s causal.Sibling) bool {
		for _, first := range o.Siblings {
			if first.Dot.Compare(s.Dot) < 0 && first.Request == s.Request && s.Request != (causal.RequestID{}) &&
				(options.LastWriteWins || !isGone(first)) {
				return true
			}
		}
		return false
	}
	for _, s := range o.Siblings {
		beaten := isTwin(s) || isGone(s)
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

// TestFoldExpired: the instant itself is past; what the newest value replaced
// does not come back when that expires; a deletion is shown unless it expires itself.
func TestFoldExpired(t *testing.T) {
	at := func(counter, expiry uint64, tombstone bool) causal.Sibling {
		return causal.Sibling{Dot: causal.Dot{Actor: 1, Counter: counter}, Time: causal.HLC(counter), Expiry: int64(expiry), Tombstone: tombstone}
	}
	old, expiring, deletion, swept := at(1, 0, false), at(2, 100, false), at(3, 0, true), at(3, 1, true)
	for _, c := range []struct {
		siblings []causal.Sibling
		options  causal.FoldOptions
		want     string
	}{
		{[]causal.Sibling{expiring}, causal.FoldOptions{Now: 99}, "[1:2]"},
		{[]causal.Sibling{expiring}, causal.FoldOptions{Now: 100}, "[]"},
		{[]causal.Sibling{expiring}, causal.FoldOptions{}, "[1:2]"},
		{[]causal.Sibling{old, expiring}, causal.FoldOptions{Now: 100}, "[1:1]"},
		{[]causal.Sibling{old, expiring}, causal.FoldOptions{Now: 100, LastWriteWins: true}, "[]"},
		{[]causal.Sibling{expiring, deletion}, causal.FoldOptions{Now: 100}, "[1:3]"},
		{[]causal.Sibling{old, swept}, causal.FoldOptions{Now: 100}, "[1:1]"},
		{[]causal.Sibling{old, swept}, causal.FoldOptions{Now: 100, LastWriteWins: true}, "[1:1]"},
		{[]causal.Sibling{old, deletion}, causal.FoldOptions{Now: 100, LastWriteWins: true}, "[1:3]"},
		{[]causal.Sibling{swept}, causal.FoldOptions{Now: 100}, "[]"},
	} {
		o := causal.Object{Context: causal.Vector{{Actor: 1, Counter: 3}}, Siblings: c.siblings}
		if got := dots(causal.Fold(o, c.options)); got != c.want {
			t.Errorf("%v with %+v: %v, want %v", dots(o), c.options, got, c.want)
		}
		if len(o.Siblings) != len(c.siblings) || !o.Context.Equal(causal.Fold(o, c.options).Context) {
			t.Errorf("%+v: the object or its context changed", c.options)
		}
	}
}
