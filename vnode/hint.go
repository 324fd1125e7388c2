package vnode

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
)

// hintTotals are the hints that a vnode keeps, by slot.
// Invariant: they are what is in the hint keyspace, open batch included, and what
// the record on disk says.
type hintTotals struct{ count, bytes []int64 }

// storeHint keeps an object for the owner of a slot, merged with what is kept
// for it already.
func (kv *KV) storeHint(tx *Tx, env replica.Envelope, m replica.Store) {
	incoming, err := causal.DecodeObject(m.Object)
	if err != nil {
		tx.Fail(replica.Errorf(replica.KindInvalid, "object to store: %v", err))
		return
	}
	if m.Slot < 0 || m.Slot >= tx.x.ring.Replicas() {
		tx.Fail(replica.Invalid("slot", "slot %d of partition %d: there are %d", m.Slot, env.Partition, tx.x.ring.Replicas()))
		return
	}
	if tx.refuseWrite(!incoming.Live()) || tx.refuseLeaving() {
		return
	}
	have, size, err := tx.hint(env.Partition, m.Slot, m.Key)
	if err == nil {
		err = tx.CheckOwnDots(env.Partition, incoming.Context)
	}
	if err != nil {
		tx.FailRead(err)
		return
	}
	after, outcome := causal.MergeOutcome(have, incoming)
	changed := outcome != causal.Unchanged
	if changed {
		encoded := m.Object
		if outcome != causal.Replaced {
			encoded = causal.AppendObject(nil, after)
		}
		ok, err := tx.setHint(env.Partition, m.Slot, m.Key, size, encoded)
		if err != nil {
			tx.FailRead(err)
			return
		}
		if !ok {
			tx.refuseHint(env.Partition)
			return
		}
		tx.Touch(hintsOf(env.Partition, m.Key))
	}
	tx.AnswerCovered(hintsOf(env.Partition, m.Key), replica.StoreAnswer{Durable: true, Changed: changed})
}

// coordinateHint gives a write its dot where no owner could be reached. What was
// coordinated here is kept for every owner.
func (kv *KV) coordinateHint(tx *Tx, env replica.Envelope, m replica.Coordinate) {
	p, k := env.Partition, m.Write.Key
	if m.Slots < 1 || m.Slots > tx.x.ring.Replicas() {
		tx.Fail(replica.Invalid("slots", "%d slots of partition %d: there are %d", m.Slots, p, tx.x.ring.Replicas()))
		return
	}
	class := m.Slots
	if m.Everywhere {
		class = tx.x.classes()
	}
	if tx.refuseWrite(m.Write.Delete) || tx.refuseLeaving() {
		return
	}
	before, err := tx.allHints(p, k)
	if err == nil {
		err = tx.CheckOwnDots(p, m.Write.Context.Dots())
	}
	if err != nil {
		tx.FailRead(err)
		return
	}
	if dot, ok := before.HasRequest(m.Write.Request); ok {
		tx.AnswerNow(replica.Prepared{Object: causal.AppendObject(nil, before), Dot: dot})
		tx.AnswerCovered(hintsOf(p, k), replica.Committed{})
		return
	}
	type kept struct {
		object causal.Object
		size   int
	}
	hints := make([]kept, m.Slots)
	more := 0
	for slot := range hints {
		if hints[slot].object, hints[slot].size, err = tx.hint(p, slot, k); err != nil {
			tx.FailRead(err)
			return
		}
		more += len(hintKey(p, slot, k)) + writtenBound(before, m.Write) - hints[slot].size
	}
	// The room is looked for before a dot is given.
	room, err := tx.hintRoom(more)
	if err != nil {
		tx.FailRead(err)
		return
	}
	if !room {
		tx.refuseHint(p)
		return
	}
	after, dot, ok := kv.write(tx, p, class, before, m)
	if !ok {
		return
	}
	encoded := causal.AppendObject(nil, after)
	for slot, have := range hints {
		bytes := encoded
		if merged, outcome := causal.MergeOutcome(have.object, after); outcome != causal.Replaced {
			bytes = causal.AppendObject(nil, merged)
		}
		// Nothing is read here: hintRoom has loaded the totals.
		if err := tx.putHint(p, slot, k, have.size, bytes); err != nil {
			tx.FailRead(err)
			return
		}
	}
	tx.Touch(hintsOf(p, k))
	tx.AnswerNow(replica.Prepared{Object: encoded, Dot: dot})
	tx.AnswerCovered(hintsOf(p, k), replica.Committed{})
}

// writtenBound is at least the bytes of an object once w was written to it.
func writtenBound(before causal.Object, w replica.Write) int {
	written := causal.Sibling{ContentType: w.ContentType, Meta: w.Meta, Value: w.Value}
	return causal.SizeBound(before) + causal.SizeBound(causal.Object{
		Context: w.Context.Dots().With(causal.Dot{Actor: 1, Counter: 1}), Siblings: []causal.Sibling{written},
	})
}

// refuseLeaving answers, if the member is on its way out, that it takes nothing for
// others any more.
func (t *Tx) refuseLeaving() bool {
	if t.x.config.Leaving {
		t.Fail(replica.Errorf(replica.KindUnavailable, "member %v is leaving and takes no hints", t.x.config.Self))
	}
	return t.x.config.Leaving
}

func (t *Tx) refuseHint(p ring.PartitionID) {
	t.notice(NoticeHintRefused, p, "")
	t.Fail(replica.Errorf(replica.KindOverloaded, "member %v keeps as many hints as it may (hint_bytes_max)", t.x.config.Self))
}

func (kv *KV) readHints(tx *Tx, env replica.Envelope, m replica.Read) {
	o, err := tx.allHints(env.Partition, m.Key)
	if err != nil {
		tx.FailRead(err)
		return
	}
	answer := replica.ReadAnswer{Context: o.Context, Digest: o.Digest()}
	if m.Full && len(o.Context) > 0 {
		answer.Object = causal.AppendObject(nil, o)
	}
	tx.AnswerCovered(hintsOf(env.Partition, m.Key), answer)
}

// hint returns what is kept of a key for a slot, and the bytes that its record
// takes; none if there is none.
func (t *Tx) hint(p ring.PartitionID, slot int, k replica.Key) (causal.Object, int, error) {
	key := hintKey(p, slot, k)
	raw, err := t.Get(key)
	if errors.Is(err, storage.ErrNotFound) {
		return causal.Object{}, 0, nil
	}
	if err != nil {
		return causal.Object{}, 0, err
	}
	o, err := causal.DecodeObject(raw)
	return o, len(key) + len(raw), err
}

// allHints merges what is kept of a key for all slots.
func (t *Tx) allHints(p ring.PartitionID, k replica.Key) (causal.Object, error) {
	var all causal.Object
	for slot := range t.x.ring.Replicas() {
		o, _, err := t.hint(p, slot, k)
		if err != nil {
			return all, err
		}
		all = causal.Merge(all, o)
	}
	return all, nil
}

// setHint replaces a hint whose record takes size bytes; or doesn't, for want of
// room.
func (t *Tx) setHint(p ring.PartitionID, slot int, k replica.Key, size int, encoded []byte) (bool, error) {
	room, err := t.hintRoom(len(encoded) - size)
	if err != nil || !room {
		return false, err
	}
	return true, t.putHint(p, slot, k, size, encoded)
}

func (t *Tx) putHint(p ring.PartitionID, slot int, k replica.Key, size int, encoded []byte) error {
	key := hintKey(p, slot, k)
	t.Set(key, encoded)
	if size == 0 {
		t.notice(NoticeHintStored, p, "")
		return t.countHints(p, slot, 1, int64(len(key)+len(encoded)))
	}
	return t.countHints(p, slot, 0, int64(len(key)+len(encoded)-size))
}

// hintRoom says whether more bytes of hints may be kept.
func (t *Tx) hintRoom(more int) (bool, error) {
	if t.x.hintBytes < 0 {
		var total int64
		for p := ring.PartitionID(t.x.config.Index); int(p) < t.x.ring.Partitions(); p += ring.PartitionID(t.x.config.Of) {
			h, err := t.hintTotals(p)
			if err != nil {
				return false, err
			}
			for _, bytes := range h.bytes {
				total += bytes
			}
		}
		t.x.hintBytes = total
	}
	return more <= 0 || t.x.hintBytes+int64(more) <= t.x.config.HintBytesMax, nil
}

// listHints lists a slot's hints, a message's worth at a time.
func (kv *KV) listHints(tx *Tx, env replica.Envelope, m replica.Hints) {
	p := env.Partition
	v, err := tx.vnode(p)
	if err != nil {
		tx.FailRead(err)
		return
	}
	lower, upper := storage.HintRange(uint32(p), uint8(m.Slot))
	if m.Started {
		lower = storage.Successor(hintKey(p, m.Slot, m.After))
	}
	answer := replica.HintsAnswer{Done: true, Own: v.vouches(m.Slot, m.Life)}
	bytes, badBytes := 0, 0
	var bad error
	var badKey []byte
	err = tx.Scan(lower, upper, func(key, value []byte) bool {
		if len(answer.Hints) > 0 && (len(answer.Hints) >= m.Limit || bytes+len(value) > fetchBytesMax) {
			answer.Done = false
			return false
		}
		parsed, _, err := storage.ParseHintKey(key)
		var o causal.Object
		encoded := append([]byte(nil), value...)
		if err == nil {
			o, err = causal.DecodeObject(encoded)
		}
		if err != nil {
			bad, badKey, badBytes = err, append([]byte(nil), key...), len(key)+len(value)
			return false
		}
		bytes += len(value)
		answer.Hints = append(answer.Hints, replica.Hint{Item: replica.Item{Key: keyOf(parsed), Object: encoded}, Version: o.Digest()})
		return true
	})
	if err == nil && isCorrupt(bad) {
		// It is given up, or those behind it would never be delivered. Dots of this
		// vnode may have been in it: nobody is told any more that they come.
		tx.Delete(badKey)
		tx.notice(NoticeHintDropped, p, bad.Error())
		if err = tx.countHints(p, m.Slot, -1, -int64(badBytes)); err == nil {
			tx.forgetSeen(p, v, true)
			v.known, v.handed = nil, nil
		}
	}
	if err == nil {
		err = bad
	}
	if err != nil {
		tx.FailRead(err)
		return
	}
	tx.AnswerAllCovered(answer)
}

// dropHints removes hints that were delivered, unless more was merged into them
// since. A key that this vnode has given dots to, and has nothing of any more,
// ends the life of its actor: its next state would not follow from the last.
func (kv *KV) dropHints(tx *Tx, env replica.Envelope, m replica.DropHints) {
	p := env.Partition
	v, err := tx.vnode(p)
	if err != nil {
		tx.FailRead(err)
		return
	}
	var answer replica.DropHintsAnswer
	for i, k := range m.Keys {
		o, size, err := tx.hint(p, m.Slot, k)
		if err != nil {
			tx.FailRead(err)
			return
		}
		if size == 0 || o.Digest() != m.Versions[i] {
			continue
		}
		if v.lent.gives(o.Context) {
			v.lent.retire()
		}
		tx.handOver(p, v, m.Slot, m.Life, o.Context)
		tx.Delete(hintKey(p, m.Slot, k))
		if err := tx.countHints(p, m.Slot, -1, -int64(size)); err != nil {
			tx.FailRead(err)
			return
		}
		answer.Dropped++
	}
	tx.AnswerAllCovered(answer)
}

func (kv *KV) hintCount(tx *Tx, env replica.Envelope) {
	h, err := tx.hintTotals(env.Partition)
	if err != nil {
		tx.FailRead(err)
		return
	}
	tx.AnswerNow(replica.HintCountAnswer{
		Count: append([]int64(nil), h.count...), Bytes: append([]int64(nil), h.bytes...), Leaving: tx.x.config.Leaving,
	})
}

func (t *Tx) countHints(p ring.PartitionID, slot int, count, bytes int64) error {
	h, err := t.hintTotals(p)
	if err != nil {
		return err
	}
	h.count[slot] += count
	h.bytes[slot] += bytes
	if t.x.hintBytes >= 0 {
		t.x.hintBytes += bytes
	}
	t.Set(hintTotalsKey(p), h.append(nil))
	return nil
}

func (t *Tx) hintTotals(p ring.PartitionID) (*hintTotals, error) {
	v, err := t.vnode(p)
	if err != nil || v.hints != nil {
		return v.hintsOrNil(), err
	}
	n := t.x.ring.Replicas()
	h := &hintTotals{count: make([]int64, n), bytes: make([]int64, n)}
	raw, err := t.Get(hintTotalsKey(p))
	if err == nil {
		err = h.decode(raw)
	} else if errors.Is(err, storage.ErrNotFound) {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	v.hints = h
	return h, nil
}

func (v *vnode) hintsOrNil() *hintTotals {
	if v == nil {
		return nil
	}
	return v.hints
}

const hintTotalsVersion = 1

// append encodes the totals: version, then for each slot count and bytes.
func (h *hintTotals) append(dst []byte) []byte {
	dst = append(dst, hintTotalsVersion)
	for i := range h.count {
		dst = binary.BigEndian.AppendUint64(dst, uint64(h.count[i]))
		dst = binary.BigEndian.AppendUint64(dst, uint64(h.bytes[i]))
	}
	return dst
}

func (h *hintTotals) decode(src []byte) error {
	if len(src) != 1+16*len(h.count) || src[0] != hintTotalsVersion {
		return fmt.Errorf("totals of hints of %d bytes: %w", len(src), causal.ErrMalformed)
	}
	for i := range h.count {
		h.count[i] = int64(binary.BigEndian.Uint64(src[1+16*i:]))
		h.bytes[i] = int64(binary.BigEndian.Uint64(src[9+16*i:]))
	}
	return nil
}

func hintTotalsKey(p ring.PartitionID) []byte {
	return storage.AppendPartitionMetaKey(nil, uint32(p), "hints")
}

func hintKey(p ring.PartitionID, slot int, k replica.Key) []byte {
	return storage.AppendHintKey(nil, uint32(p), uint8(slot), []byte(k.Type), []byte(k.Bucket), []byte(k.Key))
}

// hintsOf stands for the hints of a key for all slots, where it is said what of
// them is durable. It is the key of none.
func hintsOf(p ring.PartitionID, k replica.Key) []byte { return hintKey(p, 255, k) }
