package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/uuid"

	"github.com/ringd/ringd/ring"
)

// Dir is a member's data directory, held by this process alone.
type Dir struct {
	path string
	lock *os.File
	// Identity of the member that the directory is.
	identity identity
	starts   starts
}

// identity is made with the directory and never changes, but for the cluster
// that it comes to belong to.
type identity struct {
	Format    int           `json:"format"`
	ID        ring.MemberID `json:"id"`
	Name      string        `json:"name"`
	ClusterID string        `json:"cluster_id"`
}

// starts is what the directory knows of the member's starts: Count of those that
// were agreed on, and the Nonce of one that may have been.
type starts struct {
	Format int    `json:"format"`
	Count  uint64 `json:"count"`
	Nonce  string `json:"nonce,omitempty"`
}

const dirFormat = 1

// OpenDir takes hold of a data directory, made if it is not there.
func OpenDir(path, name string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
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
	d.lock = f
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, os.Getpid())
	return err
}

func (d *Dir) load(name string) error {
	found, err := d.read("identity.json", &d.identity)
	if err != nil {
		return err
	}
	if !found {
		id := uuid.New()
		d.identity = identity{Format: dirFormat, ID: ring.MemberID(id), Name: name}
		if err := d.write("identity.json", d.identity); err != nil {
			return err
		}
	}
	if d.identity.Format != dirFormat {
		return fmt.Errorf("the data directory %s has format %d, and this ringd reads %d", d.path, d.identity.Format, dirFormat)
	}
	if d.identity.Name != name {
		return fmt.Errorf("the data directory %s belongs to member %q, not %q: a member keeps its name", d.path, d.identity.Name, name)
	}
	_, err = d.read("starts.json", &d.starts)
	return err
}

// ID of the member.
func (d *Dir) ID() ring.MemberID { return d.identity.ID }

// ClusterID that the member belongs to; empty if it has not joined one.
func (d *Dir) ClusterID() string { return d.identity.ClusterID }

func (d *Dir) setCluster(id string) error {
	d.identity.ClusterID = id
	return d.write("identity.json", d.identity)
}

func (d *Dir) setStarts(s starts) error {
	s.Format = dirFormat
	if err := d.write("starts.json", s); err != nil {
		return err
	}
	d.starts = s
	return nil
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
	dir, err := os.Open(d.path)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}
