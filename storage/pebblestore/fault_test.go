package pebblestore

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ringd/ringd/storage"
)

var errDisk = errors.New("input/output error")

// faulty returns a file system over disk that fails, while on, the operations on
// files with that suffix that match.
func faulty(disk vfs.FS, suffix string, match func(errorfs.OpKind) bool) (fs vfs.FS, on *atomic.Bool) {
	on = new(atomic.Bool)
	return errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if on.Load() && strings.HasSuffix(op.Path, suffix) && match(op.Kind) {
			return errDisk
		}
		return nil
	})), on
}

func isRead(k errorfs.OpKind) bool {
	return k == errorfs.OpFileRead || k == errorfs.OpFileReadAt || k == errorfs.OpOpen
}

func isSync(k errorfs.OpKind) bool {
	return k == errorfs.OpFileSync || k == errorfs.OpFileSyncData
}

const (
	tableKeys       = 64
	tableValueBytes = 64 << 10
)

// tableValue doesn't compress: all of them are more than testOptions' cache
// holds, so that reads go to the disk.
func tableValue(key int) []byte {
	value := make([]byte, tableValueBytes)
	source := rand.NewChaCha8([32]byte{byte(key)})
	source.Read(value)
	return value
}

func tableKey(key int) []byte { return fmt.Appendf(nil, "k%02d", key) }

// fillTable leaves the keys in one table on disk, not in memory. (Several would be
// compacted, and Pebble tries that again and again if it fails.)
func fillTable(t *testing.T, disk vfs.FS) {
	t.Helper()
	o := testOptions(t, disk)
	o.MemtableBytes = 2 * tableKeys * tableValueBytes
	s, err := Open(testDir, o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range tableKeys {
		mustPut(t, s, string(tableKey(i)), string(tableValue(i)))
	}
	if err := errors.Join(s.db.Flush(), s.Close()); err != nil {
		t.Fatal(err)
	}
}

// readTable reads all keys: each has its value or the error.
func readTable(t *testing.T, r storage.Reader, want error) (failed int) {
	t.Helper()
	for i := range tableKeys {
		value, err := r.Get(tableKey(i))
		switch {
		case err == nil && !bytes.Equal(value, tableValue(i)):
			t.Errorf("%s has a wrong value", tableKey(i))
		case errors.Is(err, storage.ErrNotFound), err != nil && !errors.Is(err, want):
			t.Errorf("Get(%s): %v, want %v", tableKey(i), err, want)
		case err != nil:
			failed++
		}
	}
	next := 0
	err := r.Scan([]byte("k"), []byte("l"), func(key, value []byte) bool {
		if !bytes.Equal(key, tableKey(next)) || !bytes.Equal(value, tableValue(next)) {
			t.Errorf("Scan yields %q instead of %s, or another value", key, tableKey(next))
		}
		next++
		return true
	})
	if next < tableKeys && !errors.Is(err, want) {
		t.Errorf("Scan ended after %d keys: %v, want %v", next, err, want)
	}
	if err != nil {
		failed++
	}
	return failed
}

func mustPut(t testing.TB, s *Store, key, value string) {
	t.Helper()
	if err := put(s, key, value); err != nil {
		t.Fatal(err)
	}
}

func put(s *Store, key, value string) error {
	var b storage.Batch
	b.Set([]byte(key), []byte(value))
	c, err := s.Apply(&b)
	if err != nil {
		return err
	}
	return c.Wait()
}

func TestReadErrorIsNotNotFound(t *testing.T) {
	disk := vfs.NewMem()
	fillTable(t, disk)
	fs, on := faulty(disk, ".sst", isRead)
	s := openOn(t, fs)
	defer s.Close()
	snap, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []storage.Reader{s, snap} {
		on.Store(true)
		if readTable(t, r, errDisk) == 0 {
			t.Error("no read failed: the test reads from memory")
		}
		on.Store(false)
		// A load of the table that Pebble began by itself may still fail, and whoever
		// joins it: that is one read at most.
		_, _ = r.Get(tableKey(0))
		if n := readTable(t, r, nil); n != 0 {
			t.Errorf("%d reads failed after the disk came back", n)
		}
	}
}

func TestCorruptTable(t *testing.T) {
	disk := vfs.NewMem()
	fillTable(t, disk)
	names, err := disk.List(testDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") {
			data, err := disk.UnsafeGetFileDataBuffer(disk.PathJoin(testDir, name))
			if err != nil {
				t.Fatal(err)
			}
			data[100] ^= 0xff // in the first data block
		}
	}
	var told atomic.Int64
	o := testOptions(t, disk)
	o.Event = func(e Event) {
		if e.Kind == EventCorruption && e.Detail != "" {
			told.Add(1)
		}
	}
	s, err := Open(testDir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if readTable(t, s, storage.ErrCorrupt) == 0 {
		t.Error("no read failed")
	}
	if told.Load() == 0 {
		t.Error("no event tells of the corruption")
	}
	mustPut(t, s, "new", "3")
	if v, err := s.Get([]byte("new")); err != nil || string(v) != "3" {
		t.Errorf("what is not damaged: %q, %v", v, err)
	}
}

// A sync that fails is told to who waits, and ends the process: the log takes
// nothing more, even if the disk comes back.
func TestSyncFails(t *testing.T) {
	disk := vfs.NewCrashableMem()
	fs, on := faulty(disk, ".log", isSync)
	fatal := make(chan string, 10)
	o := testOptions(t, fs)
	o.Fatal = func(message string) { fatal <- message }
	s, err := Open(testDir, o)
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "a", "1")
	on.Store(true)
	for _, key := range []string{"b", "c"} {
		if err := put(s, key, "2"); !errors.Is(err, errDisk) {
			t.Errorf("a batch whose sync failed: %v", err)
		}
		if message := <-fatal; !strings.Contains(message, errDisk.Error()) {
			t.Errorf("the reason is missing in %q", message)
		}
		on.Store(false)
	}
	// The store is not closed: its process would be gone.
	after := openOn(t, disk.CrashClone(vfs.CrashCloneCfg{}))
	defer after.Close()
	if v, err := after.Get([]byte("a")); err != nil || string(v) != "1" {
		t.Errorf("what was acknowledged before: %q, %v", v, err)
	}
}

func TestFatalMustNotReturn(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Pebble went on after a fatal error")
		}
	}()
	logger{fatal: func(string) {}}.Fatalf("the disk is full")
}

func TestOpenRefuses(t *testing.T) {
	disk := vfs.NewMem()
	s := openOn(t, disk)
	defer s.Close()
	if second, err := Open(testDir, testOptions(t, disk)); err == nil {
		second.Close()
		t.Error("two engines are open on one directory")
	}
	for name, change := range map[string]func(*Options){
		"no cache":             func(o *Options) { o.CacheBytes = 0 },
		"no memtable":          func(o *Options) { o.MemtableBytes = 0 },
		"a memtable too large": func(o *Options) { o.MemtableBytes = 4 << 30 },
	} {
		o := testOptions(t, vfs.NewMem())
		change(&o)
		if s, err := Open(testDir, o); err == nil {
			s.Close()
			t.Errorf("%s: opened", name)
		}
	}
}

func TestUsageCountsSyncs(t *testing.T) {
	s := openOn(t, vfs.NewMem())
	defer s.Close()
	before := s.Usage()
	mustPut(t, s, "a", "1")
	after := s.Usage()
	if after.WALSyncs <= before.WALSyncs || after.WALSyncTime <= before.WALSyncTime || after.WALBytes <= before.WALBytes {
		t.Errorf("before a synced batch %+v, after it %+v", before, after)
	}
	if after.WALSyncLongest <= 0 || after.WALSyncLongest > after.WALSyncTime {
		t.Errorf("longest sync %v of %v in all", after.WALSyncLongest, after.WALSyncTime)
	}
}
