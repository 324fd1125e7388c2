// Package storage keeps bytes by key on one disk: the engine that all vnodes of
// a member share, and the keys under which they store. It knows nothing of
// objects.
//
// [Engine] has two implementations, pebblestore and simstore, held to one
// conformance suite, enginetest.
package storage

import (
	"errors"
	"time"
)

// Errors that every engine returns.
var (
	// ErrNotFound says that there is no such key. No other error says so.
	ErrNotFound = errors.New("storage: key not found")
	// ErrClosed says that the engine, or the snapshot, was closed.
	ErrClosed = errors.New("storage: engine is closed")
	// ErrCorrupt says that the disk doesn't hold what was written to it.
	ErrCorrupt = errors.New("storage: corrupt data")
)

// Reader reads. Implementations are safe for concurrent use.
type Reader interface {
	// Get returns a copy of the value of key, ErrNotFound if there is none. Any
	// other error is of the disk and says nothing about the key.
	Get(key []byte) ([]byte, error)
	// Scan calls yield for the keys in [lower, upper) in order, until it returns
	// false. It sees one state, whatever is applied meanwhile. The slices are valid
	// during the call only. Yield may use the engine, but not close what it scans.
	Scan(lower, upper []byte, yield func(key, value []byte) bool) error
}

// Engine is an ordered store whose batches become visible at once and durable
// with their Commit. It is safe for concurrent use.
type Engine interface {
	Reader
	// Apply makes a batch visible to readers, whole. It becomes durable, after all
	// that were applied before it, by the time its Commit's Wait returns: a crash
	// leaves a prefix of the batches. The engine doesn't keep the batch. One without
	// changes is allowed: its Commit waits for those before it.
	Apply(b *Batch) (Commit, error)
	// Snapshot returns a view that later batches don't change.
	Snapshot() (Snapshot, error)
	// Checkpoint writes an engine that can be opened, with all that was applied,
	// into dir, which must not exist.
	Checkpoint(dir string) error
	// Usage tells what a status page shows.
	Usage() Usage
	// Close makes everything durable and releases the engine, once calls under way
	// have returned. Later ones get ErrClosed, open Snapshots are closed, and a
	// Commit tells its batch's fate as before. Closing again is allowed.
	Close() error
}

// Commit is the durability of one batch.
type Commit interface {
	// Wait returns once the batch and all before it are durable. An error means
	// that its fate is unknown. It may be called many times, by any goroutine; each
	// tells the same. One that is never waited for leaks nothing.
	Wait() error
}

// Snapshot is a consistent view. Its owner closes it: until then, the disk keeps
// what it sees.
type Snapshot interface {
	Reader
	// Close ends the view. Later reads get ErrClosed. Closing again is allowed.
	Close() error
}

// Usage is what an engine takes, and what it has done since it was opened.
type Usage struct {
	DiskBytes uint64
	// WALSyncs of the write-ahead log, how long they took together, and the
	// longest.
	WALSyncs       uint64
	WALSyncTime    time.Duration
	WALSyncLongest time.Duration
	// WALBytes written.
	WALBytes uint64
	// CacheHits and CacheMisses of the block cache.
	CacheHits, CacheMisses int64
	// CompactionDebtBytes is what is left to compact: if it keeps growing, more is
	// written than the disk takes.
	CompactionDebtBytes uint64
}
