package vnode

import (
	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
)

// lastExpiry is when the last value of an object expires, in Unix milliseconds;
// 0 if one never does, or there is none.
func lastExpiry(o causal.Object) int64 {
	var last int64
	for i := range o.Siblings {
		s := &o.Siblings[i]
		switch {
		case s.Tombstone:
		case s.Expiry == 0:
			return 0
		default:
			last = max(last, s.Expiry)
		}
	}
	return last
}

func (t *Tx) indexExpiry(p ring.PartitionID, k replica.Key, before, after causal.Object) {
	from, to := lastExpiry(before), lastExpiry(after)
	if from == to {
		return
	}
	if from > 0 {
		t.Delete(expiryKey(p, from, k))
	}
	if to > 0 {
		t.Set(expiryKey(p, to, k), nil)
	}
}

func expiryKey(p ring.PartitionID, millis int64, k replica.Key) []byte {
	return storage.AppendExpiryKey(nil, uint32(p), millis, []byte(k.Type), []byte(k.Bucket), []byte(k.Key))
}

// expired lists keys to delete. Nothing is removed here: the delete is one like
// any other, coordinated and seen by all owners.
func (kv *KV) expired(tx *Tx, env replica.Envelope, m replica.Expired) {
	p, now := env.Partition, tx.now.UnixMilli()
	type note struct {
		key    replica.Key
		millis int64
	}
	var notes []note
	lower, upper := storage.ExpiryRange(uint32(p), now+1)
	err := tx.Scan(lower, upper, func(key, _ []byte) bool {
		parsed, millis, err := storage.ParseExpiryKey(key)
		if err == nil {
			notes = append(notes, note{keyOf(parsed), millis})
		}
		return len(notes) < m.Limit
	})
	if err != nil {
		tx.FailRead(err)
		return
	}
	var answer replica.ExpiredAnswer
	for _, n := range notes {
		r, err := load(tx, p, n.key)
		if isCorrupt(err) {
			continue
		}
		if err != nil {
			tx.FailRead(err)
			return
		}
		if lastExpiry(r.object) != n.millis {
			tx.Delete(expiryKey(p, n.millis, n.key))
			continue
		}
		answer.Keys = append(answer.Keys, n.key)
		answer.Contexts = append(answer.Contexts, r.object.Context)
	}
	tx.AnswerAllCovered(answer)
}
