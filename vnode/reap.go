package vnode

import (
	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
)

func graveKey(p ring.PartitionID, k replica.Key) []byte {
	return storage.AppendGraveKey(nil, uint32(p), []byte(k.Type), []byte(k.Bucket), []byte(k.Key))
}

// reap removes what is left of deletions once every owner is known to have seen
// it, durably; and takes out of the tree what this vnode has seen itself. A copy waits for
// nobody: no owner takes its word for anything.
//
// That what this vnode has seen is durable before the removal follows from the
// order of batches.
func (kv *KV) reap(tx *Tx, env replica.Envelope, m replica.Reap) {
	p := env.Partition
	v, err := tx.vnode(p)
	if err != nil {
		tx.FailRead(err)
		return
	}
	lower, upper := storage.GraveRange(uint32(p))
	if m.Started {
		lower = storage.Successor(graveKey(p, m.After))
	}
	answer := replica.ReapAnswer{Done: true}
	var keys []replica.Key
	err = tx.Scan(lower, upper, func(key, _ []byte) bool {
		if len(keys) == m.Limit {
			answer.Done = false
			return false
		}
		parsed, err := storage.ParseGraveKey(key)
		if err == nil {
			keys = append(keys, keyOf(parsed))
		}
		return true
	})
	if err != nil {
		tx.FailRead(err)
		return
	}
	for _, k := range keys {
		if err := kv.reapOne(tx, p, v, k, &answer); err != nil {
			tx.FailRead(err)
			return
		}
		answer.Last = k
	}
	tx.AnswerAllCovered(answer)
}

func (kv *KV) reapOne(tx *Tx, p ring.PartitionID, v *vnode, k replica.Key, answer *replica.ReapAnswer) error {
	class, ok := tx.x.config.Types[k.Type]
	r, err := load(tx, p, k)
	if isCorrupt(err) || !ok {
		answer.Kept++
		return nil
	}
	if err != nil {
		return err
	}
	if r.object.Live() {
		tx.Delete(graveKey(p, k))
		return nil
	}
	seen := v.own.all()
	if !r.object.Forgettable(seen) {
		answer.Kept++
		if tx.x.comparedSince(p, class, v, r.object) && !tx.x.anySeen(p, class, v).Dominates(r.object.Context) {
			answer.Stuck++
		}
		return nil
	}
	if err := tx.dropEntry(p, class, k); err != nil {
		return err
	}
	if v.incomplete || (!v.standing.copy && !tx.x.allHaveSeen(p, class, v, r.object.Context)) {
		answer.Kept++
		return nil
	}
	tx.Delete(graveKey(p, k))
	tx.Delete(r.key)
	tx.Touch(r.key)
	answer.Reaped++
	return nil
}

// ownersOf are the owners that hold the keys of a class.
func (x *Executor) ownersOf(p ring.PartitionID, class int) []ring.MemberID {
	owners := x.ring.Owners(p)
	return owners[:min(class, len(owners))]
}

// allHaveSeen says that every other owner of the class had durably seen ctx when
// it was last compared.
func (x *Executor) allHaveSeen(p ring.PartitionID, class int, v *vnode, ctx causal.Vector) bool {
	for _, id := range x.ownersOf(p, class) {
		if id != x.config.Self && !v.peers[id].Dominates(ctx) {
			return false
		}
	}
	return true
}

// comparedSince says that this vnode was compared with every other owner of the
// class after the deletions in o were made, as far as clocks agree. Before that,
// what others have seen of them is not known here.
func (x *Executor) comparedSince(p ring.PartitionID, class int, v *vnode, o causal.Object) bool {
	var last causal.HLC
	for i := range o.Siblings {
		last = max(last, o.Siblings[i].Time)
	}
	for _, id := range x.ownersOf(p, class) {
		if id != x.config.Self && !v.compared[id].After(last.Time()) {
			return false
		}
	}
	return true
}

// anySeen is what some owner of the class has seen.
func (x *Executor) anySeen(p ring.PartitionID, class int, v *vnode) causal.Vector {
	seen := v.own.all()
	for _, id := range x.ownersOf(p, class) {
		seen = seen.Join(v.peers[id])
	}
	return seen
}
