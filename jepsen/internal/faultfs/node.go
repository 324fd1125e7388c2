package faultfs

import (
	"context"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// node is a file or directory. What it inherits changes nothing that a crash takes
// back.
type node struct {
	fs.LoopbackNode
	fs *FS
}

// WrapChild implements fs.NodeWrapChilder: what go-fuse makes of an entry becomes a node.
func (n *node) WrapChild(_ context.Context, made fs.InodeEmbedder) fs.InodeEmbedder {
	return &node{LoopbackNode: fs.LoopbackNode{RootData: made.(*fs.LoopbackNode).RootData}, fs: n.fs}
}

// name is the path from the mount.
func (n *node) name() string { return n.Path(nil) }

// path is where the node is in the store.
func (n *node) path() string { return filepath.Join(n.fs.live, n.name()) }

// names runs what changes names, one after another.
func (n *node) names(do func(j *journal) error) syscall.Errno {
	n.fs.world.RLock()
	defer n.fs.world.RUnlock()
	n.fs.names.Lock()
	defer n.fs.names.Unlock()
	return fs.ToErrno(do(n.fs.names.journal))
}

// Lookup implements fs.NodeLookuper.
func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.fs.world.RLock()
	defer n.fs.world.RUnlock()
	n.fs.names.RLock()
	defer n.fs.names.RUnlock()
	return n.LoopbackNode.Lookup(ctx, name, out)
}

// Create implements fs.NodeCreater.
func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	if errno := n.fs.room.entry(); errno != 0 {
		return nil, nil, 0, errno
	}
	path := filepath.Join(n.path(), name)
	var made *os.File
	errno := n.names(func(j *journal) error {
		return j.make(n.path(), name, func() (err error) {
			made, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, os.FileMode(mode))
			return err
		})
	})
	if errno != 0 {
		return nil, nil, 0, errno
	}
	_ = made.Close()
	child, errno := n.Lookup(ctx, name, out)
	if errno != 0 {
		return nil, nil, 0, errno
	}
	h, errno := n.fs.handle(child.Operations().(*node), path, flags)
	return child, h, 0, errno
}

// Open implements fs.NodeOpener.
func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	h, errno := n.fs.handle(n, n.path(), flags)
	return h, 0, errno
}

// handle opens the file at path in the store.
func (f *FS) handle(n *node, path string, flags uint32) (fs.FileHandle, syscall.Errno) {
	f.world.RLock()
	defer f.world.RUnlock()
	reader, err := os.Open(path)
	if err != nil {
		return nil, fs.ToErrno(err)
	}
	h := &handle{fs: f, node: n, reader: reader, crashes: f.crashes}
	if flags&syscall.O_ACCMODE == syscall.O_RDONLY {
		return h, 0
	}
	if h.file, err = f.open(path); err != nil {
		_ = reader.Close()
		return nil, fs.ToErrno(err)
	}
	if flags&syscall.O_TRUNC != 0 {
		if errno := h.file.truncate(&f.room, 0); errno != 0 {
			_ = reader.Close()
			f.release(h.file)
			return nil, errno
		}
	}
	return h, 0
}

// Mkdir implements fs.NodeMkdirer.
func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if errno := n.fs.room.entry(); errno != 0 {
		return nil, errno
	}
	errno := n.names(func(j *journal) error {
		return j.make(n.path(), name, func() error {
			return os.Mkdir(filepath.Join(n.path(), name), os.FileMode(mode))
		})
	})
	if errno != 0 {
		return nil, errno
	}
	return n.Lookup(ctx, name, out)
}

// Link implements fs.NodeLinker.
func (n *node) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	old, ok := target.(*node)
	if !ok {
		return nil, syscall.EXDEV
	}
	errno := n.names(func(j *journal) error {
		return j.make(n.path(), name, func() error {
			return syscall.Link(old.path(), filepath.Join(n.path(), name))
		})
	})
	if errno != 0 {
		return nil, errno
	}
	return n.Lookup(ctx, name, out)
}

// Unlink implements fs.NodeUnlinker.
func (n *node) Unlink(_ context.Context, name string) syscall.Errno {
	return n.names(func(j *journal) error { return j.remove(n.path(), name) })
}

// Rmdir implements fs.NodeRmdirer.
func (n *node) Rmdir(_ context.Context, name string) syscall.Errno {
	return n.names(func(j *journal) error {
		if err := wantEmpty(filepath.Join(n.path(), name)); err != nil {
			return err
		}
		return j.remove(n.path(), name)
	})
}

// Rename implements fs.NodeRenamer.
func (n *node) Rename(_ context.Context, name string, newParent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	to, ok := newParent.(*node)
	if !ok {
		return syscall.EXDEV
	}
	if flags&^unix.RENAME_NOREPLACE != 0 {
		return syscall.EINVAL
	}
	return n.names(func(j *journal) error {
		target := filepath.Join(to.path(), newName)
		if info, err := os.Lstat(target); err == nil {
			if flags != 0 {
				return syscall.EEXIST
			}
			if info.IsDir() {
				if err := wantEmpty(target); err != nil {
					return err
				}
			}
		}
		return j.rename(n.path(), name, to.path(), newName)
	})
}

func wantEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		return syscall.ENOTEMPTY
	}
	return err
}

// Mknod, Symlink and what else could change a file otherwise are left out: nobody
// here uses them.

// Mknod implements fs.NodeMknoder.
func (n *node) Mknod(context.Context, string, uint32, uint32, *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return nil, syscall.ENOTSUP
}

// Symlink implements fs.NodeSymlinker.
func (n *node) Symlink(context.Context, string, string, *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return nil, syscall.ENOTSUP
}

// CopyFileRange implements fs.NodeCopyFileRanger. The kernel reads and writes instead.
func (n *node) CopyFileRange(context.Context, fs.FileHandle, uint64, *fs.Inode, fs.FileHandle, uint64, uint64, uint64) (uint32, syscall.Errno) {
	return 0, syscall.ENOTSUP
}

// Setattr implements fs.NodeSetattrer.
func (n *node) Setattr(ctx context.Context, open fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if size, ok := in.GetSize(); ok {
		if errno := n.resize(open, int64(size)); errno != 0 {
			return errno
		}
		in.Valid &^= fuse.FATTR_SIZE
	}
	if _, ok := open.(*handle); ok {
		open = nil
	}
	if _, parent := n.Parent(); parent == nil && !n.IsRoot() {
		return 0 // it has no name any more
	}
	return n.LoopbackNode.Setattr(ctx, open, in, out)
}

func (n *node) resize(open fs.FileHandle, to int64) syscall.Errno {
	if h, ok := open.(*handle); ok && h.file != nil {
		return h.truncate(to)
	}
	n.fs.world.RLock()
	defer n.fs.world.RUnlock()
	x, err := n.fs.open(n.path())
	if err != nil {
		return fs.ToErrno(err)
	}
	defer n.fs.release(x)
	return x.truncate(&n.fs.room, to)
}

// Statfs implements fs.NodeStatfser.
func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	return n.fs.room.statfs(out)
}

// OpendirHandle implements fs.NodeOpendirHandler.
func (n *node) OpendirHandle(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	entries, errno := fs.NewLoopbackDirStream(n.path())
	if errno != 0 {
		return nil, 0, errno
	}
	return &dirHandle{node: n, entries: entries.(dirStream)}, 0, 0
}

// dirStream is what go-fuse's stream of a directory's entries can do.
type dirStream interface {
	fs.DirStream
	fs.FileReaddirenter
	fs.FileSeekdirer
}

// dirHandle is an open directory.
type dirHandle struct {
	node    *node
	entries dirStream
}

// Readdirent implements fs.FileReaddirenter.
func (d *dirHandle) Readdirent(ctx context.Context) (*fuse.DirEntry, syscall.Errno) {
	return d.entries.Readdirent(ctx)
}

// Seekdir implements fs.FileSeekdirer.
func (d *dirHandle) Seekdir(ctx context.Context, off uint64) syscall.Errno {
	return d.entries.Seekdir(ctx, off)
}

// Releasedir implements fs.FileReleasedirer.
func (d *dirHandle) Releasedir(context.Context, uint32) { d.entries.Close() }

// Fsyncdir implements fs.FileFsyncdirer.
func (d *dirHandle) Fsyncdir(context.Context, uint32) syscall.Errno {
	f := d.node.fs
	f.syncs.Add(1)
	if errno := f.suffer(Sync, d.node.name); errno != 0 {
		return errno
	}
	if f.lie(d.node.name) {
		return 0
	}
	var removed bool
	errno := d.node.names(func(j *journal) error {
		var st unix.Stat_t
		if err := unix.Stat(d.node.path(), &st); err != nil {
			return err
		}
		before := len(j.changes)
		err := j.sync(st.Ino)
		removed = len(j.changes) < before
		return err
	})
	if removed {
		f.forgetRemoved()
	}
	return errno
}
