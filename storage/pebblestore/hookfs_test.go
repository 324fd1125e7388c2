package pebblestore

import "github.com/cockroachdb/pebble/v2/vfs"

// hookFS calls hook before and after every sync of a file or directory.
type hookFS struct {
	vfs.FS
	hook func()
}

func (h *hookFS) Unwrap() vfs.FS { return h.FS }

func (h *hookFS) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &hookFile{f, h.hook}, nil
}

func (h *hookFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return h.wrap(h.FS.Create(name, c))
}

// ReuseForWrite does in two steps what vfs.MemFS does in one: there, the rename
// takes a read lock that is held already, and hangs if a CrashClone waits for it
// in between.
func (h *hookFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := h.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return h.wrap(h.FS.OpenReadWrite(newname, c))
}

func (h *hookFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return h.wrap(h.FS.OpenReadWrite(name, c, o...))
}

func (h *hookFS) OpenDir(name string) (vfs.File, error) { return h.wrap(h.FS.OpenDir(name)) }

type hookFile struct {
	vfs.File
	hook func()
}

func (f *hookFile) Sync() error {
	f.hook()
	defer f.hook()
	return f.File.Sync()
}

func (f *hookFile) SyncData() error {
	f.hook()
	defer f.hook()
	return f.File.SyncData()
}
