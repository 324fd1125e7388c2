package vnode

import (
	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// coordinate gives a write its dot. The object goes to the other owners whole
// and before the commit is durable; that is sound because the states that one
// actor makes of a key form a chain, and the actor ends with a commit whose
// fate is unknown (design section 6).
func (kv *KV) coordinate(tx *Tx, env replica.Envelope, m replica.Coordinate) {
	if tx.request.Envelope.Fallback {
		kv.coordinateHint(tx, env, m)
		return
	}
	w := m.Write
	if tx.refuseWrite(w.Delete) {
		return
	}
	r, err := load(tx, env.Partition, w.Key)
	if err == nil {
		err = tx.CheckOwnDots(env.Partition, w.Context.Dots())
	}
	if err != nil {
		tx.FailRead(err)
		return
	}
	before, encoded, err := r.whole(tx, env.Partition, w.Key)
	if err != nil {
		tx.FailRead(err)
		return
	}
	if dot, ok := before.HasRequest(w.Request); ok {
		// A retry whose first attempt is here already: it changes nothing and is
		// acknowledged like a write.
		tx.AnswerNow(replica.Prepared{Object: encoded, Dot: dot})
		tx.AnswerCovered(r.key, replica.Committed{})
		return
	}
	after, dot, ok := kv.write(tx, env.Partition, tx.x.config.Types[w.Key.Type], before, m)
	if !ok {
		return
	}
	encoded = causal.AppendObject(nil, after)
	if err := r.save(tx, env.Partition, w.Key, after, encoded, kv.InlineBytes); err != nil {
		tx.FailRead(err)
		return
	}
	tx.AnswerNow(replica.Prepared{Object: encoded, Dot: dot})
	tx.AnswerCovered(r.key, replica.Committed{})
}

// write gives a write its dot, and returns what the key is after it; or answers
// why it can't be done.
func (kv *KV) write(tx *Tx, p ring.PartitionID, class int, before causal.Object, m replica.Coordinate) (causal.Object, causal.Dot, bool) {
	if m.Conditional && !m.Expect.Dominates(before.Context) {
		tx.Fail(replica.Errorf(replica.KindAborted, "the key was written while the condition was checked: read it and try again"))
		return causal.Object{}, causal.Dot{}, false
	}
	ctx := m.Write.Context
	if m.LastWriteWins {
		ctx.Seen = ctx.Seen.Join(before.Context)
	}
	if err := checkLimits(before, ctx, m); err != nil {
		tx.Fail(err)
		return causal.Object{}, causal.Dot{}, false
	}
	sibling, err := kv.sibling(tx, p, class, before, m.Write)
	if err != nil {
		tx.FailRead(err)
		return causal.Object{}, causal.Dot{}, false
	}
	return causal.Write(recreated(before, m.Write), ctx, sibling), sibling.Dot, true
}

// recreated is what a write builds on: a put replaces the tombstones that it
// meets, whether its client knew of them or not. They hold no value, and what
// they deleted stays covered by the object's context.
func recreated(before causal.Object, w replica.Write) causal.Object {
	if w.Delete {
		return before
	}
	out := causal.Object{Context: before.Context}
	for _, s := range before.Siblings {
		if !s.Tombstone {
			out.Siblings = append(out.Siblings, s)
		}
	}
	return out
}

// checkLimits refuses a write that would leave more siblings, or more bytes of
// them, than the message allows. Zero is no limit.
func checkLimits(before causal.Object, ctx causal.Context, m replica.Coordinate) *replica.Error {
	siblings, bytes := 1, len(m.Write.Value)
	for _, s := range before.Siblings {
		if !ctx.Covers(s.Dot) {
			siblings++
			bytes += len(s.Value)
		}
	}
	const advice = "read the key and write with the context that the read gave"
	if m.SiblingsMax > 0 && siblings > m.SiblingsMax {
		return replica.Invalid("context", "the key would have %d siblings, above the limit of %d: %s", siblings, m.SiblingsMax, advice)
	}
	if m.ObjectBytesMax > 0 && siblings > 1 && bytes > m.ObjectBytesMax {
		return replica.Invalid("context", "the key's siblings would have %d bytes, above the limit of %d: %s", bytes, m.ObjectBytesMax, advice)
	}
	return nil
}

// sibling makes the sibling of a write, with the partition's next dot and a
// timestamp after those of the siblings that it was written beside. An error is
// of the disk.
func (kv *KV) sibling(tx *Tx, p ring.PartitionID, class int, before causal.Object, w replica.Write) (causal.Sibling, error) {
	v, err := tx.vnode(p)
	if err != nil {
		return causal.Sibling{}, err
	}
	clock := v.clock
	for _, s := range before.Siblings {
		observed, err := clock.Observe(s.Time, tx.now, kv.MaxSkew)
		if err != nil {
			tx.notice(NoticeSkew, p, err.Error())
			continue
		}
		clock = observed
	}
	clock = clock.Next(tx.now)
	dot, err := tx.Dot(p, class)
	if err != nil {
		return causal.Sibling{}, err
	}
	v.clock = clock
	s := causal.Sibling{
		Dot: dot, Tombstone: w.Delete, ContentType: w.ContentType, Meta: w.Meta,
		Time: clock, Request: w.Request, Expiry: w.Expiry,
	}
	if !w.Delete {
		s.Value, s.ValueSize = w.Value, len(w.Value)
	}
	return s, nil
}
