package faultfs

import (
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// room is how much may be stored. Files count by their sizes.
type room struct {
	dir string

	mu struct {
		sync.Mutex
		limit int64 // bytes; 0 is none
		// used is at least what the files hold: removals are seen only when it is
		// counted again.
		used int64
	}
}

// SetLimit makes the file system full at so many bytes, 0 at none of its own: what
// would need more fails with ENOSPC, and statfs tells of it. What is there stays.
func (f *FS) SetLimit(bytes int64) {
	f.room.mu.Lock()
	defer f.room.mu.Unlock()
	f.room.mu.limit = bytes
	f.room.mu.used = used(f.room.dir)
}

// Used is the number of bytes that files hold.
func (f *FS) Used() int64 { return used(f.room.dir) }

// grow takes room for so many bytes, or returns ENOSPC.
func (r *room) grow(bytes int64) syscall.Errno {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.limit == 0 || bytes <= 0 {
		return 0
	}
	if r.mu.used+bytes > r.mu.limit {
		r.mu.used = used(r.dir)
	}
	if r.mu.used+bytes > r.mu.limit {
		return syscall.ENOSPC
	}
	r.mu.used += bytes
	return 0
}

// entry takes the room of a new entry in a directory, which is that of a page.
func (r *room) entry() syscall.Errno { return r.grow(pageBytes) }

func (r *room) statfs(out *fuse.StatfsOut) syscall.Errno {
	var s syscall.Statfs_t
	if err := syscall.Statfs(r.dir, &s); err != nil {
		return fs.ToErrno(err)
	}
	out.FromStatfsT(&s)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.limit == 0 {
		return 0
	}
	r.mu.used = used(r.dir)
	free := uint64(max(0, r.mu.limit-r.mu.used)) / pageBytes
	out.Bsize, out.Frsize = pageBytes, pageBytes
	out.Blocks, out.Bfree, out.Bavail = uint64(r.mu.limit)/pageBytes, free, free
	return 0
}

// used counts what is below a directory. What goes while it counts is not counted.
func used(dir string) int64 {
	var sum int64
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
		return nil
	})
	return sum
}
