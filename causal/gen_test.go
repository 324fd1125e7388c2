package causal_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/ringd/ringd/causal"
	"pgregory.net/rapid"
)

// few actors and low counters, so that drawn dots meet.
var (
	drawActor = rapid.Custom(func(t *rapid.T) causal.Actor {
		return rapid.SampledFrom([]causal.Actor{1, 2, 3, 1 << 40, 1<<64 - 1}).Draw(t, "actor")
	})
	drawVector = rapid.Custom(func(t *rapid.T) causal.Vector {
		var v causal.Vector
		for a, n := range rapid.MapOfN(drawActor, rapid.Uint64Range(1, 5), 0, 5).Draw(t, "entries") {
			v = append(v, causal.Entry{Actor: a, Counter: n})
		}
		slices.SortFunc(v, func(x, y causal.Entry) int {
			return causal.Dot{Actor: x.Actor}.Compare(causal.Dot{Actor: y.Actor})
		})
		return v
	})
	drawContext = rapid.Custom(func(t *rapid.T) causal.Context {
		return causal.Context{Seen: drawVector.Draw(t, "seen"), Own: drawVector.Draw(t, "own")}
	})
	drawDot = rapid.Custom(func(t *rapid.T) causal.Dot {
		return causal.Dot{Actor: drawActor.Draw(t, "of"), Counter: rapid.Uint64Range(1, 5).Draw(t, "counter")}
	})
	// drawObject draws any object that Check accepts, reachable by writes or not.
	drawObject = rapid.Custom(func(t *rapid.T) causal.Object {
		dots := rapid.SliceOfNDistinct(drawDot, 0, 6, rapid.ID[causal.Dot]).Draw(t, "dots")
		slices.SortFunc(dots, causal.Dot.Compare)
		o := causal.Object{Context: drawVector.Draw(t, "context")}
		for _, d := range dots {
			o.Context = o.Context.With(d)
			o.Siblings = append(o.Siblings, siblingOf(d, rapid.Bool().Draw(t, "apart")))
		}
		return o
	})
)

// siblingOf is the sibling that d names: all but where its value is kept follows
// from the dot, as it does in a cluster.
func siblingOf(d causal.Dot, apart bool) causal.Sibling {
	n := uint64(d.Actor)%7 + d.Counter
	s := causal.Sibling{Dot: d, Time: causal.HLC(n % 3), Request: request(n % 5)}
	if n%4 == 0 {
		s.Tombstone = true
		return s
	}
	value := []byte("value of " + d.String())
	s.ValueSize = len(value)
	s.ContentType = "text/plain"
	s.Expiry = int64(n)
	for i := range n % 3 {
		s.Meta = append(s.Meta, causal.Meta{Key: fmt.Sprint("k", i), Value: d.String()})
	}
	if apart {
		s.Apart = true
	} else {
		s.Value = value
	}
	return s
}

// request names a request; zero is none.
func request(n uint64) causal.RequestID { return causal.RequestID{15: byte(n)} }

// must fails the test when an object breaks an invariant.
func must(t interface{ Fatalf(string, ...any) }, o causal.Object) causal.Object {
	if err := o.Check(); err != nil {
		t.Fatalf("%v: %+v", err, o)
	}
	return o
}

// same compares all of two objects, values too.
func same(a, b causal.Object) bool {
	return string(causal.AppendObject(nil, a)) == string(causal.AppendObject(nil, b))
}

// dots of the siblings, as text.
func dots(o causal.Object) string {
	var out []string
	for _, s := range o.Siblings {
		out = append(out, s.Dot.String())
	}
	return fmt.Sprint(out)
}

func vector(pairs ...uint64) causal.Vector {
	var v causal.Vector
	for i := 0; i < len(pairs); i += 2 {
		v = append(v, causal.Entry{Actor: causal.Actor(pairs[i]), Counter: pairs[i+1]})
	}
	return v
}

func TestDotsAreOrderedByActorThenCounter(t *testing.T) {
	ordered := []causal.Dot{{Actor: 1, Counter: 9}, {Actor: 2, Counter: 1}, {Actor: 2, Counter: 2}, {Actor: 1<<64 - 1, Counter: 1}}
	for i, a := range ordered {
		for j, b := range ordered {
			if got, want := a.Compare(b) < 0, i < j; got != want {
				t.Errorf("%v before %v is %v", a, b, got)
			}
		}
		if a.Compare(a) != 0 {
			t.Errorf("%v is not equal to itself", a)
		}
	}
	if got := (causal.Dot{Actor: 255, Counter: 10}).String(); got != "ff:10" {
		t.Errorf("String is %q", got)
	}
}
