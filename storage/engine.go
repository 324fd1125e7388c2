// Package storage keeps bytes by key on one disk: the engine that all vnodes of
// a member share, and the keys under which they store. It knows nothing of
// objects.
//
// [Engine] has two implementations, pebblestore and simstore, held to one
// conformance suite, enginetest.
package storage

import "errors"

// Errors that every engine returns.
var (
	// ErrNotFound says that there is no such key. No other error says so.
	ErrNotFound = errors.New("storage: key not found")
	// ErrClosed says that the engine was closed.
	ErrClosed = errors.New("storage: engine is closed")
)

// Reader reads. Implementations are safe for concurrent use.
type Reader interface {
	// Get returns a copy of the value of key, ErrNotFound if there is none. Any
	// other error is of the disk and says nothing about the key.
	Get(key []byte) ([]byte, error)
	// Scan calls yield for the keys in [lower, upper) in order, until it returns
	// false. The slices are valid during the call only.
	Scan(lower, upper []byte, yield func(key, value []byte) bool) error
}

// Engine is an ordered store whose batches become visible at once and durable
// with their Commit.
type Engine interface {
	Reader
	// Apply makes a batch visible to readers. It becomes durable, after all that
	// were applied before it, by the time its Commit's Wait returns. The engine
	// doesn't keep the batch.
	Apply(b *Batch) (Commit, error)
	// Snapshot returns a view that later batches don't change.
	Snapshot() (Snapshot, error)
	// Checkpoint writes an engine that can be opened, with all that was applied,
	// into dir, which must not exist.
	Checkpoint(dir string) error
	// Usage tells what a status page shows.
	Usage() Usage
	// Close makes everything durable and releases the engine. No Commit may be
	// waited for afterwards, no Snapshot be open.
	Close() error
}

// Commit is the durability of one batch.
type Commit interface {
	// Wait returns once the batch and all before it are durable. An error means
	// that its fate is unknown. It has to be called exactly once.
	Wait() error
}

// Snapshot is a consistent view. Its owner closes it.
type Snapshot interface {
	Reader
	Close() error
}

// Usage is what an engine takes and has done.
type Usage struct {
	DiskBytes uint64
	// WALSyncs since the engine was opened.
	WALSyncs uint64
}
