package vnode

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
)

// record is an object as stored: raw is its encoding, in which values above
// the inline size are apart. A key never written has an empty object and no
// raw.
type record struct {
	key    []byte // in the data keyspace
	object causal.Object
	raw    []byte
}

// load reads the record of a key, the batch being made included.
func load(tx *Tx, p ring.PartitionID, k replica.Key) (record, error) {
	r := record{key: dataKey(p, k)}
	raw, err := tx.Get(r.key)
	if errors.Is(err, storage.ErrNotFound) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	r.raw = raw
	if r.object, err = causal.DecodeObject(raw); err != nil {
		tx.damaged(p, k, err)
	}
	return r, err
}

func dataKey(p ring.PartitionID, k replica.Key) []byte {
	return storage.AppendDataKey(nil, uint32(p), []byte(k.Type), []byte(k.Bucket), []byte(k.Key))
}

func keyOf(k storage.DataKey) replica.Key {
	return replica.Key{Type: string(k.BucketType), Bucket: string(k.Bucket), Key: string(k.Key)}
}

// whole returns the object with all its values, and its encoding.
func (r record) whole(tx *Tx, p ring.PartitionID, k replica.Key) (causal.Object, []byte, error) {
	o, apart, err := fill(tx, p, k, r.object)
	if isCorrupt(err) {
		tx.damaged(p, k, err)
	}
	if err != nil || !apart {
		return o, r.raw, err
	}
	return o, causal.AppendObject(nil, o), nil
}

// getter reads as storage.Reader does.
type getter interface {
	Get(key []byte) ([]byte, error)
}

// fill returns o with the values that are stored apart put in, and whether
// there were any.
func fill(store getter, p ring.PartitionID, k replica.Key, o causal.Object) (causal.Object, bool, error) {
	apart := false
	for _, s := range o.Siblings {
		apart = apart || s.Apart
	}
	if !apart {
		return o, false, nil
	}
	siblings := append([]causal.Sibling(nil), o.Siblings...)
	for i := range siblings {
		s := &siblings[i]
		if !s.Apart {
			continue
		}
		raw, err := store.Get(valueKey(p, k, s.Dot))
		if errors.Is(err, storage.ErrNotFound) {
			err = fmt.Errorf("the value of dot %v is missing: %w", s.Dot, causal.ErrMalformed)
		}
		if err != nil {
			return causal.Object{}, true, err
		}
		if s.Value, err = decodeValue(raw); err != nil {
			return causal.Object{}, true, err
		}
		if len(s.Value) != s.ValueSize {
			return causal.Object{}, true, fmt.Errorf("the value of dot %v has %d bytes instead of %d: %w", s.Dot, len(s.Value), s.ValueSize, causal.ErrMalformed)
		}
		s.Apart = false
	}
	return causal.Object{Context: o.Context, Siblings: siblings}, true, nil
}

// save replaces the record by after, whose values are inline or stored apart
// already, and keeps the indexes in step with it. Encoded, if not nil, is after's
// encoding with all values inline. An error is of the disk; the batch is whole
// only without one.
func (r record) save(tx *Tx, p ring.PartitionID, k replica.Key, after causal.Object, encoded []byte, inlineBytes int) error {
	seen, err := tx.seenBy(p)
	if err == nil {
		err = tx.index(p, k, r.object, after, seen)
	}
	if err != nil {
		return err
	}
	for _, s := range r.object.Siblings {
		if s.Apart && !after.HasDot(s.Dot) {
			tx.Delete(valueKey(p, k, s.Dot))
		}
	}
	tx.Touch(r.key)
	if len(after.Siblings) == 0 && after.Forgettable(seen) {
		tx.Delete(r.key)
		return nil
	}
	stored, moved := after, false
	for i, s := range after.Siblings {
		apart := s.Apart
		if !apart && len(s.Value) > inlineBytes {
			apart = true
			if !storedApart(r.object, s.Dot) {
				tx.Set(valueKey(p, k, s.Dot), appendValue(nil, s.Value))
			}
		}
		if apart && !s.Apart {
			if !moved {
				stored.Siblings = append([]causal.Sibling(nil), after.Siblings...)
				moved = true
			}
			stored.Siblings[i].Apart, stored.Siblings[i].Value = true, nil
		}
	}
	if moved || encoded == nil {
		encoded = causal.AppendObject(nil, stored)
	}
	tx.Set(r.key, encoded)
	return nil
}

func storedApart(o causal.Object, d causal.Dot) bool {
	for _, s := range o.Siblings {
		if s.Dot == d {
			return s.Apart
		}
	}
	return false
}

func valueKey(p ring.PartitionID, k replica.Key, d causal.Dot) []byte {
	return storage.AppendValueKey(nil, uint32(p), []byte(k.Type), []byte(k.Bucket), []byte(k.Key), uint64(d.Actor), d.Counter)
}

const valueVersion = 1

// appendValue encodes a value kept apart: version, bytes, CRC-32C.
func appendValue(dst, value []byte) []byte {
	from := len(dst)
	dst = append(dst, valueVersion)
	dst = append(dst, value...)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[from:], castagnoli))
}

func decodeValue(src []byte) ([]byte, error) {
	if len(src) < 5 {
		return nil, fmt.Errorf("value record of %d bytes: %w", len(src), causal.ErrMalformed)
	}
	if src[0] != valueVersion {
		return nil, fmt.Errorf("value record of version %d: %w", src[0], causal.ErrMalformed)
	}
	body := src[:len(src)-4]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(src[len(body):]) {
		return nil, causal.ErrChecksum
	}
	return body[1:], nil
}
