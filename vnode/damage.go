package vnode

import (
	"errors"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
)

// damaged tells of a corrupt record. It stays where it is, so that it goes on
// answering nothing rather than "not found", until it is restored.
func (t *Tx) damaged(p ring.PartitionID, k replica.Key, err error) {
	t.effects.Notices = append(t.effects.Notices, Notice{Kind: NoticeDamaged, Partition: p, Key: k, Detail: err.Error()})
}

// restore replaces a corrupt record. What the other owners gave has all that was
// acknowledged, but perhaps not all that this vnode said it had seen.
func (kv *KV) restore(tx *Tx, env replica.Envelope, m replica.Restore) {
	p := env.Partition
	if !tx.knows(m.Key.Type) {
		return
	}
	v, err := tx.vnode(p)
	if err != nil {
		tx.FailRead(err)
		return
	}
	r, err := load(tx, p, m.Key)
	if err == nil {
		_, _, err = r.whole(tx, p, m.Key)
	}
	if err == nil {
		tx.AnswerCovered(r.key, replica.RestoreAnswer{Whole: true})
		return
	}
	if !isCorrupt(err) {
		tx.FailRead(err)
		return
	}
	if err := tx.removeDamaged(p, m.Key); err != nil {
		tx.FailRead(err)
		return
	}
	tx.loseData(p, v)
	if m.Object != nil {
		o, err := causal.DecodeObject(m.Object)
		if err == nil {
			_, err = kv.receive(tx, p, m.Key, o, m.Object)
		}
		if err != nil {
			tx.FailRead(err)
			return
		}
	}
	tx.Touch(r.key)
	tx.AnswerCovered(r.key, replica.RestoreAnswer{})
}

// removeDamaged removes a record, its values and what indexes have of it.
func (t *Tx) removeDamaged(p ring.PartitionID, k replica.Key) error {
	if class := t.x.config.Types[k.Type]; class > 0 {
		if err := t.dropEntry(p, class, k); err != nil {
			return err
		}
	}
	t.Delete(graveKey(p, k))
	lower, upper := storage.ValueRange(uint32(p), []byte(k.Type), []byte(k.Bucket), []byte(k.Key))
	var values [][]byte
	err := t.Scan(lower, upper, func(key, _ []byte) bool {
		values = append(values, append([]byte(nil), key...))
		return true
	})
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	for _, key := range values {
		t.Delete(key)
	}
	t.Delete(dataKey(p, k))
	return nil
}
