package vnode

import (
	"errors"
	"fmt"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
)

// checkTree holds the tree against the data: every record has the entry that it
// should have.
func (kv *KV) checkTree(tx *Tx, env replica.Envelope, m replica.CheckTree) {
	p := env.Partition
	seen, err := tx.seenBy(p)
	if err != nil {
		tx.FailRead(err)
		return
	}
	type found struct {
		key    replica.Key
		object causal.Object
	}
	var records []found
	answer := replica.CheckAnswer{Done: true}
	err = tx.scanRecords(p, m.Started, m.After, func(k replica.Key, value []byte) bool {
		if answer.Checked == m.Limit {
			answer.Done = false
			return false
		}
		answer.Checked++
		answer.Last = k
		o, err := causal.DecodeObject(append([]byte(nil), value...))
		if err != nil {
			tx.damaged(p, k, err)
			return true
		}
		records = append(records, found{k, o.Header()})
		return true
	})
	for _, r := range records {
		if err != nil {
			break
		}
		var wrong bool
		if wrong, err = tx.checkRecord(p, r.key, r.object, seen); wrong {
			answer.Keys = append(answer.Keys, r.key)
		}
	}
	if err != nil {
		tx.FailRead(err)
		return
	}
	tx.AnswerAllCovered(answer)
}

// checkRecord sets a record's entry and grave right, and reports whether
// something was wrong. An entry of a deletion may be there or not.
func (t *Tx) checkRecord(p ring.PartitionID, k replica.Key, o causal.Object, seen causal.Vector) (bool, error) {
	class, ok := t.x.config.Types[k.Type]
	if !ok {
		return false, nil
	}
	version, has, err := t.entry(p, class, k)
	if isCorrupt(err) {
		// As good as none; the sums are set right after.
		version, has, err = 0, false, nil
	}
	if err != nil {
		return false, err
	}
	_, graveErr := t.Get(graveKey(p, k))
	if graveErr != nil && !errors.Is(graveErr, storage.ErrNotFound) {
		return false, graveErr
	}
	wrongGrave := (graveErr == nil) == o.Live()
	if wrongGrave && o.Live() {
		t.Delete(graveKey(p, k))
	} else if wrongGrave {
		t.Set(graveKey(p, k), nil)
	}
	if err := t.checkExpiry(p, k, o); err != nil {
		return false, err
	}
	should := !o.Forgettable(seen) || has
	if has == should && (!has || version == o.Digest()) {
		return wrongGrave, nil
	}
	t.setEntry(p, class, k, version, has, o.Digest(), should)
	return true, nil
}

// checkExpiry notes when a record expires, if that is not noted.
func (t *Tx) checkExpiry(p ring.PartitionID, k replica.Key, o causal.Object) error {
	last := lastExpiry(o)
	if last == 0 {
		return nil
	}
	key := expiryKey(p, last, k)
	_, err := t.Get(key)
	if errors.Is(err, storage.ErrNotFound) {
		t.Set(key, nil)
		return nil
	}
	return err
}

// checkSums holds the sums of a range of leaves against the entries, and those
// against the data.
func (kv *KV) checkSums(tx *Tx, env replica.Envelope, m replica.CheckSums) {
	p := env.Partition
	tr, err := tx.trees(p)
	if err != nil {
		tx.FailRead(err)
		return
	}
	if m.Range.To > tx.x.leaves() || m.Range.From >= m.Range.To {
		tx.Fail(replica.Invalid("range", "leaves %d to %d: a partition has %d", m.Range.From, m.Range.To, tx.x.leaves()))
		return
	}
	var answer replica.CheckAnswer
	if err := tx.dropDangling(p, m, &answer); err != nil {
		tx.FailRead(err)
		return
	}
	right := make([]uint64, m.Range.To-m.Range.From)
	if err := tx.sumUp(p, m.Class, m.Range, func(leaf uint32, hash uint64) { right[leaf-m.Range.From] ^= hash }); err != nil {
		tx.FailRead(err)
		return
	}
	for i, sum := range right {
		if tr.sum(m.Class, replica.LeafRange{From: m.Range.From + uint32(i), To: m.Range.From + uint32(i) + 1}) != sum {
			answer.Sums++
			tx.forgetSaved(p)
			tr.of(m.Class, tx.x.leaves())[int(m.Range.From)+i] = sum
		}
	}
	tx.AnswerAllCovered(answer)
}

// dropDangling removes entries that can't be read, stand for no record, or stand
// in a class or leaf that is not their key's. A record without which its entry
// stayed was not deleted but lost: the vnode forgets what it has seen, or the next
// exchange would delete what the other owners have of the key.
func (t *Tx) dropDangling(p ring.PartitionID, m replica.CheckSums, answer *replica.CheckAnswer) error {
	var entries [][]byte
	lower, upper := storage.TreeRange(uint32(p), uint8(m.Class), m.Range.From, m.Range.To)
	if err := t.Scan(lower, upper, func(key, _ []byte) bool {
		entries = append(entries, append([]byte(nil), key...))
		return true
	}); err != nil {
		return err
	}
	lost := 0
	for _, entry := range entries {
		answer.Checked++
		parsed, class, leaf, err := storage.ParseTreeKey(entry)
		k := keyOf(parsed)
		if err == nil {
			right, _ := t.x.place(k)
			_, err = t.Get(dataKey(p, k))
			inPlace := right == leaf && t.x.config.Types[k.Type] == int(class)
			if err == nil && inPlace {
				continue
			}
			if inPlace && errors.Is(err, storage.ErrNotFound) {
				lost++
			}
		} else {
			err = nil
		}
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		t.Delete(entry)
		answer.Keys = append(answer.Keys, k)
	}
	if lost == 0 {
		return nil
	}
	v, err := t.vnode(p)
	if err != nil {
		return err
	}
	t.notice(NoticeReadFailed, p, fmt.Sprintf("%d records are gone that were there", lost))
	t.loseData(p, v)
	return nil
}
