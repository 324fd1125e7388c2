package faultfs

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func inject(t *testing.T, f *FS, faults ...Fault) (heal func()) {
	t.Helper()
	heal, err := f.Inject(faults...)
	if err != nil {
		t.Fatal(err)
	}
	return heal
}

// TestErrors: the operations that faults name fail, at the paths that they name,
// and have no effect.
func TestErrors(t *testing.T) {
	f := mount(t)
	script(t, f, "mkdir d; write a.log 1; write d/b.sst 2; sync a.log; sync d/b.sst; sync d; sync .")
	for _, c := range []struct {
		name       string
		fault      Fault
		fail, pass string
	}{
		{"writes", Fault{Ops: Write, Errno: syscall.EIO}, "poke a.log x; poke d/b.sst x", "sync a.log; sync ."},
		{"fsyncs", Fault{Ops: Sync, Errno: syscall.EIO}, "sync a.log; sync d/b.sst; sync .; sync d", "poke a.log 1"},
		{"by last element", Fault{Ops: Write, Path: "*.sst", Errno: syscall.EIO}, "poke d/b.sst x", "poke a.log 1"},
		{"by path", Fault{Ops: Write | Sync, Path: "d/*", Errno: syscall.EIO}, "poke d/b.sst x; sync d/b.sst", "poke a.log 1; sync a.log; sync d"},
		{"another error", Fault{Ops: Write, Errno: syscall.ENOSPC}, "poke a.log x", "sync a.log"},
	} {
		t.Run(c.name, func(t *testing.T) {
			heal := inject(t, f, c.fault)
			for step := range strings.SplitSeq(c.fail, ";") {
				if err := do(f, strings.Fields(step)); !errors.Is(err, c.fault.Errno) {
					t.Errorf("%s: %v, want %v", step, err, c.fault.Errno)
				}
			}
			script(t, f, c.pass)
			heal()
			script(t, f, "sync a.log; sync d/b.sst; sync .; sync d")
			if got, want := list(t, f.Dir), "a.log=1 d/ d/b.sst=2"; got != want {
				t.Errorf("there is %q, want %q", got, want)
			}
		})
	}
}

// TestReadErrors: a fault of reads shows although the kernel has the content.
func TestReadErrors(t *testing.T) {
	f := mount(t)
	script(t, f, "write a 1")
	err := with(filepath.Join(f.Dir, "a"), os.O_RDWR, func(x *os.File) error {
		buf := make([]byte, 1)
		if _, err := x.ReadAt(buf, 0); err != nil {
			return err
		}
		heal := inject(t, f, Fault{Ops: Read, Errno: syscall.EIO})
		if _, err := x.ReadAt(buf, 0); !errors.Is(err, syscall.EIO) {
			t.Errorf("%v, want %v", err, syscall.EIO)
		}
		heal()
		_, err := x.ReadAt(buf, 0)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestShare: a share of the operations fails.
func TestShare(t *testing.T) {
	f := mount(t)
	script(t, f, "write a 1")
	inject(t, f, Fault{Ops: Write, Share: 0.3, Errno: syscall.EIO})
	const n = 1000
	failed := 0
	err := with(filepath.Join(f.Dir, "a"), os.O_RDWR, func(x *os.File) error {
		for range n {
			if _, err := x.WriteAt([]byte("1"), 0); err != nil {
				failed++
			}
		}
		return nil
	})
	if err != nil || failed < n/5 || failed > n*2/5 {
		t.Errorf("%d of %d failed, want about 300 (%v)", failed, n, err)
	}
}

// TestFailedSync: what an fsync that failed should have kept is lost, and kept by the next.
func TestFailedSync(t *testing.T) {
	for next, want := range map[string]string{"": "a=1", "sync a": "a=12"} {
		f := mount(t)
		script(t, f, "write a 1; sync a; sync .; append a 2")
		heal := inject(t, f, Fault{Ops: Sync, Errno: syscall.EIO})
		if err := do(f, []string{"sync", "a"}); !errors.Is(err, syscall.EIO) {
			t.Errorf("%v, want %v", err, syscall.EIO)
		}
		heal()
		if next != "" {
			script(t, f, next)
		}
		script(t, f, "crash")
		if got := list(t, f.Dir); got != want {
			t.Errorf("then %q: left are %q, want %q", next, got, want)
		}
	}
}

// TestSlowSync: an fsync takes as long as it is told, and what is written
// meanwhile is not covered by it.
func TestSlowSync(t *testing.T) {
	f := mount(t)
	script(t, f, "write a 1; sync a; sync .; append a 2")
	const delay = 300 * time.Millisecond
	inject(t, f, Fault{Ops: Sync, Delay: delay})
	done := make(chan time.Duration)
	go func() {
		began := time.Now()
		if err := do(f, []string{"sync", "a"}); err != nil {
			t.Error(err)
		}
		done <- time.Since(began)
	}()
	awaitClosed(t, f)
	script(t, f, "append a 3")
	if took := <-done; took < delay {
		t.Errorf("it took %v, want %v or more", took, delay)
	}
	script(t, f, "crash")
	if got, want := list(t, f.Dir), "a=12"; got != want {
		t.Errorf("left are %q, want %q", got, want)
	}
}

// awaitClosed waits until an fsync is under way.
func awaitClosed(t *testing.T, f *FS) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		f.files.Lock()
		for _, x := range f.files.known {
			x.mu.Lock()
			n := len(x.mu.undo.layers)
			under := n > 0 && x.mu.undo.layers[n-1].closed
			x.mu.Unlock()
			if under {
				f.files.Unlock()
				return
			}
		}
		f.files.Unlock()
	}
	t.Fatal("no fsync began")
}

// TestFull: what needs more room than there is fails, statfs tells of it, and
// there is room again once something is removed.
func TestFull(t *testing.T) {
	f := mount(t)
	const limit = 1 << 20
	f.SetLimit(limit)
	name := filepath.Join(f.Dir, "a")
	if err := os.WriteFile(name, bytes.Repeat([]byte("x"), limit*3/4), 0o600); err != nil {
		t.Fatal(err)
	}
	var s syscall.Statfs_t
	if err := syscall.Statfs(f.Dir, &s); err != nil {
		t.Fatal(err)
	}
	if got := int64(s.Bavail) * s.Bsize; got != limit/4 {
		t.Errorf("statfs says that %d bytes are free, want %d", got, limit/4)
	}
	for name, full := range map[string]func() error{
		"write": func() error { return os.WriteFile(name+"2", make([]byte, limit/2), 0o600) },
		"append": func() error {
			return with(name, os.O_WRONLY|os.O_APPEND, func(x *os.File) error { _, err := x.Write(make([]byte, limit/2)); return err })
		},
		"extend": func() error { return os.Truncate(name, limit*2) },
	} {
		if err := full(); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: %v, want %v", name, err, syscall.ENOSPC)
		}
	}
	script(t, f, "poke a yy") // what is there can be overwritten
	script(t, f, "rm a; rm a2; write b 1")
	if err := os.WriteFile(name, make([]byte, limit*3/4), 0o600); err != nil {
		t.Errorf("a write with room again: %v", err)
	}
	f.SetLimit(0)
	if err := os.Truncate(name, limit*2); err != nil {
		t.Errorf("a write without a limit: %v", err)
	}
}

// TestFaultsTogether: faults that are there at a time end each by itself.
func TestFaultsTogether(t *testing.T) {
	f := mount(t)
	script(t, f, "write a 1")
	poke, sync := []string{"poke", "a", "x"}, []string{"sync", "a"}
	for _, c := range []struct {
		heal          int // of the two, first
		failed, works []string
	}{{0, sync, poke}, {1, poke, sync}} {
		heals := []func(){
			inject(t, f, Fault{Ops: Write, Errno: syscall.EIO}),
			inject(t, f, Fault{Ops: Sync, Errno: syscall.EIO}),
		}
		for _, step := range [][]string{poke, sync} {
			if err := do(f, step); !errors.Is(err, syscall.EIO) {
				t.Errorf("%v with both: %v", step, err)
			}
		}
		heals[c.heal]()
		if err := do(f, c.failed); !errors.Is(err, syscall.EIO) {
			t.Errorf("%v with one healed: %v", c.failed, err)
		}
		if err := do(f, c.works); err != nil {
			t.Errorf("%v with one healed: %v", c.works, err)
		}
		heals[1-c.heal]()
		script(t, f, "poke a x; sync a")
	}
}

func TestFaultsRefused(t *testing.T) {
	f := &FS{}
	for _, bad := range []Fault{
		{},
		{Ops: Write},
		{Ops: 64, Errno: syscall.EIO},
		{Ops: Write, Errno: syscall.EIO, Share: 2},
		{Ops: Write, Errno: syscall.EIO, Path: "["},
		{Ops: Write, Delay: -1},
	} {
		if _, err := f.Inject(bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}
