package cluster

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// OldDir is the data directory of a member that does not run, held so that it is not
// started meanwhile. Nothing in it is changed.
type OldDir struct {
	path     string
	lock     *os.File // nil if there is none
	identity identity
}

// OpenOldDir takes hold of a data directory. Errors are of KindInvalid,
// KindPrecondition or KindInternal.
func OpenOldDir(path string) (*OldDir, error) {
	if !filepath.IsAbs(path) {
		return nil, replica.Invalid("directory", "%q is no absolute path: name one on the host of the member that is asked", path)
	}
	d := &OldDir{path: filepath.Clean(path)}
	raw, err := os.ReadFile(d.Path(identityFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, replica.Invalid("directory", "%s is no data directory of ringd, or not on this host: there is no %s", path, d.Path(identityFile))
	case err != nil:
		return nil, replica.Errorf(replica.KindPrecondition, "the data directory %s can't be read: %v", path, err)
	}
	if err := json.Unmarshal(raw, &d.identity); err != nil {
		return nil, replica.Errorf(replica.KindPrecondition, "%s: %v", d.Path(identityFile), err)
	}
	if d.identity.Format != dirFormat {
		return nil, replica.Errorf(replica.KindPrecondition, "%s has format %d, and this ringd reads %d", d.Path(identityFile), d.identity.Format, dirFormat)
	}
	if d.lock, err = os.Open(d.Path("LOCK")); errors.Is(err, fs.ErrNotExist) {
		return d, nil // a copy without it
	}
	if err == nil {
		err = syscall.Flock(int(d.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err == nil {
		return d, nil
	}
	pid, _ := os.ReadFile(d.Path("LOCK"))
	_ = d.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, replica.Errorf(replica.KindPrecondition, "the data directory %s is in use by a ringd (process %s): one of a member that runs is not salvaged", path, strings.TrimSpace(string(pid)))
	}
	return nil, replica.Errorf(replica.KindPrecondition, "the data directory %s: %v", path, err)
}

// CheckSalvage returns why s's cluster does not take what the directory holds.
func (d *OldDir) CheckSalvage(s *State) error {
	m, in := s.Members[d.identity.ID]
	switch {
	case d.identity.ClusterID != s.ClusterID:
		return replica.Errorf(replica.KindPrecondition, "the data directory %s belongs to cluster %q, and this one is %s: its keys are of no meaning here", d.path, d.identity.ClusterID, s.ClusterID)
	case in && !m.Gone:
		return replica.Errorf(replica.KindPrecondition, "the data directory %s is that of member %s, which was not removed: start it, and it brings in what it holds by itself; or, if it can't be started, ringctl remove %s and ringctl commit first", d.path, m.Name, m.Name)
	}
	return nil
}

// ID of the member that it was of.
func (d *OldDir) ID() ring.MemberID { return d.identity.ID }

// Name of the member that it was of.
func (d *OldDir) Name() string { return d.identity.Name }

// Path of something in the directory.
func (d *OldDir) Path(name string) string { return filepath.Join(d.path, name) }

// Close lets go of the directory.
func (d *OldDir) Close() error {
	if d.lock == nil {
		return nil
	}
	return d.lock.Close()
}
