package faultfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// mount mounts a file system for the test, on an empty directory.
func mount(t testing.TB) *FS {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root mounts a file system")
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skipf("no FUSE: %v", err)
	}
	dir := t.TempDir()
	f, err := Mount(filepath.Join(dir, "mnt"), filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// script runs steps such as "write a 1" in the file system. A step that fails fails the test.
func script(t *testing.T, f *FS, steps string) {
	t.Helper()
	for step := range strings.SplitSeq(steps, ";") {
		if err := do(f, strings.Fields(step)); err != nil {
			t.Fatalf("%s: %v", step, err)
		}
	}
}

func do(f *FS, step []string) error {
	at := func(i int) string { return filepath.Join(f.Dir, step[i]) }
	switch step[0] {
	case "write": // replaces the content
		return os.WriteFile(at(1), []byte(step[2]), 0o600)
	case "append":
		return with(at(1), os.O_WRONLY|os.O_APPEND, func(x *os.File) error { _, err := x.WriteString(step[2]); return err })
	case "poke": // overwrites the beginning
		return with(at(1), os.O_RDWR, func(x *os.File) error { _, err := x.WriteAt([]byte(step[2]), 0); return err })
	case "cut":
		return os.Truncate(at(1), 1)
	case "sync": // a file or a directory
		return with(at(1), os.O_RDONLY, (*os.File).Sync)
	case "mkdir":
		return os.Mkdir(at(1), 0o700)
	case "rm":
		return os.Remove(at(1))
	case "mv":
		return syscall.Rename(at(1), at(2))
	case "ln":
		return os.Link(at(1), at(2))
	case "crash":
		return f.Crash(Loss{})
	case "lie":
		f.Lie(strings.Join(step[1:], ""))
		return nil
	}
	return fmt.Errorf("no such step")
}

func with(name string, flags int, do func(*os.File) error) error {
	x, err := os.OpenFile(name, flags, 0)
	if err != nil {
		return err
	}
	return errors.Join(do(x), x.Close())
}

// list is what is there: "d/" and "d/name=content", sorted.
func list(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if name != "." {
				all = append(all, name+"/")
			}
			return nil
		}
		raw, err := os.ReadFile(path)
		all = append(all, name+"="+string(raw))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// TestCrash: what is left after some steps and a crash.
func TestCrash(t *testing.T) {
	for _, c := range []struct{ name, steps, want string }{
		{"nothing synced", "write a 1", ""},
		{"file synced, its entry not", "write a 1; sync a", ""},
		{"entry synced, the file not", "write a 1; sync .", "a="},
		{"both synced", "write a 1; sync a; sync .", "a=1"},
		{"appended after", "write a 1; sync a; sync .; append a 23", "a=1"},
		{"appended and synced", "write a 1; sync .; append a 23; sync a", "a=123"},
		{"overwritten after", "write a 123; sync a; sync .; poke a xy", "a=123"},
		{"cut after", "write a 123; sync a; sync .; cut a", "a=123"},
		{"cut and written after", "write a 123; sync a; sync .; cut a; append a xyz", "a=123"},
		{"replaced after", "write a 123; sync a; sync .; write a x", "a=123"},
		{"removed after", "write a 1; sync a; sync .; rm a", "a=1"},
		{"removed and synced", "write a 1; sync a; sync .; rm a; sync .", ""},
		{"removed and made again", "write a 1; sync a; sync .; rm a; write a 2; sync a", "a=1"},
		{"removed and made again, synced", "write a 1; sync a; sync .; rm a; write a 2; sync a; sync .", "a=2"},
		{"renamed after", "write a 1; sync a; sync .; mv a b", "a=1"},
		{"renamed and synced", "write a 1; sync a; sync .; mv a b; sync .", "b=1"},
		{"renamed over another", "write a 1; write b 2; sync a; sync b; sync .; mv a b", "a=1 b=2"},
		{"renamed over another, synced", "write a 1; write b 2; sync a; sync b; sync .; mv a b; sync .", "b=1"},
		{"renamed over another without a sync of the new one", "write b 2; sync b; sync .; write a 1; mv a b; sync .", "b="},
		{"written under a name, synced under another", "write a 1; mv a b; sync b; sync .", "b=1"},
		{"renamed in a circle", "write a 1; write b 2; sync a; sync b; sync .; mv a c; mv b a; mv c b", "a=1 b=2"},
		{"linked after", "write a 1; sync a; sync .; ln a b", "a=1"},
		{"linked and synced", "write a 1; sync a; ln a b; sync .; rm a", "a=1 b=1"},
		{"one of two names removed", "write a 1; sync a; ln a b; sync .; rm a; sync .; append b 2", "b=1"},
		{"directory not synced", "mkdir d; write d/a 1; sync d/a; sync d", ""},
		{"directory synced above only", "mkdir d; write d/a 1; sync d/a; sync .", "d/"},
		{"directory synced both ways", "mkdir d; write d/a 1; sync d/a; sync d; sync .", "d/ d/a=1"},
		{"directory removed after", "mkdir d; write d/a 1; sync d/a; sync d; sync .; rm d/a; rm d", "d/ d/a=1"},
		{"directory removed, its entries synced", "mkdir d; write d/a 1; sync d/a; sync d; sync .; rm d/a; sync d; rm d", "d/"},
		{"directory removed and synced above", "mkdir d; write d/a 1; sync d/a; sync d; sync .; rm d/a; rm d; sync .", ""},
		{"directory renamed with changes in it", "mkdir d; sync .; write d/a 1; sync d/a; sync d; mv d e; write e/b 2; sync e/b; sync e", "d/ d/a=1 d/b=2"},
		{"moved between directories", "mkdir d; mkdir e; write d/a 1; sync d/a; sync d; sync e; sync .; mv d/a e/a", "d/ d/a=1 e/"},
		{"moved, the old directory synced", "mkdir d; mkdir e; write d/a 1; sync d/a; sync d; sync e; sync .; mv d/a e/a; sync d", "d/ e/ e/a=1"},
		{"moved, the new directory synced", "mkdir d; mkdir e; write d/a 1; sync d/a; sync d; sync e; sync .; mv d/a e/a; sync e", "d/ e/ e/a=1"},
		{"what came before a move", "mkdir d; mkdir e; sync .; write d/x 0; sync d/x; write d/a 1; sync d/a; mv d/a e/a; write d/y 2; sync d/y; sync e", "d/ d/x=0 e/ e/a=1"},
		{"two crashes", "write a 1; sync a; sync .; append a 2; crash; append a 3; sync a; append a 4", "a=13"},
		{"a lie", "write a 1; sync a; sync .; lie *; append a 2; sync a; write b 3; sync b; sync .", "a=1"},
		{"a lie of some", "write a.log 1; write b 2; sync .; lie *.log; sync a.log; sync b", "a.log= b=2"},
		{"a sync after a lie", "lie *; write a 1; sync a; sync .; lie; sync a; sync .", "a=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := mount(t)
			script(t, f, c.steps)
			script(t, f, "crash")
			if got := list(t, f.Dir); got != c.want {
				t.Errorf("%s\nleft are %q, want %q", c.steps, got, c.want)
			}
			if files, changes := f.Unsynced(); files+changes > 0 {
				t.Errorf("after the crash %d files and %d changes are not synced", files, changes)
			}
			if graves, err := os.ReadDir(f.grave); err != nil || len(graves) > 0 {
				t.Errorf("still kept of what was removed: %v, %v", graves, err)
			}
		})
	}
}

// TestCrashLosesSome: some seeds lose everything that was not synced, some nothing, and
// later changes of a directory are never kept without earlier ones.
func TestCrashLosesSome(t *testing.T) {
	f := mount(t)
	seen := make(map[string]bool)
	for seed := range uint64(100) {
		script(t, f, "write a 1; sync a; write b 2; sync b; write c 3; sync c")
		if err := f.Crash(Loss{Some: true, Seed: seed}); err != nil {
			t.Fatal(err)
		}
		left := list(t, f.Dir)
		if !strings.HasPrefix("a=1 b=2 c=3", left) {
			t.Fatalf("seed %d: left are %q", seed, left)
		}
		seen[left] = true
		for _, name := range strings.Fields(left) {
			script(t, f, "rm "+name[:1])
		}
		script(t, f, "sync .")
	}
	if len(seen) != 4 {
		t.Errorf("100 seeds left %d of 4 possible states", len(seen))
	}
}

// TestOpenFilesEndWithACrash: whoever was not killed gets errors, and changes nothing.
func TestOpenFilesEndWithACrash(t *testing.T) {
	f := mount(t)
	script(t, f, "write a 1; sync a; sync .")
	err := with(filepath.Join(f.Dir, "a"), os.O_RDWR, func(x *os.File) error {
		script(t, f, "crash")
		_, err := x.WriteAt([]byte("x"), 0)
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("write: %v, want %v", err, syscall.EIO)
		}
		if err := x.Sync(); !errors.Is(err, syscall.EIO) {
			t.Errorf("fsync: %v, want %v", err, syscall.EIO)
		}
		return nil
	})
	if got := list(t, f.Dir); err != nil || got != "a=1" {
		t.Errorf("left are %q, %v", got, err)
	}
}

// TestNotEmpty: what a file system refuses is refused.
func TestNotEmpty(t *testing.T) {
	f := mount(t)
	script(t, f, "mkdir d; write d/a 1; mkdir e")
	for _, c := range []struct {
		step string
		want error
	}{
		{"rm d", syscall.ENOTEMPTY},
		{"mv e d", syscall.ENOTEMPTY},
		{"mkdir e", syscall.EEXIST},
		{"rm x", syscall.ENOENT},
		{"mv x y", syscall.ENOENT},
		{"mv d/a e", syscall.EISDIR},
		{"ln d/a d/a", syscall.EEXIST},
	} {
		if err := do(f, strings.Fields(c.step)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.step, err, c.want)
		}
	}
	if got, want := list(t, f.Dir), "d/ d/a=1 e/"; got != want {
		t.Errorf("there is %q, want %q", got, want)
	}
}
