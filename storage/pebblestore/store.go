// Package pebblestore is the storage.Engine of real members: one Pebble, so that
// one write-ahead log and one fsync serve all vnodes' waiting writes.
package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringd/ringd/storage"
)

// Store is the engine.
type Store struct {
	db    *pebble.DB
	syncs *syncCounter
	fatal func(string) // Options.Fatal
	// gate is entered by every call that uses db.
	gate  *gate
	close func() error // once

	mu struct {
		sync.Mutex
		snapshots map[*snapshot]struct{} // open ones
	}
}

var _ storage.Engine = (*Store)(nil)

// Open opens the engine in dir, made if it is not there. Two engines on one
// directory are refused, in other processes too.
func Open(dir string, o Options) (*Store, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	cache := pebble.NewCache(o.CacheBytes)
	defer cache.Unref()
	s := &Store{syncs: &syncCounter{FS: o.FS}, fatal: o.Fatal, gate: newGate()}
	s.mu.snapshots = make(map[*snapshot]struct{})
	s.close = sync.OnceValue(s.closeOnce)
	var err error
	if s.db, err = pebble.Open(dir, o.pebble(cache, s.syncs)); err != nil {
		return nil, fmt.Errorf("storage: opening %s: %w", dir, err)
	}
	return s, nil
}

// Apply implements storage.Engine.
func (s *Store) Apply(b *storage.Batch) (storage.Commit, error) {
	if !s.gate.enter() {
		return nil, storage.ErrClosed
	}
	defer s.gate.leave()
	pb := s.db.NewBatchWithSize(b.Size() + opOverheadMax*b.Len() + batchHeaderBytes)
	if err := fill(pb, b); err != nil {
		return nil, errors.Join(fmt.Errorf("storage: batch: %w", err), pb.Close())
	}
	if err := s.db.ApplyNoSyncWait(pb, pebble.Sync); err != nil {
		return nil, fmt.Errorf("storage: apply: %w", err)
	}
	return &commit{batch: pb, fatal: s.fatal}, nil
}

// What Pebble puts around an operation (its kind, two lengths of up to 5 bytes)
// and before all of them, in bytes.
const (
	opOverheadMax    = 11
	batchHeaderBytes = 16
)

func fill(pb *pebble.Batch, b *storage.Batch) error {
	if b.Len() == 0 {
		// Pebble takes an empty batch for committed; a record without operations
		// is synced after those before it.
		return pb.LogData(nil, nil)
	}
	for _, op := range b.Ops() {
		var err error
		switch op.Kind {
		case storage.OpSet:
			err = pb.Set(op.Key, op.Value, nil)
		case storage.OpDelete:
			err = pb.Delete(op.Key, nil)
		case storage.OpDeleteRange:
			err = pb.DeleteRange(op.Key, op.Value, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// commit owns a pebble.Batch, which has to be closed once, after its sync.
type commit struct {
	once  sync.Once
	batch *pebble.Batch // nil after the first Wait
	err   error
	fatal func(string)
}

// Wait implements storage.Commit. A commit that nobody waits for costs its
// batch's return to the pool, no more.
func (c *commit) Wait() error {
	c.once.Do(func() {
		if err := c.batch.SyncWait(); err != nil {
			c.err = fmt.Errorf("storage: sync: %w", err)
			// Pebble would go on, and fail every sync from here on.
			c.fatal(c.err.Error())
		} else if err := c.batch.Close(); err != nil {
			c.err = fmt.Errorf("storage: batch: %w", err)
		}
		c.batch = nil
	})
	return c.err
}

// Checkpoint implements storage.Engine.
func (s *Store) Checkpoint(dir string) error {
	if !s.gate.enter() {
		return storage.ErrClosed
	}
	defer s.gate.leave()
	if err := s.db.Checkpoint(dir, pebble.WithFlushedWAL()); err != nil {
		return fmt.Errorf("storage: checkpoint to %s: %w", dir, err)
	}
	return nil
}

// Reclaim gives the room of what was deleted in [lower, upper) back to the file system,
// by writing what shares tables with it anew. Pebble does so by itself only where a
// whole table was deleted, or when it has to compact anyway. It returns when that is done, or
// ctx has ended; reads and writes go on meanwhile. Snapshots keep what they see.
func (s *Store) Reclaim(ctx context.Context, lower, upper []byte) error {
	if !s.gate.enter() {
		return storage.ErrClosed
	}
	defer s.gate.leave()
	if err := s.db.Compact(ctx, lower, upper, false); err != nil {
		return fmt.Errorf("storage: reclaim: %w", err)
	}
	return nil
}

// Usage implements storage.Engine.
func (s *Store) Usage() storage.Usage {
	u := s.syncs.usage()
	if !s.gate.enter() {
		return u
	}
	defer s.gate.leave()
	m := s.db.Metrics()
	u.DiskBytes = m.DiskSpaceUsage()
	u.WALBytes = m.WAL.BytesWritten
	u.CacheHits, u.CacheMisses = m.BlockCache.Hits, m.BlockCache.Misses
	u.CompactionDebtBytes = m.Compact.EstimatedDebt
	return u
}

// Close implements storage.Engine.
func (s *Store) Close() error { return s.close() }

func (s *Store) closeOnce() error {
	s.gate.close()
	var errs []error
	for _, open := range s.openSnapshots() {
		errs = append(errs, open.Close())
	}
	// Closing the log syncs it, which ends the waiting for commits.
	if err := s.db.Close(); err != nil {
		errs = append(errs, fmt.Errorf("storage: close: %w", err))
	}
	return errors.Join(errs...)
}
