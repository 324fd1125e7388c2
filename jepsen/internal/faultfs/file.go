package faultfs

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// file is a file that is open for writing, or has something that is not synced. It
// is held open, so that its inode number is nobody else's while it is known.
type file struct {
	inode uint64
	f     *os.File // for reading and writing, of the store

	handles int // guarded by FS.files

	mu struct {
		sync.Mutex
		undo undo
	}
}

// open returns the file at path in the store. The caller ends with release.
func (f *FS) open(path string) (*file, error) {
	// Not by its name alone: what was opened is what is known, or becomes so.
	opened, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return f.adopt(opened)
}

// adopt makes a file known that was opened for reading and writing.
func (f *FS) adopt(opened *os.File) (*file, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(opened.Fd()), &st); err != nil {
		_ = opened.Close()
		return nil, err
	}
	f.files.Lock()
	defer f.files.Unlock()
	x, known := f.files.known[st.Ino]
	if known {
		_ = opened.Close()
	} else {
		x = &file{inode: st.Ino, f: opened}
		f.files.known[st.Ino] = x
	}
	x.handles++
	return x, nil
}

// release ends what open began. A file with something unsynced remains known.
func (f *FS) release(x *file) {
	f.files.Lock()
	defer f.files.Unlock()
	x.handles--
	f.forgetLocked(x)
}

// forgetLocked forgets a file that nobody has open, if it is synced or its last
// name is gone for good. FS.files is held.
func (f *FS) forgetLocked(x *file) {
	if x.handles > 0 {
		return
	}
	x.mu.Lock()
	clean := x.mu.undo.clean()
	x.mu.Unlock()
	if !clean {
		var st unix.Stat_t
		if unix.Fstat(int(x.f.Fd()), &st) != nil || st.Nlink > 0 {
			return
		}
	}
	if f.files.known[x.inode] == x {
		delete(f.files.known, x.inode)
	}
	_ = x.f.Close()
}

// forgetRemoved forgets files whose last name is gone for good.
func (f *FS) forgetRemoved() {
	f.files.Lock()
	defer f.files.Unlock()
	for _, x := range f.files.known {
		f.forgetLocked(x)
	}
}

func (x *file) size() (int64, error) {
	var st unix.Stat_t
	err := unix.Fstat(int(x.f.Fd()), &st)
	return st.Size, err
}

func (x *file) write(r *room, data []byte, off int64) (uint32, syscall.Errno) {
	x.mu.Lock()
	defer x.mu.Unlock()
	size, err := x.size()
	if err != nil {
		return 0, fs.ToErrno(err)
	}
	end := off + int64(len(data))
	if errno := r.grow(end - size); errno != 0 {
		return 0, errno
	}
	if err := x.mu.undo.changes(x.f, size, off, end); err != nil {
		return 0, fs.ToErrno(err)
	}
	n, err := x.f.WriteAt(data, off)
	if n > 0 {
		return uint32(n), 0
	}
	return 0, fs.ToErrno(err)
}

func (x *file) truncate(r *room, to int64) syscall.Errno {
	x.mu.Lock()
	defer x.mu.Unlock()
	size, err := x.size()
	if err != nil {
		return fs.ToErrno(err)
	}
	if size == to {
		return 0
	}
	if errno := r.grow(to - size); errno != 0 {
		return errno
	}
	if err := x.mu.undo.changes(x.f, size, to, size); err != nil {
		return fs.ToErrno(err)
	}
	return fs.ToErrno(x.f.Truncate(to))
}

// allocate makes room for what will be written. It changes the size unless told not to.
func (x *file) allocate(r *room, off, size int64, mode uint32) syscall.Errno {
	if mode&^unix.FALLOC_FL_KEEP_SIZE != 0 {
		return syscall.ENOTSUP
	}
	now, err := x.size()
	if err != nil {
		return fs.ToErrno(err)
	}
	if mode == 0 && off+size > now {
		return x.truncate(r, off+size)
	}
	return fs.ToErrno(unix.Fallocate(int(x.f.Fd()), mode, off, size))
}

func (x *file) begin() uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.mu.undo.begin()
}

func (x *file) end(began uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.mu.undo.end(began)
}

// handle is an open file.
type handle struct {
	fs   *FS
	node *node
	// reader is of the store.
	reader *os.File
	// file is nil if the handle is for reading only.
	file *file
	// crashes of the file system before it was opened: what was open in a crash is
	// of no use after it.
	crashes uint64
}

// stale reports whether there was a crash since the handle was opened. FS.world is held.
func (h *handle) stale() bool { return h.crashes != h.fs.crashes }

// Read implements fs.FileReader.
func (h *handle) Read(_ context.Context, buf []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	if errno := h.fs.suffer(Read, h.node.name); errno != 0 {
		return nil, errno
	}
	h.fs.world.RLock()
	defer h.fs.world.RUnlock()
	if h.stale() {
		return nil, syscall.EIO
	}
	n, err := h.reader.ReadAt(buf, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fs.ToErrno(err)
	}
	return fuse.ReadResultData(buf[:n]), 0
}

// Write implements fs.FileWriter.
func (h *handle) Write(_ context.Context, data []byte, off int64) (uint32, syscall.Errno) {
	if errno := h.fs.suffer(Write, h.node.name); errno != 0 {
		return 0, errno
	}
	h.fs.world.RLock()
	defer h.fs.world.RUnlock()
	if errno := h.writable(); errno != 0 {
		return 0, errno
	}
	return h.file.write(&h.fs.room, data, off)
}

// Fsync implements fs.FileFsyncer.
func (h *handle) Fsync(context.Context, uint32) syscall.Errno {
	h.fs.syncs.Add(1)
	lie := h.fs.lie(h.node.name)
	x, err := h.syncs()
	if err != nil {
		return fs.ToErrno(err)
	}
	var began uint64
	if x != nil && !lie {
		began = x.begin()
	}
	if errno := h.fs.suffer(Sync, h.node.name); errno != 0 {
		return errno
	}
	h.fs.world.RLock()
	defer h.fs.world.RUnlock()
	switch {
	case h.stale():
		return syscall.EIO
	case x != nil && !lie:
		x.end(began)
		h.fs.files.Lock()
		h.fs.forgetLocked(x)
		h.fs.files.Unlock()
	}
	return 0
}

// syncs returns the file that an fsync syncs, by a handle for reading too. It is nil
// if nothing of it is unsynced.
func (h *handle) syncs() (*file, error) {
	if h.file != nil {
		return h.file, nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(h.reader.Fd()), &st); err != nil {
		return nil, err
	}
	h.fs.files.Lock()
	defer h.fs.files.Unlock()
	return h.fs.files.known[st.Ino], nil
}

// Setattr implements fs.FileSetattrer, for what is done by a handle.
func (h *handle) Setattr(ctx context.Context, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if size, ok := in.GetSize(); ok {
		if errno := h.truncate(int64(size)); errno != 0 {
			return errno
		}
	}
	return h.Getattr(ctx, out)
}

// writable says why the handle's file can't be changed; 0 if it can. The world is held.
func (h *handle) writable() syscall.Errno {
	switch {
	case h.stale():
		return syscall.EIO
	case h.file == nil:
		return syscall.EBADF
	}
	return 0
}

func (h *handle) truncate(to int64) syscall.Errno {
	h.fs.world.RLock()
	defer h.fs.world.RUnlock()
	if errno := h.writable(); errno != 0 {
		return errno
	}
	return h.file.truncate(&h.fs.room, to)
}

// Getattr implements fs.FileGetattrer.
func (h *handle) Getattr(_ context.Context, out *fuse.AttrOut) syscall.Errno {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(h.reader.Fd()), &st); err != nil {
		return fs.ToErrno(err)
	}
	out.FromStat(&st)
	return 0
}

// Allocate implements fs.FileAllocater.
func (h *handle) Allocate(_ context.Context, off, size uint64, mode uint32) syscall.Errno {
	h.fs.world.RLock()
	defer h.fs.world.RUnlock()
	if errno := h.writable(); errno != 0 {
		return errno
	}
	return h.file.allocate(&h.fs.room, int64(off), int64(size), mode)
}

// Flush implements fs.FileFlusher: closing syncs nothing.
func (h *handle) Flush(context.Context) syscall.Errno { return 0 }

// Release implements fs.FileReleaser.
func (h *handle) Release(context.Context) syscall.Errno {
	err := h.reader.Close()
	if h.file != nil {
		h.fs.release(h.file)
	}
	return fs.ToErrno(err)
}
