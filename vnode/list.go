package vnode

import (
	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/storage"
)

const (
	// listMax bounds one answer, so that a long listing doesn't keep the other
	// partitions of its executor waiting.
	listMax = 1000
	// bucketLookMax bounds the records that are looked at to find out whether a
	// bucket holds a value. One with more tombstones before its first value
	// counts as live.
	bucketLookMax = 1000
)

// list answers once everything that it may have seen is durable.
func (kv *KV) list(tx *Tx, env replica.Envelope, m replica.List) {
	if !tx.isWhole(env.Partition) {
		return
	}
	if m.Limit <= 0 || m.Limit > listMax {
		m.Limit = listMax
	}
	var answer replica.ListAnswer
	var err error
	if m.Buckets {
		answer, err = listBuckets(tx, env, m)
	} else {
		answer, err = listKeys(tx, env, m)
	}
	if err != nil {
		tx.FailRead(err)
		return
	}
	tx.AnswerAllCovered(answer)
}

func listKeys(tx *Tx, env replica.Envelope, m replica.List) (replica.ListAnswer, error) {
	p := uint32(env.Partition)
	lower, upper := storage.BucketRange(p, []byte(m.Type), []byte(m.Bucket))
	if m.Started {
		lower = storage.Successor(storage.AppendDataKey(nil, p, []byte(m.Type), []byte(m.Bucket), []byte(m.After)))
	}
	answer := replica.ListAnswer{Done: true}
	var bad error
	err := tx.Scan(lower, upper, func(key, value []byte) bool {
		if len(answer.Entries) == m.Limit {
			answer.Done = false
			return false
		}
		parsed, err := storage.ParseDataKey(key)
		if err != nil {
			bad = err
			return false
		}
		o, err := causal.DecodeObject(value)
		if err != nil {
			bad = err
			return false
		}
		answer.Entries = append(answer.Entries, replica.ListEntry{Name: string(parsed.Key), Live: o.LiveAt(tx.now.UnixMilli()), Context: o.Context.Clone()})
		return true
	})
	if err == nil {
		err = bad
	}
	return answer, err
}

func listBuckets(tx *Tx, env replica.Envelope, m replica.List) (replica.ListAnswer, error) {
	p := uint32(env.Partition)
	lower, upper := storage.TypeRange(p, []byte(m.Type))
	if m.Started {
		_, lower = storage.BucketRange(p, []byte(m.Type), []byte(m.After))
	}
	answer := replica.ListAnswer{}
	for len(answer.Entries) < m.Limit {
		name, live, err := nextBucket(tx, lower, upper)
		if err != nil {
			return answer, err
		}
		if name == nil {
			answer.Done = true
			break
		}
		answer.Entries = append(answer.Entries, replica.ListEntry{Name: string(name), Live: live})
		_, lower = storage.BucketRange(p, []byte(m.Type), name)
	}
	return answer, nil
}

// nextBucket finds the first bucket in [lower, upper), nil if there is none,
// and whether it holds a value.
func nextBucket(tx *Tx, lower, upper []byte) (name []byte, live bool, err error) {
	var bad error
	looked := 0
	err = tx.Scan(lower, upper, func(key, value []byte) bool {
		parsed, err := storage.ParseDataKey(key)
		if err != nil {
			bad = err
			return false
		}
		if name == nil {
			name = append([]byte{}, parsed.Bucket...)
		} else if string(parsed.Bucket) != string(name) {
			return false
		}
		o, err := causal.DecodeObject(value)
		if err != nil {
			bad = err
			return false
		}
		looked++
		live = o.LiveAt(tx.now.UnixMilli()) || looked == bucketLookMax
		return !live
	})
	if err == nil {
		err = bad
	}
	return name, live, err
}
