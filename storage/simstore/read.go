package simstore

import (
	"github.com/google/btree"

	"github.com/ringd/ringd/storage"
)

// Get implements storage.Reader.
func (s *Store) Get(key []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.getLocked(s.mu.visible, key)
}

// Scan implements storage.Reader.
func (s *Store) Scan(lower, upper []byte, yield func(key, value []byte) bool) error {
	s.mu.Lock()
	tree := s.mu.visible.Clone()
	s.mu.Unlock()
	return s.scan(tree, lower, upper, yield)
}

func (s *Store) getLocked(tree *btree.BTreeG[item], key []byte) ([]byte, error) {
	if s.mu.closed {
		return nil, storage.ErrClosed
	}
	if s.mu.failRead != nil && s.mu.failRead(key) {
		return nil, s.mu.readErr
	}
	found, ok := tree.Get(item{key: key})
	if !ok {
		return nil, storage.ErrNotFound
	}
	return append([]byte{}, found.value...), nil
}

// scan yields what is in tree, which nobody changes.
func (s *Store) scan(tree *btree.BTreeG[item], lower, upper []byte, yield func(key, value []byte) bool) error {
	s.mu.Lock()
	closed, fails, readErr := s.mu.closed, s.mu.failRead, s.mu.readErr
	s.mu.Unlock()
	if closed {
		return storage.ErrClosed
	}
	if fails != nil && fails(lower) {
		return readErr
	}
	// One buffer for all: who keeps what was yielded finds it overwritten.
	var key, value []byte
	var err error
	tree.AscendRange(item{key: lower}, item{key: upper}, func(i item) bool {
		if fails != nil && fails(i.key) {
			err = readErr
			return false
		}
		key, value = append(key[:0], i.key...), append(value[:0], i.value...)
		return yield(key, value)
	})
	return err
}

// snapshot's closed is guarded by store.mu.
type snapshot struct {
	store  *Store
	tree   *btree.BTreeG[item]
	closed bool
}

// Snapshot implements storage.Engine.
func (s *Store) Snapshot() (storage.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return nil, storage.ErrClosed
	}
	return &snapshot{store: s, tree: s.mu.visible.Clone()}, nil
}

// Get implements storage.Reader.
func (sn *snapshot) Get(key []byte) ([]byte, error) {
	s := sn.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if sn.closed {
		return nil, storage.ErrClosed
	}
	return s.getLocked(sn.tree, key)
}

// Scan implements storage.Reader.
func (sn *snapshot) Scan(lower, upper []byte, yield func(key, value []byte) bool) error {
	s := sn.store
	s.mu.Lock()
	closed := sn.closed
	s.mu.Unlock()
	if closed {
		return storage.ErrClosed
	}
	return s.scan(sn.tree, lower, upper, yield)
}

// Close implements storage.Snapshot.
func (sn *snapshot) Close() error {
	sn.store.mu.Lock()
	defer sn.store.mu.Unlock()
	sn.closed = true
	return nil
}
