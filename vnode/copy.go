package vnode

import (
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// A member without a slot of a partition may hold a *copy*: of the keys of bucket types
// with n=all, which are the highest class. It is sent what is written, and compared with
// the owner of the first slot like the owner of a slot behind the last. It answers reads
// once it is whole, gives no dots, and no owner takes its word for what was deleted.

// mayCopy says that the vnode, which owns no slot, takes a message for its copy.
func (x *Executor) mayCopy(p ring.PartitionID, v *vnode, env replica.Envelope) bool {
	if !v.standing.copy && (!x.copies() || !x.ownsNothing(p)) {
		return false
	}
	switch m := env.Message.(type) {
	case replica.Store:
		return x.config.Types[m.Key.Type] == x.classes()
	case replica.Read:
		return v.standing.copy && x.config.Types[m.Key.Type] == x.classes()
	case replica.Capture:
		return v.standing.copy || !m.Look
	case replica.Scan, replica.Reap:
		return v.standing.copy
	default:
		return v.standing.copy && compares(m)
	}
}

// copies says that there are bucket types with n=all.
func (x *Executor) copies() bool {
	for _, class := range x.config.Types {
		if class == x.classes() {
			return true
		}
	}
	return false
}

// beCopy makes a vnode that was admitted without a slot one that holds a copy, and reports
// whether it may go on with the request.
func (t *Tx) beCopy(v *vnode, env replica.Envelope) bool {
	p := env.Partition
	switch env.Message.(type) {
	case replica.Store, replica.Capture:
	default:
		return true
	}
	if v.standing.copy || !t.x.ownsNothing(p) || !t.x.copies() {
		return true
	}
	left, err := t.hasLeftovers(p, v)
	if err != nil {
		t.FailRead(err)
		return false
	}
	if left {
		t.Fail(replica.Errorf(replica.KindNotOwner, "member %v has not dropped yet what it had of partition %d as an owner", t.x.config.Self, p))
		return false
	}
	t.dropHeld(p, v)
	v.standing.copy, v.incomplete, v.sources = true, true, make(map[ring.MemberID]bool)
	t.saveStanding(p, v)
	t.Set(incompleteKey(p), []byte{seenVersion})
	return true
}
