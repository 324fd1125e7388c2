package simstore

import "github.com/ringd/ringd/storage"

// commit knows the batch by its number: the first one applied is 1.
type commit struct {
	store  *Store
	number uint64
	// Guarded by store.mu.
	told bool
	err  error
}

// Wait syncs what was applied up to the batch, if that has not happened yet.
// After a crash, a batch that was not synced has an unknown fate.
func (c *commit) Wait() error {
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.told {
		return c.err
	}
	c.told = true
	unsynced := s.mu.applied-c.number < uint64(len(s.mu.unsynced))
	switch {
	case unsynced && s.mu.closed:
		c.err = storage.ErrClosed
	case unsynced:
		c.err = s.syncLocked(c.number)
	}
	return c.err
}

// Sync makes all that was applied durable.
func (s *Store) Sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return storage.ErrClosed
	}
	return s.syncLocked(s.mu.applied)
}

// FailNextSync makes the next sync that has something to do fail with err: the
// batches that it was for stay visible and not durable, a later sync takes them
// along, and who waited is told err. Nil ends that.
func (s *Store) FailNextSync(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.failNextSync = err
}

// FailSyncs makes syncs fail with err, as FailNextSync does one; nil ends that.
func (s *Store) FailSyncs(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.failSyncs = err
}

// FailReads makes Get of the keys that match, and scans that begin at one or come
// to one, fail with err, in snapshots too; a nil match ends that.
func (s *Store) FailReads(match func(key []byte) bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.failRead, s.mu.readErr = match, err
}
