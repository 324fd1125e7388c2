package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/google/uuid"

	"github.com/ringd/ringd/ring"
)

// Dir is a member's data directory, held by this process alone.
type Dir struct {
	path string
	lock *os.File

	// writing is held while the identity is changed.
	writing sync.Mutex
	mu      struct {
		sync.Mutex
		identity identity
		starts   starts
	}
}

// identity is made with the directory and never changes, but for the cluster
// that it comes to belong to.
type identity struct {
	Format    int           `json:"format"`
	ID        ring.MemberID `json:"id"`
	Name      string        `json:"name"`
	ClusterID string        `json:"cluster_id"`
	// Begins: the member began the cluster, and its log may not say so yet.
	Begins bool `json:"begins,omitempty"`
	// Founds is the log of a recovery that the member began, and that may not say so
	// yet. It counts only if the state is of that log.
	Founds string `json:"founds,omitempty"`
}

// starts is what the directory knows of the member's starts: Count of those that
// were agreed on, and the Nonce of one that may have been.
type starts struct {
	Format int    `json:"format"`
	Count  uint64 `json:"count"`
	Nonce  string `json:"nonce,omitempty"`
}

const dirFormat = 1

// What cluster keeps in the directory.
const (
	identityFile = "identity.json"
	startsFile   = "starts.json"
	stateFile    = "state.json"
	peersFile    = "peers.json"
	raftDir      = "raft"
)

// OpenDir takes hold of a data directory, made if it is not there.
func OpenDir(path, name string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	// Who may not list the parent can't sync it, and did not make the directory.
	if err := syncDir(filepath.Dir(filepath.Clean(path))); err != nil && !errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	d := &Dir{path: path}
	if err := d.takeLock(); err != nil {
		return nil, err
	}
	err := d.load(name)
	if err != nil {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Dir) takeLock() error {
	f, err := os.OpenFile(filepath.Join(d.path, "LOCK"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		pid, _ := os.ReadFile(f.Name())
		_ = f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("data directory %s: %w", d.path, err)
		}
		return fmt.Errorf("the data directory %s is in use by another ringd (process %s): stop that one first, or use another directory", d.path, strings.TrimSpace(string(pid)))
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintln(f, os.Getpid())
	}
	if err != nil {
		return errors.Join(fmt.Errorf("data directory: %w", err), f.Close())
	}
	d.lock = f
	return nil
}

func (d *Dir) load(name string) error {
	var have identity
	found, err := d.read(identityFile, &have)
	if err != nil {
		return err
	}
	if !found {
		if err := d.refuseLeftovers(); err != nil {
			return err
		}
		have = identity{Format: dirFormat, ID: ring.MemberID(uuid.New()), Name: name}
		if err := d.write(identityFile, have); err != nil {
			return err
		}
	}
	if err := d.checkFormat(identityFile, have.Format); err != nil {
		return err
	}
	if have.Name != name {
		return fmt.Errorf("the data directory %s belongs to member %q, not %q: a member keeps its name", d.path, have.Name, name)
	}
	if have.ID.IsZero() {
		return fmt.Errorf("data directory: %s names no member", d.Path(identityFile))
	}
	var counted starts
	if found, err = d.read(startsFile, &counted); err != nil {
		return err
	}
	if found {
		if err := d.checkFormat(startsFile, counted.Format); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.identity, d.mu.starts = have, counted
	return nil
}

// refuseLeftovers keeps a member whose identity was lost from being taken for a
// new one on top of the old one's data.
func (d *Dir) refuseLeftovers() error {
	for _, name := range []string{startsFile, stateFile, raftDir} {
		if _, err := os.Lstat(d.Path(name)); err == nil {
			return fmt.Errorf("the data directory %s has a member's %s but no %s: restore that file, or start with an empty directory, under another name", d.path, name, identityFile)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("data directory: %w", err)
		}
	}
	return nil
}

func (d *Dir) checkFormat(name string, format int) error {
	if format != dirFormat {
		return fmt.Errorf("data directory: %s has format %d, and this ringd reads %d", d.Path(name), format, dirFormat)
	}
	return nil
}

func (d *Dir) identity() identity {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.identity
}

// ID of the member.
func (d *Dir) ID() ring.MemberID { return d.identity().ID }

// ClusterID that the member belongs to; empty if it has not joined one.
func (d *Dir) ClusterID() string { return d.identity().ClusterID }

// begins reports whether the member began a log, of its cluster or of a recovery,
// and has still to tell it.
func (d *Dir) begins(log string) bool {
	have := d.identity()
	return (log == "" && have.Begins) || (log != "" && have.Founds == log)
}

// begun says that a log was told.
func (d *Dir) begun(log string) error {
	return d.change(func(i *identity) {
		if log == "" {
			i.Begins = false
		} else if i.Founds == log {
			i.Founds = ""
		}
	})
}

func (d *Dir) setFounds(log string) error { return d.change(func(i *identity) { i.Founds = log }) }

func (d *Dir) setCluster(id string, begins bool) error {
	return d.change(func(i *identity) { i.ClusterID, i.Begins = id, begins })
}

func (d *Dir) change(f func(*identity)) error {
	d.writing.Lock()
	defer d.writing.Unlock()
	next := d.identity()
	f(&next)
	if err := d.write(identityFile, next); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.identity = next
	return nil
}

func (d *Dir) counted() starts {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.starts
}

// setStarts is called by one goroutine at a time.
func (d *Dir) setStarts(s starts) error {
	s.Format = dirFormat
	if err := d.write(startsFile, s); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.starts = s
	return nil
}

// peersFormat is how peers are remembered.
type peersFormat struct {
	Format int                    `json:"format"`
	Peers  map[ring.MemberID]Peer `json:"peers"`
}

// peers are the other members as they were last met.
func (d *Dir) peers() (map[ring.MemberID]Peer, error) {
	var p peersFormat
	found, err := d.read(peersFile, &p)
	if err != nil || !found {
		return nil, err
	}
	return p.Peers, d.checkFormat(peersFile, p.Format)
}

func (d *Dir) setPeers(peers map[ring.MemberID]Peer) error {
	return d.write(peersFile, peersFormat{Format: dirFormat, Peers: peers})
}

// Store returns the name of the store that belongs into the directory, empty if
// it never had one.
func (d *Dir) Store() (string, error) {
	var id storeID
	_, err := d.read(storeFile, &id)
	return id.Store, err
}

// SetStore sets the name of the store, durably.
func (d *Dir) SetStore(name string) error { return d.write(storeFile, storeID{Store: name}) }

const storeFile = "store.json"

type storeID struct {
	Store string `json:"store"`
}

// Path of something in the directory.
func (d *Dir) Path(name string) string { return filepath.Join(d.path, name) }

// Close lets go of the directory.
func (d *Dir) Close() error { return d.lock.Close() }

// readBytes returns what is in a file, nil if there is none.
func (d *Dir) readBytes(name string) ([]byte, error) {
	raw, err := os.ReadFile(d.Path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	return raw, nil
}

func (d *Dir) read(name string, into any) (bool, error) {
	raw, err := os.ReadFile(d.Path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		return false, fmt.Errorf("data directory: %s: %w", d.Path(name), err)
	}
	return true, nil
}

func (d *Dir) write(name string, v any) error {
	raw, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return d.writeBytes(name, raw)
}

// writeBytes replaces a file so that after a crash there is the old one or the
// new one, whole.
func (d *Dir) writeBytes(name string, raw []byte) error {
	final := d.Path(name)
	f, err := os.OpenFile(final+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	_, err = f.Write(raw)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(final+".new", final)
	}
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return syncDir(d.path)
}

// syncDir makes what a directory lists durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err == nil {
		err = errors.Join(dir.Sync(), dir.Close())
	}
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return nil
}
