// Package simstore is a storage.Engine in memory that forgets, when it crashes,
// what was not synced. It is deterministic, and syncs when it is told to.
package simstore

import (
	"bytes"
	"errors"
	"sync"

	"github.com/google/btree"

	"github.com/ringd/ringd/storage"
)

// Store is the engine. What survives a crash is the synced tree and some of the
// batches applied since.
type Store struct {
	mu struct {
		sync.Mutex
		visible *btree.BTreeG[item]
		durable *btree.BTreeG[item]
		// unsynced batches in the order in which they were applied.
		unsynced [][]storage.Op
		applied  uint64
		synced   uint64
		syncs    uint64
		closed   bool

		failSync error
		failRead func(key []byte) bool
		readErr  error
	}
}

type item struct{ key, value []byte }

func less(a, b item) bool { return bytes.Compare(a.key, b.key) < 0 }

var _ storage.Engine = (*Store)(nil)

// New returns an empty engine.
func New() *Store {
	s := new(Store)
	s.mu.visible, s.mu.durable = btree.NewG(16, less), btree.NewG(16, less)
	return s
}

// Get implements storage.Reader.
func (s *Store) Get(key []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return nil, storage.ErrClosed
	}
	if s.mu.failRead != nil && s.mu.failRead(key) {
		return nil, s.mu.readErr
	}
	return get(s.mu.visible, key)
}

func get(tree *btree.BTreeG[item], key []byte) ([]byte, error) {
	found, ok := tree.Get(item{key: key})
	if !ok {
		return nil, storage.ErrNotFound
	}
	return append([]byte{}, found.value...), nil
}

// Scan implements storage.Reader.
func (s *Store) Scan(lower, upper []byte, yield func(key, value []byte) bool) error {
	s.mu.Lock()
	if s.mu.closed {
		s.mu.Unlock()
		return storage.ErrClosed
	}
	if s.mu.failRead != nil && s.mu.failRead(lower) {
		defer s.mu.Unlock()
		return s.mu.readErr
	}
	tree := s.mu.visible.Clone()
	s.mu.Unlock()
	scan(tree, lower, upper, yield)
	return nil
}

func scan(tree *btree.BTreeG[item], lower, upper []byte, yield func(key, value []byte) bool) {
	tree.AscendRange(item{key: lower}, item{key: upper}, func(i item) bool { return yield(i.key, i.value) })
}

// Apply implements storage.Engine.
func (s *Store) Apply(b *storage.Batch) (storage.Commit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return nil, storage.ErrClosed
	}
	ops := make([]storage.Op, 0, b.Len())
	for _, op := range b.Ops() {
		ops = append(ops, storage.Op{Kind: op.Kind, Key: bytes.Clone(op.Key), Value: append([]byte{}, op.Value...)})
	}
	apply(s.mu.visible, ops)
	s.mu.unsynced = append(s.mu.unsynced, ops)
	s.mu.applied++
	return &commit{s, s.mu.applied}, nil
}

func apply(tree *btree.BTreeG[item], ops []storage.Op) {
	for _, op := range ops {
		switch op.Kind {
		case storage.OpSet:
			tree.ReplaceOrInsert(item{op.Key, op.Value})
		case storage.OpDelete:
			tree.Delete(item{key: op.Key})
		case storage.OpDeleteRange:
			var gone []item
			tree.AscendRange(item{key: op.Key}, item{key: op.Value}, func(i item) bool {
				gone = append(gone, i)
				return true
			})
			for _, i := range gone {
				tree.Delete(i)
			}
		}
	}
}

type commit struct {
	store *Store
	upTo  uint64
}

// Wait syncs what was applied up to the batch, if that has not happened yet.
func (c *commit) Wait() error { return c.store.syncTo(c.upTo) }

// Sync makes all that was applied durable.
func (s *Store) Sync() {
	s.mu.Lock()
	upTo := s.mu.applied
	s.mu.Unlock()
	_ = s.syncTo(upTo)
}

func (s *Store) syncTo(upTo uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if upTo <= s.mu.synced {
		return nil
	}
	if s.mu.failSync != nil {
		return s.mu.failSync
	}
	s.mu.syncs++
	for ; s.mu.synced < upTo; s.mu.synced++ {
		apply(s.mu.durable, s.mu.unsynced[0])
		s.mu.unsynced = s.mu.unsynced[1:]
	}
	return nil
}

// Unsynced is the number of batches that a crash may lose.
func (s *Store) Unsynced() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.unsynced)
}

// Crash ends the engine as a loss of power does, and returns the one that is
// found afterwards: what was synced, and the first keep batches after it.
func (s *Store) Crash(keep int) *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.closed = true
	after := New()
	after.mu.durable = s.mu.durable
	for _, ops := range s.mu.unsynced[:keep] {
		apply(after.mu.durable, ops)
	}
	after.mu.visible = after.mu.durable.Clone()
	return after
}

// FailSyncs makes syncs fail with err; nil ends that.
func (s *Store) FailSyncs(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.failSync = err
}

// FailReads makes reads of the keys that match, and scans from them, fail with
// err; a nil match ends that.
func (s *Store) FailReads(match func(key []byte) bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.failRead, s.mu.readErr = match, err
}

// Snapshot implements storage.Engine.
func (s *Store) Snapshot() (storage.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return nil, storage.ErrClosed
	}
	return snapshot{s.mu.visible.Clone()}, nil
}

type snapshot struct{ tree *btree.BTreeG[item] }

func (s snapshot) Get(key []byte) ([]byte, error) { return get(s.tree, key) }
func (s snapshot) Scan(lower, upper []byte, yield func(key, value []byte) bool) error {
	scan(s.tree, lower, upper, yield)
	return nil
}
func (snapshot) Close() error { return nil }

// Checkpoint implements storage.Engine. There is no directory to write to.
func (s *Store) Checkpoint(string) error {
	return errors.New("simstore: an engine in memory has no checkpoints")
}

// Usage implements storage.Engine.
func (s *Store) Usage() storage.Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := storage.Usage{WALSyncs: s.mu.syncs}
	s.mu.visible.Ascend(func(i item) bool {
		u.DiskBytes += uint64(len(i.key) + len(i.value))
		return true
	})
	return u
}

// Close implements storage.Engine.
func (s *Store) Close() error {
	s.Sync()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.closed = true
	return nil
}
