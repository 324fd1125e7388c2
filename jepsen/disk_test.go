package main

import (
	"os"
	"strings"
	"testing"

	"github.com/ringd/ringd/internal/proctest"
	"github.com/ringd/ringd/jepsen/internal/hosts"
	"github.com/ringd/ringd/jepsen/internal/run"
)

// TestDisks: a power failure loses nothing that was acknowledged, and one on disks that
// lied about what they had synced does, and is found.
func TestDisks(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	if err := hosts.Available(); err != nil {
		t.Skip(err)
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skip(err)
	}
	for nemesis, want := range map[string]run.Outcome{"disk-lose-unsynced": run.Pass, "fsync-lies": run.Fail} {
		t.Run(nemesis, func(t *testing.T) {
			t.Parallel()
			_, out, dir := makeRun(t, proctest.Binary(t, "ringd"), "--workload", "set", "--nemesis", nemesis, "--time", "8s", "--seed", "3", "--whole-within", "60s")
			r, err := run.Read(dir)
			if err != nil || r.Verdict.Outcome != want || len(r.History.Faults) == 0 {
				t.Fatalf("%v, %d faults, want %s\n%s", err, len(r.History.Faults), want, out)
			}
			if lost := strings.Contains(out, "was acknowledged and is not there"); lost != (want == run.Fail) {
				t.Errorf("it says that writes are lost: %v\n%s", lost, out)
			}
		})
	}
}
