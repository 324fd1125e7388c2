package handoff

import "github.com/ringd/ringd/causal"

// Side is what one vnode has of a key, taken in one step.
type Side struct {
	// Object without its values (causal.Object.Header); empty if there is no record.
	Object causal.Object
	Seen   causal.Vector
}

// Compare says which of two owners the other has something for. Neither: they
// agree, though one may remember a deletion of which the other is done.
func Compare(a, b Side) (toA, toB bool) {
	return lacks(a, b), lacks(b, a)
}

// lacks says that merging what from has would change what to has.
func lacks(to, from Side) bool {
	_, outcome := causal.Receive(to.Object, to.Seen, from.Object.Vouch(from.Seen, to.Object))
	return outcome != causal.Unchanged
}

// vouched returns the dots that have to be in the context of from's object when
// it is sent to to. They stay right however the object changes until it is sent:
// a dot that was overwritten never comes back.
func vouched(to, from Side) []causal.Dot {
	var dots []causal.Dot
	sent := from.Object.Vouch(from.Seen, to.Object)
	for _, s := range to.Object.Siblings {
		if sent.Context.Covers(s.Dot) && !from.Object.Context.Covers(s.Dot) {
			dots = append(dots, s.Dot)
		}
	}
	return dots
}
