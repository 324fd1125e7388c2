package pebblestore

import (
	"errors"
	"log/slog"
	"os"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// format is the on-disk format. Pebble's own default is its oldest, without the
// log chunks that tell a torn end of the log from a damaged middle, and without
// checksums of a table's footer. It is named here, not "newest", so that a new
// Pebble does not raise it by itself: an older ringd can't read a newer format,
// and there is no way back.
const format = pebble.FormatValueSeparation

// memtablesMax is how many memtables may wait for their flush before writers do.
const memtablesMax = 4

// bloomBitsPerKey gives 1% false positives.
const bloomBitsPerKey = 10

// Options of a Store.
type Options struct {
	// CacheBytes of the block cache. Pebble's own default, 8 MB, misses on every
	// second read of a small data set.
	CacheBytes int64
	// MemtableBytes before it is flushed. Larger ones make fewer files and
	// longer recoveries. Memtables count against the cache.
	MemtableBytes uint64
	// ReadOnly opens what is there already, and changes nothing of it. Apply must not
	// be called then.
	ReadOnly bool
	// FS to use instead of the operating system's.
	FS vfs.FS
	// Logger for Pebble's own words; nil is slog.Default.
	Logger *slog.Logger
	// Event is called with what an operator should know. It must not block, nor
	// call the Store. Nil logs.
	Event func(Event)
	// Fatal is called when the write-ahead log can't be written or synced: what was
	// acknowledged is safe, but nothing more can be stored, and what is visible may
	// never be durable. Nil logs and ends the process. If it returns, as in tests,
	// Wait returns the error, and Apply panics.
	Fatal func(message string)
}

// DefaultOptions returns the defaults.
func DefaultOptions() Options {
	return Options{CacheBytes: 256 << 20, MemtableBytes: 64 << 20, FS: vfs.Default, Logger: slog.Default()}
}

// Validate says what is wrong with the options.
func (o Options) Validate() error {
	switch {
	case o.CacheBytes <= 0:
		return errors.New("storage: CacheBytes has to be positive")
	case o.MemtableBytes < 16<<10 || o.MemtableBytes > 1<<30:
		return errors.New("storage: MemtableBytes has to be between 16 KiB and 1 GiB")
	}
	return nil
}

// withDefaults fills in what may be left nil.
func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Event == nil {
		o.Event = o.logEvent
	}
	if o.Fatal == nil {
		o.Fatal = func(message string) {
			o.Logger.Error("the disk can't be written: ending", "error", message)
			os.Exit(1)
		}
	}
	return o
}

func (o Options) pebble(cache *pebble.Cache, fs vfs.FS) *pebble.Options {
	po := &pebble.Options{
		Cache:                       cache,
		FS:                          fs,
		ReadOnly:                    o.ReadOnly,
		ErrorIfNotExists:            o.ReadOnly,
		FormatMajorVersion:          format,
		MemTableSize:                o.MemtableBytes,
		MemTableStopWritesThreshold: memtablesMax,
		Logger:                      logger{o.Logger, o.Fatal},
		EventListener:               o.listener(),
	}
	// Many reads are of keys that are not there: a Bloom filter at every level
	// saves the disk from looking for them.
	for i := range po.Levels {
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBitsPerKey)
		po.Levels[i].FilterType = pebble.TableFilter
	}
	return po
}
