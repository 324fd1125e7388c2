package causal_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/ringd/ringd/causal"
	"pgregory.net/rapid"
)

func sortedDots(m map[causal.Dot]causal.Sibling) []causal.Dot {
	return slices.SortedFunc(maps.Keys(m), causal.Dot.Compare)
}

func TestWriteReplacesWhatItsWriterKnew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o, ctx := drawObject.Draw(t, "object"), drawContext.Draw(t, "context")
		unmoved := string(causal.AppendObject(nil, o))
		fresh := func(d causal.Dot) bool { return !o.Context.Covers(d) && !ctx.Covers(d) }
		d := rapid.Custom(func(t *rapid.T) causal.Dot {
			return causal.Dot{Actor: drawActor.Draw(t, "of"), Counter: rapid.Uint64Range(1, 9).Draw(t, "counter")}
		}).Filter(fresh).Draw(t, "dot")
		got := must(t, causal.Write(o, ctx, siblingOf(d, false)))
		want := map[causal.Dot]causal.Sibling{d: {}}
		for _, s := range o.Siblings {
			if !ctx.Covers(s.Dot) {
				want[s.Dot] = s
			}
		}
		kept := make(map[causal.Dot]causal.Sibling)
		for _, s := range got.Siblings {
			kept[s.Dot] = s
		}
		if !slices.Equal(sortedDots(kept), sortedDots(want)) {
			t.Fatalf("left %v, not %v", sortedDots(kept), sortedDots(want))
		}
		if !got.Context.Equal(o.Context.Join(ctx.Seen).With(d)) {
			t.Fatalf("context %v", got.Context)
		}
		if string(causal.AppendObject(nil, o)) != unmoved {
			t.Fatalf("the object written to changed")
		}
	})
}

func TestLiveAndTombstone(t *testing.T) {
	value := causal.Sibling{Dot: causal.Dot{Actor: 1, Counter: 1}}
	tombstone := causal.Sibling{Dot: causal.Dot{Actor: 2, Counter: 1}, Tombstone: true}
	for name, c := range map[string]struct {
		siblings        []causal.Sibling
		live, tombstone bool
	}{
		"never written":    {nil, false, false},
		"value":            {[]causal.Sibling{value}, true, false},
		"deleted":          {[]causal.Sibling{tombstone}, false, true},
		"value and delete": {[]causal.Sibling{value, tombstone}, true, false},
	} {
		o := causal.Object{Context: vector(1, 1, 2, 1), Siblings: c.siblings}
		if o.Live() != c.live || o.IsTombstone() != c.tombstone {
			t.Errorf("%s: live %v, tombstone %v", name, o.Live(), o.IsTombstone())
		}
	}
}

func TestHasRequest(t *testing.T) {
	o := causal.Object{Context: vector(1, 2, 2, 1), Siblings: []causal.Sibling{
		{Dot: causal.Dot{Actor: 1, Counter: 1}},
		{Dot: causal.Dot{Actor: 1, Counter: 2}, Request: request(7)},
		{Dot: causal.Dot{Actor: 2, Counter: 1}, Request: request(7)},
	}}
	if d, ok := o.HasRequest(request(7)); !ok || d != (causal.Dot{Actor: 1, Counter: 2}) {
		t.Errorf("found %v, %v", d, ok)
	}
	for _, r := range []causal.RequestID{{}, request(8)} {
		if d, ok := o.HasRequest(r); ok {
			t.Errorf("request %v found at %v", r, d)
		}
	}
}

func TestDigestTellsContextsAndDotsApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawObject.Draw(t, "a"), drawObject.Draw(t, "b")
		equal := a.Context.Equal(b.Context) && dots(a) == dots(b)
		if got := a.Digest() == b.Digest(); got != equal {
			t.Fatalf("digests equal: %v, of %v and %v", got, a, b)
		}
	})
}

func TestObjectCheck(t *testing.T) {
	good := func() causal.Object {
		return causal.Object{Context: vector(1, 2, 2, 1), Siblings: []causal.Sibling{
			{Dot: causal.Dot{Actor: 1, Counter: 2}, Value: []byte("v"), ValueSize: 1, Meta: []causal.Meta{{Key: "a"}, {Key: "b"}}},
			{Dot: causal.Dot{Actor: 2, Counter: 1}, Apart: true, ValueSize: 1 << 20},
		}}
	}
	must(t, good())
	must(t, causal.Object{})
	for name, spoil := range map[string]func(o *causal.Object){
		"context":        func(o *causal.Object) { o.Context = vector(2, 1, 1, 2) },
		"no actor":       func(o *causal.Object) { o.Siblings[0].Dot.Actor = 0 },
		"no counter":     func(o *causal.Object) { o.Siblings[0].Dot.Counter = 0 },
		"uncovered":      func(o *causal.Object) { o.Siblings[1].Dot.Counter = 2 },
		"order":          func(o *causal.Object) { slices.Reverse(o.Siblings) },
		"dot twice":      func(o *causal.Object) { o.Siblings[1].Dot = o.Siblings[0].Dot },
		"apart and here": func(o *causal.Object) { o.Siblings[1].Value = []byte{} },
		"apart, deleted": func(o *causal.Object) { o.Siblings[1].Tombstone = true },
		"size":           func(o *causal.Object) { o.Siblings[0].ValueSize = 2 },
		"size below 0":   func(o *causal.Object) { o.Siblings[1].ValueSize = -1 },
		"size huge":      func(o *causal.Object) { o.Siblings[1].ValueSize = 1 << 31 },
		"expiry":         func(o *causal.Object) { o.Siblings[0].Expiry = -1 },
		"tombstone":      func(o *causal.Object) { o.Siblings[0].Tombstone = true },
		"metadata order": func(o *causal.Object) { slices.Reverse(o.Siblings[0].Meta) },
		"metadata twice": func(o *causal.Object) { o.Siblings[0].Meta[1].Key = "a" },
	} {
		o := good()
		spoil(&o)
		if o.Check() == nil {
			t.Errorf("%s: accepted %+v", name, o)
		}
		if _, err := causal.DecodeObject(causal.AppendObject(nil, o)); err == nil && name != "apart and here" {
			t.Errorf("%s: its encoding is accepted", name)
		}
	}
}
