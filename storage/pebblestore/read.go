package pebblestore

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringd/ringd/storage"
)

// Get implements storage.Reader.
func (s *Store) Get(key []byte) ([]byte, error) {
	if !s.gate.enter() {
		return nil, storage.ErrClosed
	}
	defer s.gate.leave()
	return get(s.db, key)
}

// Scan implements storage.Reader.
func (s *Store) Scan(lower, upper []byte, yield func(key, value []byte) bool) error {
	if !s.gate.enter() {
		return storage.ErrClosed
	}
	defer s.gate.leave()
	return scan(s.db, lower, upper, yield)
}

func get(r pebble.Reader, key []byte) ([]byte, error) {
	value, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, storage.ErrNotFound
	}
	if err != nil {
		return nil, readError("get", err)
	}
	out := append(make([]byte, 0, len(value)), value...)
	if err := closer.Close(); err != nil {
		return nil, readError("get", err)
	}
	return out, nil
}

func scan(r pebble.Reader, lower, upper []byte, yield func(key, value []byte) bool) error {
	if bytes.Compare(lower, upper) >= 0 {
		return nil
	}
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return readError("scan", err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return readError("scan", errors.Join(err, it.Close()))
		}
		if !yield(it.Key(), value) {
			break
		}
	}
	// Close tells an error that ended the loop, too.
	if err := it.Close(); err != nil {
		return readError("scan", err)
	}
	return nil
}

// readError keeps Pebble's error, and adds storage.ErrCorrupt if it is one. It
// never tells storage.ErrNotFound.
func readError(op string, err error) error {
	if pebble.IsCorruptionError(err) {
		return fmt.Errorf("storage: %s: %w: %w", op, storage.ErrCorrupt, err)
	}
	return fmt.Errorf("storage: %s: %w", op, err)
}
