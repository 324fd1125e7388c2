package vnode

import (
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
)

// KV is the Handler that stores objects: it reads, merges, and gives writes
// their dots.
type KV struct {
	// InlineBytes and MaxSkew as in Config.
	InlineBytes int
	MaxSkew     time.Duration
}

// NewKV returns the handler that config describes.
func NewKV(config Config) *KV {
	return &KV{InlineBytes: config.InlineBytes, MaxSkew: config.MaxSkew}
}

// Handle implements Handler.
func (kv *KV) Handle(tx *Tx, env replica.Envelope) {
	switch m := env.Message.(type) {
	case replica.Read:
		kv.read(tx, env, m)
	case replica.Store:
		kv.store(tx, env, m)
	case replica.Coordinate:
		kv.coordinate(tx, env, m)
	case replica.List:
		kv.list(tx, env, m)
	default:
		tx.Fail(replica.Errorf(replica.KindInternal, "%T is no message for a vnode", m))
	}
}

func (kv *KV) read(tx *Tx, env replica.Envelope, m replica.Read) {
	r, err := load(tx, env.Partition, m.Key)
	if err != nil {
		tx.FailRead(err)
		return
	}
	answer := replica.ReadAnswer{Context: r.object.Context, Digest: r.object.Digest()}
	if m.Full && len(r.object.Context) > 0 {
		if _, answer.Object, err = r.whole(tx, env.Partition, m.Key); err != nil {
			tx.FailRead(err)
			return
		}
	}
	tx.AnswerCovered(r.key, answer)
}

func (kv *KV) store(tx *Tx, env replica.Envelope, m replica.Store) {
	incoming, err := causal.DecodeObject(m.Object)
	if err != nil {
		tx.Fail(replica.Errorf(replica.KindInvalid, "object to store: %v", err))
		return
	}
	r, err := load(tx, env.Partition, m.Key)
	if err == nil {
		err = tx.CheckOwnDots(env.Partition, incoming.Context)
	}
	if err != nil {
		tx.FailRead(err)
		return
	}
	after, outcome := causal.MergeOutcome(r.object, incoming)
	switch outcome {
	case causal.Unchanged:
		tx.AnswerCovered(r.key, replica.StoreAnswer{Durable: true})
		return
	case causal.Replaced:
		// Something older or nothing: the bytes are stored as they are.
		r.save(tx, env.Partition, m.Key, incoming, m.Object, kv.InlineBytes)
	default:
		r.save(tx, env.Partition, m.Key, after, nil, kv.InlineBytes)
	}
	tx.AnswerCovered(r.key, replica.StoreAnswer{Durable: true, Changed: true})
}
