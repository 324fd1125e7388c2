package vnode

import (
	"errors"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
)

// Found is an object in a store that no vnode runs on: encoded, with its values
// inline. Err, if not nil, says why it can't be told what it is; Item has the key
// then, if that could be read.
type Found struct {
	Item replica.Item
	Err  error
}

// Find calls yield for all that a store holds of a partition, until it returns false:
// the objects, and then the hints for each of slots slots, a key for as many as it is
// kept for. The items are the callee's to keep. An error is of the disk; what stands
// behind it was not looked at.
func Find(store storage.Reader, p ring.PartitionID, slots int, yield func(Found) bool) error {
	more := true
	lower, upper := storage.DataRange(uint32(p))
	err := store.Scan(lower, upper, func(key, value []byte) bool {
		k, err := storage.ParseDataKey(key)
		more = yield(found(store, p, k, value, err))
		return more
	})
	for slot := 0; slot < slots && err == nil && more; slot++ {
		lower, upper := storage.HintRange(uint32(p), uint8(slot))
		err = store.Scan(lower, upper, func(key, value []byte) bool {
			k, _, err := storage.ParseHintKey(key)
			more = yield(found(store, p, k, value, err))
			return more
		})
	}
	return err
}

func found(store storage.Reader, p ring.PartitionID, parsed storage.DataKey, raw []byte, err error) Found {
	if err != nil {
		return Found{Err: err}
	}
	f := Found{Item: replica.Item{Key: keyOf(parsed)}}
	o, err := causal.DecodeObject(raw)
	if err == nil {
		o, _, err = fill(store, p, f.Item.Key, o)
	}
	if errors.Is(err, storage.ErrNotFound) {
		err = causal.ErrMalformed
	}
	if f.Err = err; err == nil {
		f.Item.Object = causal.AppendObject(nil, o)
	}
	return f
}
