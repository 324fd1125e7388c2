package pebblestore

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringd/ringd/storage"
)

// syncCounter is a file system that counts and times the syncs of write-ahead
// logs: what a write waits for.
type syncCounter struct {
	vfs.FS
	count   atomic.Uint64
	time    atomic.Int64 // nanoseconds, all together
	longest atomic.Int64 // nanoseconds
}

// Unwrap implements vfs.FS.
func (c *syncCounter) Unwrap() vfs.FS { return c.FS }

// Create implements vfs.FS.
func (c *syncCounter) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.FS.Create(name, category)
	return c.wrap(name, f, err)
}

// ReuseForWrite implements vfs.FS: Pebble uses old logs again.
func (c *syncCounter) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.FS.ReuseForWrite(oldname, newname, category)
	return c.wrap(newname, f, err)
}

func (c *syncCounter) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil || !strings.HasSuffix(name, ".log") {
		return f, err
	}
	return &countedFile{f, c}, nil
}

func (c *syncCounter) observe(began time.Time) {
	took := int64(time.Since(began))
	c.count.Add(1)
	c.time.Add(took)
	for {
		longest := c.longest.Load()
		if took <= longest || c.longest.CompareAndSwap(longest, took) {
			return
		}
	}
}

func (c *syncCounter) usage() storage.Usage {
	return storage.Usage{
		WALSyncs:       c.count.Load(),
		WALSyncTime:    time.Duration(c.time.Load()),
		WALSyncLongest: time.Duration(c.longest.Load()),
	}
}

type countedFile struct {
	vfs.File
	counter *syncCounter
}

func (f *countedFile) Sync() error {
	defer f.counter.observe(time.Now())
	return f.File.Sync()
}

func (f *countedFile) SyncData() error {
	defer f.counter.observe(time.Now())
	return f.File.SyncData()
}
