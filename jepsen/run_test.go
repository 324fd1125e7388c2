package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ringd/ringd/internal/proctest"
	"github.com/ringd/ringd/jepsen/internal/hosts"
	"github.com/ringd/ringd/jepsen/internal/run"
)

// runWithin bounds a short run with all that comes before and after.
const runWithin = 5 * time.Minute

// makeRun makes a run by this program, in a process of its own, as a person would.
func makeRun(t *testing.T, ringd string, args ...string) (code int, out string, dir string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "jepsen")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	dir = filepath.Join(t.TempDir(), "run")
	ctx, cancel := context.WithTimeout(context.Background(), runWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append([]string{"run", "--ringd", ringd, "--out", dir}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = cleanWithin
	raw, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if ctx.Err() != nil || err != nil && !errors.As(err, &exit) {
		t.Fatalf("jepsen run %q: %v\n%s", args, errors.Join(ctx.Err(), err), raw)
	}
	if err != nil {
		code = exit.ExitCode()
	}
	noNamespaces(t, cmd.Process.Pid)
	return code, string(raw), dir
}

// noNamespaces checks that a process has left no host behind.
func noNamespaces(t *testing.T, pid int) {
	t.Helper()
	left, err := filepath.Glob(fmt.Sprintf("/run/netns/ringd-jepsen-%d-*", pid))
	if err != nil || len(left) > 0 {
		t.Errorf("namespaces are left: %v, %v", left, err)
	}
}

func TestRunPasses(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	if err := hosts.Available(); err != nil {
		t.Skip(err)
	}
	code, out, dir := makeRun(t, proctest.Binary(t, "ringd"), "--workload", "set", "--nemesis", "partition-one,kill-one", "--time", "7s", "--seed", "3")
	if code != exitPass || !strings.Contains(out, "PASS") {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	r, err := run.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if r.Seed != 3 || len(r.Command) == 0 || r.Versions.Ringd == "" || r.Verdict.Outcome != run.Pass || len(r.History.Faults) < 2 {
		t.Errorf("%+v, %+v, %d faults", r.Info, r.Verdict, len(r.History.Faults))
	}
	final := 0
	for _, op := range r.History.Ops {
		if op.Final {
			final++
		}
	}
	if final == 0 || r.Verdict.OK < 100 {
		t.Errorf("%d last reads, %d operations were answered", final, r.Verdict.OK)
	}
	if log, err := os.ReadFile(filepath.Join(dir, "logs", "m4.log")); err != nil || len(log) == 0 {
		t.Errorf("the log of m4: %v, %d bytes", err, len(log))
	}
	// And the history is judged the same again.
	if again, err := run.Check(dir, nil); err != nil || again.Verdict.Outcome != run.Pass || again.Verdict.Ops != r.Verdict.Ops {
		t.Errorf("judged again: %v, %+v", err, again.Verdict)
	}
}

// forgetful is a ringd that begins with an empty disk at every start, but knows who
// it is.
const forgetful = `#!/bin/sh
args="$*"
while [ "$1" != --data-dir ]; do shift; done
rm -rf "$2/store"
exec %s $args
`

func TestRunFails(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	path := filepath.Join(t.TempDir(), "ringd")
	if err := os.WriteFile(path, fmt.Appendf(nil, forgetful, proctest.Binary(t, "ringd")), 0o755); err != nil {
		t.Fatal(err)
	}
	code, out, dir := makeRun(t, path, "--loopback", "--workload", "set", "--nemesis", "kill-all", "--time", "6s", "--seed", "3", "--whole-within", "5s")
	if code != exitFail || !strings.Contains(out, "FAIL") {
		t.Fatalf("all members lost all they had: exit code %d\n%s", code, out)
	}
	r, err := run.Read(dir)
	if err != nil || r.Verdict.Outcome != run.Fail || len(r.Verdict.Anomalies) == 0 {
		t.Errorf("%v, %+v", err, r.Verdict)
	}
	// What they stored is kept, for who looks into it.
	if _, err := os.Stat(filepath.Join(dir, "data", "m0")); err != nil {
		t.Error(err)
	}
}

func TestRunRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"workload":         {[]string{"--workload", "none-such"}, `no workload "none-such"`},
		"nemesis":          {[]string{"--nemesis", "kill,none-such"}, `no nemesis "none-such"`},
		"time":             {[]string{"--time", "1s"}, "--time is 1s"},
		"members":          {[]string{"--members", "2"}, "--members is 2"},
		"what needs hosts": {[]string{"--nemesis", "bridge"}, "bridge needs members on hosts of their own"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			cmd := root()
			cmd.SetOut(&out)
			cmd.SetArgs(append([]string{"run", "--loopback", "--ringd", os.Args[0], "--out", filepath.Join(t.TempDir(), "run")}, c.args...))
			if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q\n%s", err, c.says, out.String())
			}
		})
	}
}
