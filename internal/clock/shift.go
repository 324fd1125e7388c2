//go:build clockshift

package clock

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// offsetFile is the environment variable that names the file.
const offsetFile = "CLOCKSHIFT_OFFSET_FILE"

// offset is where the file is mapped to, or 0 for ever.
var offset = mapped(os.Getenv(offsetFile))

// mapped maps the file. A test that shifts nothing by mistake proves nothing, so
// there is no going on without it.
func mapped(name string) *atomic.Int64 {
	if name == "" {
		return new(atomic.Int64)
	}
	f, err := os.Open(name)
	if err != nil {
		panic(fmt.Sprintf("clock: %s: %v", offsetFile, err))
	}
	defer f.Close()
	memory, err := syscall.Mmap(int(f.Fd()), 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(fmt.Sprintf("clock: %s: %s: %v", offsetFile, name, err))
	}
	o := (*atomic.Int64)(unsafe.Pointer(&memory[0]))
	if _, err := f.ReadAt(make([]byte, 8), 0); err != nil {
		panic(fmt.Sprintf("clock: %s: %s has to hold eight bytes: %v", offsetFile, name, err))
	}
	return o
}

// Now is time.Now with the wall clock shifted.
func Now() time.Time { return shift(time.Now(), time.Duration(offset.Load())) }

// reading is a time.Time (its source in package time says what the fields hold). There
// is no other way to shift the one half of it and not the other.
type reading struct {
	wall     uint64 // if there is a monotonic clock: this bit, seconds since 1885, 30 bits of nanoseconds
	ext      int64  // the monotonic clock
	location *time.Location
}

const (
	hasMonotonic = 1 << 63
	nanosBits    = 30
)

// since is where the seconds in a reading with a monotonic clock begin.
var since = time.Date(1885, 1, 1, 0, 0, 0, 0, time.UTC).Unix()

func shift(t time.Time, by time.Duration) time.Time {
	if by == 0 {
		return t
	}
	wall := t.Round(0).Add(by)
	r := (*reading)(unsafe.Pointer(&t))
	r.wall = hasMonotonic | uint64(wall.Unix()-since)<<nanosBits | uint64(wall.Nanosecond())
	return t
}

// A Go whose time.Time is another one is found out at once.
func init() {
	now := time.Now()
	for _, by := range []time.Duration{time.Hour + time.Nanosecond, -24 * time.Hour} {
		shifted := shift(now, by)
		if shifted.Round(0).Sub(now.Round(0)) != by || shifted.Sub(now) != 0 {
			panic("clock: this version of Go holds times in another way than package clock was written for")
		}
	}
}
