// Package simstore is a storage.Engine in memory that forgets, when it crashes,
// what was not synced. It is deterministic and starts no goroutine: a sync
// happens when somebody waits for a commit, or says Sync.
package simstore

import (
	"bytes"
	"errors"
	"slices"
	"sync"

	"github.com/google/btree"

	"github.com/ringd/ringd/storage"
)

// Store is the engine. What survives a crash is the durable tree and some of the
// batches applied since.
type Store struct {
	mu struct {
		sync.Mutex
		visible *btree.BTreeG[item]
		// Invariant: durable and then unsynced, in order, make visible.
		durable *btree.BTreeG[item]
		// unsynced are the batches applied-len(unsynced)+1 to applied.
		unsynced [][]storage.Op
		applied  uint64
		syncs    uint64
		closed   bool

		failNextSync error
		failSyncs    error
		failRead     func(key []byte) bool // nil: none
		readErr      error
	}
}

type item struct{ key, value []byte }

func less(a, b item) bool { return bytes.Compare(a.key, b.key) < 0 }

// degree of the trees, for which any small number does.
const degree = 16

var _ storage.Engine = (*Store)(nil)

// New returns an empty engine.
func New() *Store { return on(btree.NewG(degree, less)) }

// on returns an engine that has what is in durable, and owns it.
func on(durable *btree.BTreeG[item]) *Store {
	s := new(Store)
	s.mu.durable, s.mu.visible = durable, durable.Clone()
	return s
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
		ops = append(ops, storage.Op{Kind: op.Kind, Key: bytes.Clone(op.Key), Value: bytes.Clone(op.Value)})
	}
	apply(s.mu.visible, ops)
	s.mu.unsynced = append(s.mu.unsynced, ops)
	s.mu.applied++
	return &commit{store: s, number: s.mu.applied}, nil
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

// Checkpoint implements storage.Engine. There is no directory to write to: it is
// always refused.
func (s *Store) Checkpoint(string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return storage.ErrClosed
	}
	return errors.New("simstore: an engine in memory has no checkpoints")
}

// Usage implements storage.Engine. DiskBytes are those of the keys and values.
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

// Close implements storage.Engine. If its sync is made to fail, the engine is
// closed all the same.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return nil
	}
	err := s.syncLocked(s.mu.applied)
	s.mu.closed = true
	return err
}

// Crash ends the engine as a loss of power does, and returns the one that is
// found afterwards: what was synced, and the first keep of the Unsynced batches.
// It may be asked again, about another keep.
func (s *Store) Crash(keep int) *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.closed = true
	found := s.mu.durable.Clone()
	for _, ops := range s.mu.unsynced[:keep] {
		apply(found, ops)
	}
	return on(found)
}

// Unsynced is the number of batches that a crash may lose.
func (s *Store) Unsynced() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.unsynced)
}

// syncLocked makes durable the batches up to number.
func (s *Store) syncLocked(number uint64) error {
	first := s.mu.applied - uint64(len(s.mu.unsynced)) + 1
	if number < first {
		return nil
	}
	s.mu.syncs++
	if err := s.mu.failNextSync; err != nil {
		s.mu.failNextSync = nil
		return err
	}
	if s.mu.failSyncs != nil {
		return s.mu.failSyncs
	}
	n := int(number - first + 1)
	for _, ops := range s.mu.unsynced[:n] {
		apply(s.mu.durable, ops)
	}
	s.mu.unsynced = slices.Delete(s.mu.unsynced, 0, n)
	return nil
}
