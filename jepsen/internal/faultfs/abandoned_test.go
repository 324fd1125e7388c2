package faultfs

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/ringd/ringd/internal/proctest"
)

// mountIn names the directory that a process started by TestAbandoned mounts on.
const mountIn = "RINGD_FAULTFS_TEST_MOUNT"

// TestMain is also the process that TestAbandoned kills.
func TestMain(m *testing.M) {
	dir := os.Getenv(mountIn)
	if dir == "" {
		proctest.Main(m)
	}
	if _, err := Mount(filepath.Join(dir, "mnt"), filepath.Join(dir, "store")); err != nil {
		println(err.Error())
		os.Exit(1)
	}
	println("mounted")
	select {}
}

// TestAbandoned: the mount of a process that was killed is removed, that of one
// that lives is not.
func TestAbandoned(t *testing.T) {
	living := mount(t)
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), mountIn+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(said).ReadString('\n'); line != "mounted\n" {
		t.Fatalf("the process says %q, %v", line, err)
	}
	mnt := filepath.Join(dir, "mnt")
	if removed, err := RemoveAbandoned(); err != nil || slices.Contains(removed, mnt) {
		t.Errorf("removed while it lives: %q, %v", removed, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if _, err := os.ReadDir(mnt); !errors.Is(err, syscall.ENOTCONN) {
		t.Errorf("a mount without its process: %v, want %v", err, syscall.ENOTCONN)
	}
	removed, err := RemoveAbandoned()
	if err != nil || !slices.Contains(removed, mnt) {
		t.Errorf("removed: %q, %v", removed, err)
	}
	if _, err := os.ReadDir(mnt); err != nil {
		t.Errorf("its directory afterwards: %v", err)
	}
	if _, err := os.ReadDir(living.Dir); err != nil {
		t.Errorf("that of the process that lives: %v", err)
	}
}

func TestMountinfo(t *testing.T) {
	for line, want := range map[string]string{
		`99 27 0:50 / /tmp/a\040b/mnt rw,nosuid,nodev,relatime shared:7 - fuse.ringd-faultfs ringd-jepsen-12-3 rw,user_id=0`: "/tmp/a b/mnt",
		`99 27 0:50 / /tmp/a rw - fuse.ringd-faultfs other-12-3 rw`:                                                          "",
		`99 27 0:50 / /tmp/a rw - ext4 ringd-jepsen-12-3 rw`:                                                                 "",
		``: "",
	} {
		dir, pid, ok := ours(line)
		if ok != (want != "") || ok && (dir != want || pid != 12) {
			t.Errorf("%q: %q, %d, %v", line, dir, pid, ok)
		}
	}
}
