// Package pebblestore is the storage.Engine of real members: one Pebble, so that
// one write-ahead log and one fsync serve all vnodes' waiting writes.
package pebblestore

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	dto "github.com/prometheus/client_model/go"

	"github.com/ringd/ringd/storage"
)

// format is the on-disk format, kept until a release says otherwise: a newer
// one can't be read by an older ringd.
const format = pebble.FormatValueSeparation

// Options of a Store.
type Options struct {
	// CacheBytes of the block cache. Pebble's own default, 8 MB, misses on every
	// second read of a small data set.
	CacheBytes int64
	// MemtableBytes before it is flushed. Larger ones make fewer files and
	// longer recoveries.
	MemtableBytes uint64
	// FS to use instead of the operating system's.
	FS vfs.FS
	// Logger for Pebble's own words.
	Logger *slog.Logger
	// Fatal is called when the write-ahead log can't be written: nothing
	// acknowledged is lost, but nothing more can be stored. It must not return;
	// the default logs and ends the process.
	Fatal func(message string)
}

// DefaultOptions returns the defaults.
func DefaultOptions() Options {
	return Options{CacheBytes: 256 << 20, MemtableBytes: 64 << 20, FS: vfs.Default, Logger: slog.Default()}
}

// Store is the engine.
type Store struct {
	db *pebble.DB
	// closing is held for reading by every call, so that Close waits for them:
	// Pebble panics if it is used after that.
	closing sync.RWMutex
	closed  bool
}

var _ storage.Engine = (*Store)(nil)

// Open opens the engine in dir, made if it is not there.
func Open(dir string, o Options) (*Store, error) {
	cache := pebble.NewCache(o.CacheBytes)
	defer cache.Unref()
	po := &pebble.Options{
		Cache:              cache,
		FS:                 o.FS,
		FormatMajorVersion: format,
		MemTableSize:       o.MemtableBytes,
		// Writers stop for a flush only after this many memtables wait for it.
		MemTableStopWritesThreshold: 4,
		Logger:                      logger(o),
	}
	// Most reads are of keys that are there, or of none at all: a Bloom filter
	// at every level saves the disk from looking for the latter.
	for i := range po.Levels {
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		po.Levels[i].FilterType = pebble.TableFilter
	}
	db, err := pebble.Open(dir, po)
	if err != nil {
		return nil, fmt.Errorf("storage: opening %s: %w", dir, err)
	}
	return &Store{db: db}, nil
}

// enter begins a call. Leave ends it.
func (s *Store) enter() error {
	s.closing.RLock()
	if s.closed {
		s.closing.RUnlock()
		return storage.ErrClosed
	}
	return nil
}

func (s *Store) leave() { s.closing.RUnlock() }

// Get implements storage.Reader.
func (s *Store) Get(key []byte) ([]byte, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	return get(s.db, key)
}

func get(r pebble.Reader, key []byte) ([]byte, error) {
	value, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, storage.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("storage: get: %w", err)
	}
	out := append(make([]byte, 0, len(value)), value...)
	return out, closer.Close()
}

// Scan implements storage.Reader.
func (s *Store) Scan(lower, upper []byte, yield func(key, value []byte) bool) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return scan(s.db, lower, upper, yield)
}

func scan(r pebble.Reader, lower, upper []byte, yield func(key, value []byte) bool) error {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return fmt.Errorf("storage: scan: %w", err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return errors.Join(fmt.Errorf("storage: scan: %w", err), it.Close())
		}
		if !yield(it.Key(), value) {
			break
		}
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return fmt.Errorf("storage: scan: %w", err)
	}
	return nil
}

// Apply implements storage.Engine.
func (s *Store) Apply(b *storage.Batch) (storage.Commit, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	pb := s.db.NewBatchWithSize(b.Size() + 16*b.Len() + 16)
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
			return nil, errors.Join(fmt.Errorf("storage: batch: %w", err), pb.Close())
		}
	}
	if err := s.db.ApplyNoSyncWait(pb, pebble.Sync); err != nil {
		return nil, fmt.Errorf("storage: apply: %w", err)
	}
	return commit{pb}, nil
}

type commit struct{ batch *pebble.Batch }

func (c commit) Wait() error {
	if err := c.batch.SyncWait(); err != nil {
		return fmt.Errorf("storage: sync: %w", err)
	}
	return c.batch.Close()
}

// Snapshot implements storage.Engine.
func (s *Store) Snapshot() (storage.Snapshot, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	return snapshot{s.db.NewSnapshot()}, nil
}

type snapshot struct{ *pebble.Snapshot }

func (s snapshot) Get(key []byte) ([]byte, error) { return get(s.Snapshot, key) }

func (s snapshot) Scan(lower, upper []byte, yield func(key, value []byte) bool) error {
	return scan(s.Snapshot, lower, upper, yield)
}

// Checkpoint implements storage.Engine.
func (s *Store) Checkpoint(dir string) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := s.db.Checkpoint(dir, pebble.WithFlushedWAL()); err != nil {
		return fmt.Errorf("storage: checkpoint to %s: %w", dir, err)
	}
	return nil
}

// Usage implements storage.Engine.
func (s *Store) Usage() storage.Usage {
	if s.enter() != nil {
		return storage.Usage{}
	}
	defer s.leave()
	m := s.db.Metrics()
	u := storage.Usage{DiskBytes: m.DiskSpaceUsage()}
	if h := m.LogWriter.FsyncLatency; h != nil {
		var read dto.Metric
		if h.Write(&read) == nil {
			u.WALSyncs = read.GetHistogram().GetSampleCount()
		}
	}
	return u
}

// Close implements storage.Engine.
func (s *Store) Close() error {
	s.closing.Lock()
	defer s.closing.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	// Batches are applied with a sync each; this one covers those whose Commit
	// nobody waited for.
	err := s.db.LogData(nil, pebble.Sync)
	return errors.Join(err, s.db.Close())
}

// pebbleLogger passes Pebble's words on.
type pebbleLogger struct {
	log   *slog.Logger
	fatal func(string)
}

func logger(o Options) pebble.Logger {
	l := pebbleLogger{log: o.Logger, fatal: o.Fatal}
	if l.fatal == nil {
		l.fatal = func(message string) {
			l.log.Error("the disk can't be written: ending", "error", message)
			os.Exit(1)
		}
	}
	return l
}

func (l pebbleLogger) Infof(format string, args ...any) { l.log.Debug(fmt.Sprintf(format, args...)) }
func (l pebbleLogger) Errorf(format string, args ...any) {
	l.log.Error(fmt.Sprintf(format, args...))
}
func (l pebbleLogger) Fatalf(format string, args ...any) { l.fatal(fmt.Sprintf(format, args...)) }
