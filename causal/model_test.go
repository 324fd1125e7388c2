package causal_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/ringd/ringd/causal"
	"pgregory.net/rapid"
)

// event is one write of the model, with all that its writer had seen.
type event struct {
	dot     causal.Dot
	seen    history
	deletes bool
}

// history is a set of events: the naive model of an object, without vectors.
type history map[*event]bool

func (h history) with(others ...history) history {
	out := maps.Clone(h)
	for _, o := range others {
		maps.Copy(out, o)
	}
	return out
}

// live returns the dots of the known events that no known event had seen.
func (h history) live() []causal.Dot {
	var out []causal.Dot
	for e := range h {
		replaced := false
		for other := range h {
			replaced = replaced || other.seen[e]
		}
		if !replaced {
			out = append(out, e.dot)
		}
	}
	slices.SortFunc(out, causal.Dot.Compare)
	return out
}

// context returns, per actor, the highest counter known.
func (h history) context() map[causal.Actor]uint64 {
	out := make(map[causal.Actor]uint64)
	for e := range h {
		out[e.dot.Actor] = max(out[e.dot.Actor], e.dot.Counter)
	}
	return out
}

// state is what one replica, message or read has: the object beside its model.
type state struct {
	object causal.Object
	model  history
}

func (s state) check(t *rapid.T, what string) {
	must(t, s.object)
	var got []causal.Dot
	for _, x := range s.object.Siblings {
		got = append(got, x.Dot)
	}
	if want := s.model.live(); !slices.Equal(got, want) {
		t.Fatalf("%s: siblings %v, the model has %v", what, got, want)
	}
	context := make(map[causal.Actor]uint64)
	for _, e := range s.object.Context {
		context[e.Actor] = e.Counter
	}
	if want := s.model.context(); !maps.Equal(context, want) {
		t.Fatalf("%s: context %v, the model has %v", what, s.object.Context, want)
	}
	for _, x := range s.object.Siblings {
		for e := range s.model {
			if e.dot == x.Dot && e.deletes != x.Tombstone {
				t.Fatalf("%s: sibling %v is a tombstone: %v", what, x.Dot, x.Tombstone)
			}
		}
	}
}

// world is a few replicas of one key and every state that one of them was ever
// in: a message or a client's read is any of those, at any later time, any
// number of times.
type world struct {
	replicas []state
	actors   []causal.Actor
	counters map[causal.Actor]uint64
	past     []state
	requests uint64
}

func newWorld(t *rapid.T) *world {
	w := &world{counters: make(map[causal.Actor]uint64), past: []state{{model: history{}}}}
	for range rapid.IntRange(1, 4).Draw(t, "replicas") {
		w.replicas = append(w.replicas, state{model: history{}})
		w.actors = append(w.actors, w.newActor(t))
	}
	return w
}

// newActor draws a number that was never drawn, in no order.
func (w *world) newActor(t *rapid.T) causal.Actor {
	unused := func(n uint64) bool { _, used := w.counters[causal.Actor(n)]; return !used }
	a := causal.Actor(rapid.Uint64Range(1, 1000).Filter(unused).Draw(t, "actor"))
	w.counters[a] = 0
	return a
}

func (w *world) replica(t *rapid.T) int {
	return rapid.IntRange(0, len(w.replicas)-1).Draw(t, "replica")
}

func (w *world) anyPast(t *rapid.T) state {
	return w.past[rapid.IntRange(0, len(w.past)-1).Draw(t, "past state")]
}

func (w *world) set(t *rapid.T, r int, s state) {
	w.replicas[r] = s
	w.past = append(w.past, s)
	s.check(t, "after a change")
}

// write is by a client that read the given state.
func (w *world) write(t *rapid.T, read state, deletes bool) {
	r := w.replica(t)
	a := w.actors[r]
	// The counter is shared with other keys, so it has gaps here.
	w.counters[a] += rapid.Uint64Range(1, 3).Draw(t, "step")
	e := &event{dot: causal.Dot{Actor: a, Counter: w.counters[a]}, seen: read.model, deletes: deletes}
	s := causal.Sibling{Dot: e.dot, Tombstone: deletes, Request: request(w.requests%3 + 1)}
	w.requests++
	before := w.replicas[r]
	w.set(t, r, state{
		object: causal.Write(before.object, causal.Context{Seen: read.object.Context}, s),
		model:  before.model.with(read.model, history{e: true}),
	})
}

func (w *world) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"put":       func(t *rapid.T) { w.write(t, w.anyPast(t), false) },
		"blind put": func(t *rapid.T) { w.write(t, state{model: history{}}, false) },
		"delete":    func(t *rapid.T) { w.write(t, w.anyPast(t), true) },
		"put over a merged read": func(t *rapid.T) {
			a, b := w.anyPast(t), w.anyPast(t)
			w.write(t, state{object: causal.Merge(a.object, b.object), model: a.model.with(b.model)}, false)
		},
		"message": func(t *rapid.T) {
			r, m := w.replica(t), w.anyPast(t)
			before := w.replicas[r]
			after, outcome := causal.MergeOutcome(before.object, m.object)
			s := state{object: after, model: before.model.with(m.model)}
			want := causal.Merged
			switch len(s.model) {
			case len(before.model):
				want = causal.Unchanged
			case len(m.model):
				want = causal.Replaced
			}
			if outcome != want {
				t.Fatalf("merging %v into %v is %v, the model says %v", m.object, before.object, outcome, want)
			}
			w.set(t, r, s)
		},
		"crash": func(t *rapid.T) {
			// What was not durable is gone: any earlier state is left, be it another
			// replica's or none at all, and then a new actor.
			r := w.replica(t)
			w.actors[r] = w.newActor(t)
			w.set(t, r, w.anyPast(t))
		},
	}
}

func TestObjectsAgainstFullHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		actions := w.actions()
		actions[""] = func(t *rapid.T) {
			// Merge laws and equal vectors on states that writes can reach.
			a, b, c := w.anyPast(t), w.anyPast(t), w.anyPast(t)
			checkLaws(t, a.object, b.object, c.object)
			if a.object.Context.Equal(b.object.Context) && a.object.Digest() != b.object.Digest() {
				t.Fatalf("equal vectors, different siblings: %v and %v", a.object, b.object)
			}
		}
		t.Repeat(actions)
		all := state{model: history{}}
		for _, r := range w.replicas {
			all = state{object: causal.Merge(all.object, r.object), model: all.model.with(r.model)}
		}
		all.check(t, "all replicas merged")
	})
}
