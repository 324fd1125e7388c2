package vnode

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
)

// seenBy is what record k's vnode has merged; nothing for an error, which says
// nothing.
func (t *Tx) seenBy(p ring.PartitionID) (causal.Vector, error) {
	v, err := t.vnode(p)
	if err != nil {
		return nil, err
	}
	return v.own.all(), nil
}

// adopt takes in what another vnode had seen when the two were compared.
func (kv *KV) adopt(tx *Tx, env replica.Envelope, m replica.Adopt) {
	p := env.Partition
	v, err := tx.vnode(p)
	if err == nil {
		err = tx.CheckOwnDots(p, m.Seen)
	}
	if err != nil {
		tx.FailRead(err)
		return
	}
	if m.Life != v.life {
		tx.Fail(replica.Errorf(replica.KindAborted, "partition %d lost data, or its member started again, since it was compared", p))
		return
	}
	if !v.own.all().Dominates(m.Seen) {
		v.own.seen = v.own.seen.Join(m.Seen)
		tx.saveSeen(p, v)
	}
	if v.compared == nil {
		v.compared = make(map[ring.MemberID]time.Time)
	}
	v.peers[m.From], v.compared[m.From] = m.Seen, tx.now
	if v.incomplete && m.Complete {
		v.sources[m.From] = true
		tx.completeIfWhole(p, v)
	}
	tx.AnswerAllCovered(replica.AdoptAnswer{})
}

// completeIfWhole has a vnode that lost data answer again once what came is enough.
func (t *Tx) completeIfWhole(p ring.PartitionID, v *vnode) {
	if v.incomplete && t.x.isWhole(p, v) {
		v.incomplete = false
		t.Delete(incompleteKey(p))
		t.notice(NoticeWhole, p, "")
	}
}

// loseData forgets what the vnode has seen, because some of it is gone: what
// comes in is taken for new again. (The actor's dots are among what was seen.)
func (t *Tx) loseData(p ring.PartitionID, v *vnode) {
	t.x.dropActors(p)
	v.life, v.session = t.x.config.Random(), session{}
	t.forgetSeen(p, v, false)
	if v.standing.copy {
		v.incomplete, v.sources = true, make(map[ring.MemberID]bool)
		t.Set(incompleteKey(p), []byte{seenVersion})
	}
}

// forgetSeen forgets what was seen of objects, or of hints.
func (t *Tx) forgetSeen(p ring.PartitionID, v *vnode, fallback bool) {
	*v.giving(fallback) = giving{}
	t.saveSeen(p, v)
	// The actors' records say how far their dots went, and would bring them back.
	for class := 1; class <= t.x.classes(); class++ {
		t.Delete(given{p, class, fallback}.key())
	}
}

// isWhole says that what came from the vnode's sources has every write that was
// acknowledged by a quorum with the help of this one: of each n, more than the
// others that a quorum may do without. A person may have settled for fewer. For a copy one owner
// does: no quorum counts on it.
func (x *Executor) isWhole(p ring.PartitionID, v *vnode) bool {
	if v.standing.copy {
		return len(v.sources) > 0
	}
	bound := replica.AllSources
	if m, ok := x.rebuilding(p); ok {
		bound = m.Sources
	}
	return x.enough(p, v.sources, bound)
}

// enough says that of the other owners of each class that this member owns, as
// many are in set as are needed; or all that there are, if of those of the partition
// bound have to do.
func (x *Executor) enough(p ring.PartitionID, set map[ring.MemberID]bool, bound int) bool {
	owners := x.ring.Owners(p)
	for n := 1; n <= len(owners); n++ {
		mine, got := false, 0
		for _, id := range owners[:n] {
			if id == x.config.Self {
				mine = true
			} else if set[id] {
				got++
			}
		}
		// The owners that lack may all be of this class.
		settled := max(0, bound-(len(owners)-n))
		if mine && got < min(replica.SourcesNeeded(n), settled) {
			return false
		}
	}
	return true
}

// Lose adds to b what makes the best of a partition that lost data: what is left
// of its objects and hints stays, and what was derived from all of them goes. A
// vnode of an owner answers no reads until it has been compared with enough other
// owners; before that, a replica.CheckTree sets its indexes right. Arrival is the
// owner's by the ring. Leaving is the move under way that takes the slot away, 0 for
// none: that the vnode was fenced for it is lost, too, and the move may be decided at
// any time, so it is fenced.
func Lose(b *storage.Batch, left storage.Reader, p ring.PartitionID, slots int, owner bool, arrival, leaving uint64) error {
	for _, derived := range storage.DerivedRanges(uint32(p)) {
		b.DeleteRange(derived.Lower, derived.Upper)
	}
	if owner {
		b.Set(incompleteKey(p), []byte{seenVersion})
		b.Set(standingKey(p), standing{arrival: arrival, settled: true, fence: leaving}.append(nil))
	}
	hints := hintTotals{count: make([]int64, slots), bytes: make([]int64, slots)}
	total := int64(0)
	for slot := range slots {
		lower, upper := storage.HintRange(uint32(p), uint8(slot))
		if err := left.Scan(lower, upper, func(key, value []byte) bool {
			hints.count[slot]++
			hints.bytes[slot] += int64(len(key) + len(value))
			total++
			return true
		}); err != nil {
			return err
		}
	}
	if total > 0 {
		b.Set(hintTotalsKey(p), hints.append(nil))
	}
	return nil
}

func incompleteKey(p ring.PartitionID) []byte {
	return storage.AppendPartitionMetaKey(nil, uint32(p), "incomplete")
}

func seenKey(p ring.PartitionID, fallback bool) []byte {
	name := "seen"
	if fallback {
		name = "lent"
	}
	return storage.AppendPartitionMetaKey(nil, uint32(p), name)
}

const seenVersion = 1

// saveSeen writes what the vnode has seen, but for the dots of its actors, whose
// records tell.
func (t *Tx) saveSeen(p ring.PartitionID, v *vnode) {
	for _, fallback := range [...]bool{false, true} {
		key, seen := seenKey(p, fallback), v.giving(fallback).seen
		if len(seen) == 0 {
			t.Delete(key)
		} else {
			t.Set(key, appendSeen(nil, seen))
		}
	}
}

func (t *Tx) loadSeen(p ring.PartitionID, v *vnode) error {
	for _, fallback := range [...]bool{false, true} {
		raw, err := t.Get(seenKey(p, fallback))
		switch {
		case err == nil:
			if v.giving(fallback).seen, err = decodeSeen(raw); err != nil {
				// Less is safe: what comes in is merged again.
				t.notice(NoticeReadFailed, p, "seen: "+err.Error())
			}
		case !errors.Is(err, storage.ErrNotFound):
			return err
		}
	}
	_, err := t.Get(incompleteKey(p))
	switch {
	case err == nil:
		v.incomplete, v.sources = true, make(map[ring.MemberID]bool)
	case !errors.Is(err, storage.ErrNotFound):
		return err
	}
	return nil
}

// appendSeen encodes a vector: version, vector, CRC-32C.
func appendSeen(dst []byte, seen causal.Vector) []byte {
	from := len(dst)
	dst = causal.AppendVector(append(dst, seenVersion), seen)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[from:], castagnoli))
}

func decodeSeen(src []byte) (causal.Vector, error) {
	body, err := unseal(src, seenVersion, 1)
	if err != nil {
		return nil, err
	}
	return causal.DecodeVector(body)
}

// unseal returns what stands between a record's version and its CRC-32C: at least
// so many bytes.
func unseal(src []byte, version byte, least int) ([]byte, error) {
	if len(src) < 1+least+4 {
		return nil, fmt.Errorf("%d bytes: %w", len(src), causal.ErrMalformed)
	}
	body := src[:len(src)-4]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(src[len(body):]) {
		return nil, causal.ErrChecksum
	}
	if body[0] != version {
		return nil, fmt.Errorf("version %d: %w", body[0], causal.ErrVersion)
	}
	return body[1:], nil
}
