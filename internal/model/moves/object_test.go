package moves_test

import (
	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/handoff"
)

// set has numbers below 8, of writes or of members.
type set uint8

func of(i uint8) set              { return 1 << i }
func (s set) has(i uint8) bool    { return s&of(i) != 0 }
func (s set) includes(o set) bool { return o&^s == 0 }

const (
	writes   = 3
	sets     = 1 << writes
	contents = sets * sets
)

// object is a causal.Object between writes of which none knew of another, each with
// an actor of its own.
type object struct {
	live    set // the siblings
	covered set // by the context
}

func dotOf(w uint8) causal.Dot { return causal.Dot{Actor: causal.Actor(100 + uint64(w)), Counter: 1} }

func vector(s set) causal.Vector {
	var v causal.Vector
	for w := range uint8(writes) {
		if s.has(w) {
			v = v.With(dotOf(w))
		}
	}
	return v
}

func (o object) causal() causal.Object {
	out := causal.Object{Context: vector(o.covered)}
	for w := range uint8(writes) {
		if o.live.has(w) {
			out.Siblings = append(out.Siblings, causal.Sibling{Dot: dotOf(w)})
		}
	}
	return out
}

func objectOf(c causal.Object) object {
	var o object
	for w := range uint8(writes) {
		if c.HasDot(dotOf(w)) {
			o.live |= of(w)
		}
		if c.Context.Covers(dotOf(w)) {
			o.covered |= of(w)
		}
	}
	return o
}

func (o object) index() int { return int(o.live)*sets + int(o.covered) }

// What the project's functions give for every argument.
var (
	received [contents][sets][contents]object
	vouched  [contents][sets][contents]object
	merged   [contents][contents]object
	lacking  [contents][sets][contents][sets][2]bool
	written  [contents][writes]object
)

func init() {
	var all []object
	for live := range set(sets) {
		for covered := range set(sets) {
			if covered.includes(live) {
				all = append(all, object{live, covered})
			}
		}
	}
	for _, a := range all {
		for w := range uint8(writes) {
			written[a.index()][w] = objectOf(causal.Write(a.causal(), causal.Context{}, causal.Sibling{Dot: dotOf(w)}))
		}
		for _, b := range all {
			merged[a.index()][b.index()] = objectOf(causal.Merge(a.causal(), b.causal()))
			for seen := range set(sets) {
				after, _ := causal.Receive(a.causal(), vector(seen), b.causal())
				received[a.index()][seen][b.index()] = objectOf(after)
				vouched[a.index()][seen][b.index()] = objectOf(a.causal().Vouch(vector(seen), b.causal()))
				for other := range set(sets) {
					toA, toB := handoff.Compare(handoff.Side{Object: a.causal(), Seen: vector(seen)}, handoff.Side{Object: b.causal(), Seen: vector(other)})
					lacking[a.index()][seen][b.index()][other] = [2]bool{toA, toB}
				}
			}
		}
	}
}

// judge is what a client gets from two answers.
func judge(a object, seenA set, b object, seenB set) object {
	a.covered |= seenA
	b.covered |= seenB
	return merged[a.index()][b.index()]
}
