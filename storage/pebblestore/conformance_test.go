package pebblestore

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringd/ringd/storage"
	"github.com/ringd/ringd/storage/enginetest"
)

const testDir = "data"

func openOn(t testing.TB, fs vfs.FS) *Store {
	t.Helper()
	s, err := Open(testDir, testOptions(t, fs))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// testOptions are small, and fatal errors fail the test.
func testOptions(t testing.TB, fs vfs.FS) Options {
	o := DefaultOptions()
	o.CacheBytes, o.MemtableBytes = 1<<20, 64<<10
	o.FS = fs
	o.Event = func(Event) {}
	o.Fatal = func(message string) { panic("fatal: " + message) }
	return o
}

func TestConformance(t *testing.T) {
	disks := map[storage.Engine]*vfs.MemFS{}
	open := func(t *testing.T, fs *vfs.MemFS) storage.Engine {
		e := openOn(t, fs)
		disks[e] = fs
		return e
	}
	enginetest.Run(t, enginetest.Subject{
		Open: func(t *testing.T) storage.Engine { return open(t, vfs.NewCrashableMem()) },
		Reopen: func(t *testing.T, closed storage.Engine) storage.Engine {
			return open(t, disks[closed])
		},
		Crash: func(t *testing.T, e storage.Engine) storage.Engine {
			return open(t, disks[e].CrashClone(vfs.CrashCloneCfg{}))
		},
		Checkpoint: func(t *testing.T, e storage.Engine) storage.Engine {
			const dir = "checkpoint"
			if err := e.Checkpoint(dir); err != nil {
				t.Fatal(err)
			}
			copied, err := Open(dir, testOptions(t, disks[e]))
			if err != nil {
				t.Fatal(err)
			}
			return copied
		},
	})
}
