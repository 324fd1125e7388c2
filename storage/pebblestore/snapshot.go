package pebblestore

import (
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringd/ringd/storage"
)

// snapshot is open until it, or its store, is closed.
type snapshot struct {
	store *Store
	snap  *pebble.Snapshot
	gate  *gate
	close func() error // once
}

// Snapshot implements storage.Engine.
func (s *Store) Snapshot() (storage.Snapshot, error) {
	if !s.gate.enter() {
		return nil, storage.ErrClosed
	}
	defer s.gate.leave()
	sn := &snapshot{store: s, snap: s.db.NewSnapshot(), gate: newGate()}
	sn.close = sync.OnceValue(sn.closeOnce)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.snapshots[sn] = struct{}{}
	return sn, nil
}

func (s *Store) openSnapshots() []*snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	var open []*snapshot
	for sn := range s.mu.snapshots {
		open = append(open, sn)
	}
	return open
}

// Get implements storage.Reader.
func (sn *snapshot) Get(key []byte) ([]byte, error) {
	if !sn.gate.enter() {
		return nil, storage.ErrClosed
	}
	defer sn.gate.leave()
	return get(sn.snap, key)
}

// Scan implements storage.Reader.
func (sn *snapshot) Scan(lower, upper []byte, yield func(key, value []byte) bool) error {
	if !sn.gate.enter() {
		return storage.ErrClosed
	}
	defer sn.gate.leave()
	return scan(sn.snap, lower, upper, yield)
}

// Close implements storage.Snapshot. It waits for reads under way.
func (sn *snapshot) Close() error { return sn.close() }

func (sn *snapshot) closeOnce() error {
	sn.gate.close()
	err := sn.snap.Close()
	// Only now: a store that closes waits for the snapshots that it finds.
	sn.store.mu.Lock()
	defer sn.store.mu.Unlock()
	delete(sn.store.mu.snapshots, sn)
	if err != nil {
		return fmt.Errorf("storage: closing a snapshot: %w", err)
	}
	return nil
}
