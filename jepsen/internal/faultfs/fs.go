package faultfs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// kind is the type of the mounts, as mountinfo has it after "fuse.".
const kind = "ringd-faultfs"

// maxWrite is the most that the kernel hands over at once: its own bound.
const maxWrite = 1 << 20

// FS is one mounted file system. Its methods may be called at any time, by any
// goroutine.
//
// Locks, in their order: world, names, files, file.mu, room.mu.
type FS struct {
	// Dir is where it is mounted.
	Dir string

	live, grave string // in the store
	server      *fuse.Server
	root        *node
	room        room
	faults      faults
	lies        atomic.Pointer[string]
	syncs       atomic.Int64 // begun
	closing     chan struct{}
	closed      sync.Once

	// world is held for reading by every operation, and by a crash alone.
	world   sync.RWMutex
	crashes uint64 // guarded by world

	names struct {
		sync.RWMutex
		journal *journal
	}
	files struct {
		sync.Mutex
		known map[uint64]*file // by inode number
	}
}

// Mount mounts a file system on dir, which is made if it isn't there, and keeps its
// content in store, a directory of another file system, which is made, too. What the
// store holds from before is there, and synced.
func Mount(dir, store string) (*FS, error) {
	f := &FS{
		Dir: dir, live: filepath.Join(store, "live"), grave: filepath.Join(store, "removed"),
		closing: make(chan struct{}),
	}
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.RemoveAll(f.grave),
		os.MkdirAll(f.live, 0o755), os.MkdirAll(f.grave, 0o755)); err != nil {
		return nil, fmt.Errorf("faultfs: %w", err)
	}
	f.room.dir = f.live
	f.names.journal = newJournal(f.grave)
	f.files.known = make(map[uint64]*file)

	var st syscall.Stat_t
	if err := syscall.Stat(f.live, &st); err != nil {
		return nil, fmt.Errorf("faultfs: %s: %w", f.live, err)
	}
	data := &fs.LoopbackRoot{Path: f.live, Dev: uint64(st.Dev)}
	f.root = &node{LoopbackNode: fs.LoopbackNode{RootData: data}, fs: f}
	data.RootNode = f.root

	// Nothing is kept by the kernel but the content of files that are open: a crash
	// changes everything else behind its back.
	var never time.Duration
	server, err := fs.Mount(dir, f.root, &fs.Options{
		EntryTimeout: &never, AttrTimeout: &never, NegativeTimeout: &never,
		MountOptions: fuse.MountOptions{
			DirectMountStrict: true, AllowOther: true, MaxWrite: maxWrite,
			FsName: mountName(), Name: kind, DisableXAttrs: true, ExplicitDataCacheControl: true,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("faultfs: mount on %s: %w", dir, err)
	}
	f.server = server
	return f, nil
}

// Loss is how much of what was not synced a crash loses.
type Loss struct {
	// Some: not all, but what Seed decides.
	Some bool
	Seed uint64
}

// Crash loses what was not synced. Who had files open before can do nothing with
// them afterwards: it is to be called once the processes that used the file system
// are killed and gone.
func (f *FS) Crash(loss Loss) error {
	f.world.Lock()
	defer f.world.Unlock()
	f.names.Lock()
	defer f.names.Unlock()
	f.files.Lock()
	defer f.files.Unlock()
	f.crashes++

	var random *rand.Rand
	if loss.Some {
		random = rand.New(rand.NewPCG(loss.Seed, 0))
	}
	var all []*file
	for _, x := range f.files.known {
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b *file) int { return int(int64(a.inode) - int64(b.inode)) })
	var err error
	for _, x := range all {
		err = errors.Join(err, x.lose(random))
		f.forgetLocked(x)
	}
	// Those that are open yet are of no use: whoever opens them again begins anew.
	clear(f.files.known)
	if err := errors.Join(err, f.names.journal.lose(random)); err != nil {
		return fmt.Errorf("faultfs: crash: %w", err)
	}
	return nil
}

func (x *file) lose(random *rand.Rand) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if random == nil {
		return x.mu.undo.lose(x.f)
	}
	size, err := x.size()
	if err != nil {
		return err
	}
	return x.mu.undo.loseSome(x.f, size, random)
}

// Lie makes every fsync at paths of the pattern (see Fault) a lie from now on: it says
// that it was done, and a crash loses what it should have kept. "*" is all, "" is none.
func (f *FS) Lie(pattern string) { f.lies.Store(&pattern) }

// lie reports whether an fsync there is a lie.
func (f *FS) lie(name func() string) bool {
	pattern := f.lies.Load()
	return pattern != nil && *pattern != "" && match(*pattern, name())
}

// Syncs is the number of fsyncs that began, of files and directories.
func (f *FS) Syncs() int64 { return f.syncs.Load() }

// Unsynced is the number of files and of changes of directories that a crash
// would take something of.
func (f *FS) Unsynced() (files, changes int) {
	f.names.RLock()
	changes = len(f.names.journal.changes)
	f.names.RUnlock()
	f.files.Lock()
	defer f.files.Unlock()
	for _, x := range f.files.known {
		x.mu.Lock()
		if !x.mu.undo.clean() {
			files++
		}
		x.mu.Unlock()
	}
	return files, changes
}

// dropCaches has the kernel ask again for what it holds of files.
func (f *FS) dropCaches() {
	var visit func(n *fs.Inode)
	visit = func(n *fs.Inode) {
		for _, child := range n.Children() {
			visit(child)
		}
		if !n.IsDir() {
			_ = n.NotifyContent(0, 0)
		}
	}
	visit(f.root.EmbeddedInode())
}

// Close unmounts the file system. The processes that use it are to be gone; what they
// left is in the store, unsynced or not. Whoever still has it, as a copy in a mount
// namespace of its own, gets errors from then on.
func (f *FS) Close() error {
	var err error
	f.closed.Do(func() {
		close(f.closing)
		err = f.unmount()
	})
	return err
}

func (f *FS) unmount() error {
	var st unix.Stat_t
	if err := unix.Stat(f.Dir, &st); err != nil {
		return fmt.Errorf("faultfs: %s: %w", f.Dir, err)
	}
	if err := unix.Unmount(f.Dir, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("faultfs: unmount %s: %w", f.Dir, err)
	}
	if err := abort(unix.Minor(st.Dev)); err != nil {
		return fmt.Errorf("faultfs: end of the mount on %s: %w", f.Dir, err)
	}
	f.server.Wait()
	return nil
}

// abort ends a connection of the kernel's FUSE, by its number. It is not there any
// more if nobody has the file system.
func abort(connection uint32) error {
	dir, err := os.MkdirTemp("", "ringd-fusectl-")
	if err != nil {
		return err
	}
	if err := unix.Mount("none", dir, "fusectl", 0, ""); err != nil {
		return errors.Join(err, os.Remove(dir))
	}
	err = os.WriteFile(filepath.Join(dir, fmt.Sprint(connection), "abort"), []byte("1"), 0)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, unix.Unmount(dir, unix.MNT_DETACH), os.Remove(dir))
}
