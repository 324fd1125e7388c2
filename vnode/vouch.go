package vnode

import (
	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/ring"
)

// handed is an actor of this vnode and a slot whose owner was given hints with
// the actor's dots, which then were dropped.
type handed struct {
	slot  int
	actor causal.Actor
}

// severalLives, in the place of one, says that an owner took hints in more than
// one life. No vnode's life has this number.
const severalLives = 0

// knows says that nothing was dropped of the hints with an actor's dots but what
// v.handed tells.
func (v *vnode) knows(a causal.Actor) {
	if v.known == nil {
		v.known, v.handed = make(map[causal.Actor]bool), make(map[handed]uint64)
	}
	v.known[a] = true
}

// vouches is what the owner of a slot, in the given life, will have merged of
// what this vnode coordinated as a fallback, once it has the hints that are kept
// for it now. It is nothing of an actor whose hints were dropped for an earlier
// life: the owner may have lost them since, and would take the other owners' for
// deleted.
func (v *vnode) vouches(slot int, life uint64) causal.Vector {
	var out causal.Vector
	for _, d := range v.lent.all() {
		took, dropped := v.handed[handed{slot, d.Actor}]
		if v.known[d.Actor] && (!dropped || took == life) {
			out = append(out, d)
		}
	}
	return out
}

// handOver takes note that a hint with ctx is dropped, because the slot's owner
// has it in the given life. What of that is not remembered after a restart, the
// disk must not deny: an actor whose hints were dropped has no record there.
func (t *Tx) handOver(p ring.PartitionID, v *vnode, slot int, life uint64, ctx causal.Vector) {
	first := false
	for _, d := range ctx {
		if !v.known[d.Actor] {
			continue
		}
		first = first || !t.isHanded(v, d.Actor)
		at := handed{slot, d.Actor}
		if took, ok := v.handed[at]; !ok {
			v.handed[at] = life
		} else if took != life {
			v.handed[at] = severalLives
		}
	}
	if !first {
		return
	}
	v.lent.retire()
	t.saveSeen(p, v)
	for class := 1; class <= t.x.classes(); class++ {
		t.Set(given{p, class, true}.key(), actorRecord{clock: v.clock, startCount: t.x.config.StartCount}.append(nil))
	}
}

// isHanded says that hints with an actor's dots were dropped.
func (t *Tx) isHanded(v *vnode, a causal.Actor) bool {
	for slot := range t.x.ring.Replicas() {
		if _, ok := v.handed[handed{slot, a}]; ok {
			return true
		}
	}
	return false
}
