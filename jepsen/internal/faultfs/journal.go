package faultfs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// journal is the changes of directories that are not synced, in their order. It is not
// safe for use by several goroutines.
type journal struct {
	grave   string // directory that removed entries are moved into, on the store's file system
	changes []*change
	dirs    map[uint64]*directory // those that changes are in, by inode number
	buried  uint64                // names given in grave so far
}

// directory is one of the store, wherever it is now. It is held open, so that its
// inode number is nobody else's while it is known.
type directory struct {
	inode   uint64
	fd      int
	changes int
}

// change is one change of one directory, or of two, by a rename from one to the other.
type change struct {
	dirs []*directory // without doubles
	// made is the name that was made in the last of dirs, "" if none was.
	made string
	// from is the name that it had before in the first of dirs, "" if it is new.
	from string
	// removed is the name that went from the last of dirs, or was replaced there by
	// made, and where in the grave it is; or both are "".
	removed, grave string
}

func newJournal(grave string) *journal {
	return &journal{grave: grave, dirs: make(map[uint64]*directory)}
}

// directory opens the directory at path for a change. The caller gives it back with
// release if there is none.
func (j *journal) directory(path string) (*directory, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	if d, known := j.dirs[st.Ino]; known {
		_ = unix.Close(fd)
		return d, nil
	}
	d := &directory{inode: st.Ino, fd: fd}
	j.dirs[st.Ino] = d
	return d, nil
}

func (j *journal) release(dirs ...*directory) {
	for _, d := range dirs {
		if d.changes == 0 && j.dirs[d.inode] == d {
			delete(j.dirs, d.inode)
			_ = unix.Close(d.fd)
		}
	}
}

// make makes an entry by what do does, and keeps that it was made.
func (j *journal) make(parent, name string, do func() error) error {
	d, err := j.directory(parent)
	if err != nil {
		return err
	}
	if err := do(); err != nil {
		j.release(d)
		return err
	}
	j.add(&change{dirs: []*directory{d}, made: name})
	return nil
}

// remove removes an entry. What it is remains in the grave until that is synced.
func (j *journal) remove(parent, name string) error {
	d, err := j.directory(parent)
	if err != nil {
		return err
	}
	grave := j.bury()
	if err := unix.Renameat(d.fd, name, unix.AT_FDCWD, grave); err != nil {
		j.release(d)
		return err
	}
	j.add(&change{dirs: []*directory{d}, removed: name, grave: grave})
	return nil
}

// rename renames an entry, over another one if there is one.
func (j *journal) rename(parent, name, newParent, newName string) error {
	from, err := j.directory(parent)
	if err != nil {
		return err
	}
	to, err := j.directory(newParent)
	if err != nil {
		j.release(from)
		return err
	}
	c := &change{dirs: []*directory{from}, made: newName, from: name}
	if to != from {
		c.dirs = append(c.dirs, to)
	}
	var there unix.Stat_t
	if unix.Fstatat(to.fd, newName, &there, unix.AT_SYMLINK_NOFOLLOW) == nil {
		var moved unix.Stat_t
		if unix.Fstatat(from.fd, name, &moved, unix.AT_SYMLINK_NOFOLLOW) == nil && moved.Ino == there.Ino {
			j.release(c.dirs...)
			return nil // two names of one file: POSIX has nothing done
		}
		c.removed, c.grave = newName, j.bury()
		if err := unix.Renameat(to.fd, newName, unix.AT_FDCWD, c.grave); err != nil {
			j.release(c.dirs...)
			return err
		}
	}
	if err := unix.Renameat(from.fd, name, to.fd, newName); err != nil {
		if c.removed != "" {
			err = errors.Join(err, unix.Renameat(unix.AT_FDCWD, c.grave, to.fd, newName))
		}
		j.release(c.dirs...)
		return err
	}
	j.add(c)
	return nil
}

func (j *journal) add(c *change) {
	for _, d := range c.dirs {
		d.changes++
	}
	j.changes = append(j.changes, c)
}

func (j *journal) bury() string {
	j.buried++
	return filepath.Join(j.grave, fmt.Sprint(j.buried))
}

// sync makes the changes of the directory with that inode number durable, and with a
// rename from or to another one what was changed there before it.
func (j *journal) sync(inode uint64) error {
	var err error
	for waiting := []uint64{inode}; len(waiting) > 0; waiting = waiting[1:] {
		durable := j.durable(waiting[0])
		kept := j.changes[:0:0]
		for _, c := range j.changes {
			if !durable[c] {
				kept = append(kept, c)
				continue
			}
			// What was changed in a directory goes with it.
			var st unix.Stat_t
			if c.grave != "" && unix.Lstat(c.grave, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
				waiting = append(waiting, st.Ino)
			}
		}
		j.changes = kept
		for c := range durable {
			err = errors.Join(err, j.forget(c))
		}
	}
	return err
}

// durable returns the changes that are synced with the directory.
func (j *journal) durable(inode uint64) map[*change]bool {
	if _, known := j.dirs[inode]; !known {
		return nil
	}
	synced := map[uint64]bool{inode: true}
	durable := make(map[*change]bool)
	for _, c := range slices.Backward(j.changes) {
		for _, d := range c.dirs {
			if synced[d.inode] {
				durable[c] = true
			}
		}
		if durable[c] {
			for _, d := range c.dirs {
				synced[d.inode] = true
			}
		}
	}
	return durable
}

// forget ends what is known of a change.
func (j *journal) forget(c *change) error {
	for _, d := range c.dirs {
		d.changes--
	}
	j.release(c.dirs...)
	if c.grave == "" {
		return nil
	}
	return os.RemoveAll(c.grave)
}

// lose takes the changes back from the newest: all, or with a source of randomness
// the last ones of each directory.
func (j *journal) lose(random *rand.Rand) error {
	lost := make(map[*change]bool)
	closed := make(map[*directory]bool) // a change of it was lost: so are later ones
	for _, c := range j.changes {
		gone := random == nil || random.IntN(4) == 0
		for _, d := range c.dirs {
			gone = gone || closed[d]
		}
		if !gone {
			continue
		}
		lost[c] = true
		for _, d := range c.dirs {
			closed[d] = true
		}
	}
	var err error
	for _, c := range slices.Backward(j.changes) {
		if lost[c] {
			err = errors.Join(err, j.takeBack(c))
		}
	}
	for _, c := range j.changes {
		err = errors.Join(err, j.forget(c))
	}
	j.changes = nil
	return err
}

func (j *journal) takeBack(c *change) error {
	first, last := c.dirs[0], c.dirs[len(c.dirs)-1]
	switch {
	case c.from != "":
		if err := unix.Renameat(last.fd, c.made, first.fd, c.from); err != nil {
			return fmt.Errorf("faultfs: rename of %s back to %s: %w", c.made, c.from, err)
		}
	case c.made != "":
		trash := j.bury()
		if err := unix.Renameat(last.fd, c.made, unix.AT_FDCWD, trash); err != nil {
			return fmt.Errorf("faultfs: removal of %s: %w", c.made, err)
		}
		if err := os.RemoveAll(trash); err != nil {
			return err
		}
	}
	if c.removed == "" {
		return nil
	}
	if err := unix.Renameat(unix.AT_FDCWD, c.grave, last.fd, c.removed); err != nil {
		return fmt.Errorf("faultfs: return of %s: %w", c.removed, err)
	}
	c.grave = ""
	return nil
}
