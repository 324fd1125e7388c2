package faultfs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Ops is a set of operations.
type Ops uint8

// The operations that faults can be given to.
const (
	Read Ops = 1 << iota
	Write
	// Sync is fsync and fdatasync, of directories too.
	Sync
)

// Fault is what happens to some operations.
type Fault struct {
	Ops Ops
	// Path is a pattern of path.Match. With a slash in it, it is for the path from
	// the mount; else for the last element. Empty is all.
	Path string
	// Share of the operations, above 0 and up to 1; 0 is all.
	Share float64
	// Errno is the answer, usually EIO, and the operation has no effect; 0 is none.
	Errno syscall.Errno
	// Delay before the operation, and up to Jitter more.
	Delay, Jitter time.Duration
}

// validate says what is wrong with the fault.
func (f Fault) validate() error {
	switch {
	case f.Ops == 0 || f.Ops&^(Read|Write|Sync) != 0:
		return errors.New("faultfs: a fault needs Ops of Read, Write and Sync")
	case f.Share < 0 || f.Share > 1:
		return fmt.Errorf("faultfs: the share of a fault is %v, and has to be between 0 and 1", f.Share)
	case f.Delay < 0 || f.Jitter < 0:
		return errors.New("faultfs: the delay of a fault can't be negative")
	case f.Errno == 0 && f.Delay == 0 && f.Jitter == 0:
		return errors.New("faultfs: a fault needs an Errno or a Delay")
	}
	if _, err := path.Match(f.Path, ""); err != nil {
		return fmt.Errorf("faultfs: path of a fault: %q: %w", f.Path, err)
	}
	return nil
}

func (f Fault) matches(op Ops, name string) bool {
	if f.Ops&op == 0 {
		return false
	}
	if f.Path != "" && !match(f.Path, name) {
		return false
	}
	return f.Share == 0 || rand.Float64() < f.Share
}

// match reports whether the pattern is for the path from the mount.
func match(pattern, name string) bool {
	if !strings.Contains(pattern, "/") {
		name = path.Base(name)
	}
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

// Inject adds faults to those that there are, until heal is called. Every fault that
// matches an operation delays it; the first with an Errno answers it. What is in the
// kernel's cache is dropped, so that faults of reads show.
func (f *FS) Inject(faults ...Fault) (heal func(), err error) {
	reads := false
	for _, x := range faults {
		if err := x.validate(); err != nil {
			return nil, err
		}
		reads = reads || x.Ops&Read != 0
	}
	mine := &faults
	f.faults.Lock()
	f.faults.injected = append(f.faults.injected, mine)
	f.faults.renewLocked()
	f.faults.Unlock()
	if reads {
		f.dropCaches()
	}
	return func() {
		f.faults.Lock()
		defer f.faults.Unlock()
		f.faults.injected = slices.DeleteFunc(f.faults.injected, func(x *[]Fault) bool { return x == mine })
		f.faults.renewLocked()
	}, nil
}

// faults are those that there are.
type faults struct {
	sync.Mutex
	injected []*[]Fault              // by each call of Inject
	all      atomic.Pointer[[]Fault] // the same in one, for those who suffer
}

func (f *faults) renewLocked() {
	var all []Fault
	for _, x := range f.injected {
		all = append(all, *x...)
	}
	f.all.Store(&all)
}

// suffer does what the faults say to an operation on the path. No lock may be held.
func (f *FS) suffer(op Ops, name func() string) syscall.Errno {
	faults := f.faults.all.Load()
	if faults == nil || len(*faults) == 0 {
		return 0
	}
	at := name()
	var wait time.Duration
	var errno syscall.Errno
	for _, x := range *faults {
		if !x.matches(op, at) {
			continue
		}
		wait += x.Delay
		if x.Jitter > 0 {
			wait += rand.N(x.Jitter)
		}
		if errno == 0 {
			errno = x.Errno
		}
	}
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-f.closing:
		}
	}
	return errno
}
