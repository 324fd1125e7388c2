// Package clockshift shifts the wall clock of a ringd that was built with the tag
// clockshift, as setting the clock of its machine would: what elapses is not affected.
package clockshift

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Tag is what ringd has to be built with.
const Tag = "clockshift"

// variable is the environment variable by which ringd finds its clock.
const variable = "CLOCKSHIFT_OFFSET_FILE"

// offsetBytes is what the file holds: an offset in nanoseconds.
const offsetBytes = 8

// Clock is the clock of one process at a time. It is safe for use by several goroutines.
type Clock struct {
	path   string
	memory []byte
}

// New makes a clock that is right, kept in the file at path. Whoever makes it closes
// it, and removes the file.
func New(path string) (*Clock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("clockshift: %w", err)
	}
	c := &Clock{path: path}
	if err = f.Truncate(offsetBytes); err == nil {
		c.memory, err = unix.Mmap(int(f.Fd()), 0, offsetBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("clockshift: %s: %w", path, err)
	}
	return c, nil
}

// Wrap is the command that runs a process with this clock.
func (c *Clock) Wrap() []string { return []string{"env", variable + "=" + c.path} }

// Set sets the clock that much ahead of the machine's, or behind it, from now on.
func (c *Clock) Set(ahead time.Duration) {
	(*atomic.Int64)(unsafe.Pointer(&c.memory[0])).Store(int64(ahead))
}

// Close lets go of the file. A process that has the clock keeps it as it is.
func (c *Clock) Close() error { return unix.Munmap(c.memory) }
