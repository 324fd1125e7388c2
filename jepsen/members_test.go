package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ringd/ringd/internal/proctest"
	"github.com/ringd/ringd/jepsen/internal/hosts"
)

func TestMain(m *testing.M) { proctest.Main(m) }

// What ringctl's exit codes mean, as "ringctl help exit-codes" says.
const (
	exitOK          = 0
	exitUnknown     = 4
	exitUnavailable = 5
	exitSiblings    = 7
)

// callWithin bounds one call of ringctl, above the time that ringctl gives itself.
const callWithin = 30 * time.Second

// member is a ringd process on a host of its own.
type member struct {
	*proctest.Process
	host *hosts.Host
	t    testing.TB
}

// newHosts makes hosts that are removed with the test, which is skipped where they
// can't be made.
func newHosts(t testing.TB, n int) (*hosts.Network, []*hosts.Host) {
	t.Helper()
	if err := hosts.Available(); err != nil {
		t.Skip(err)
	}
	net, err := hosts.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := net.Close(); err != nil {
			t.Error(err)
		}
	})
	list := make([]*hosts.Host, n)
	for i := range list {
		if list[i], err = net.AddHost(); err != nil {
			t.Fatal(err)
		}
	}
	return net, list
}

// startCluster starts a member on each host, and gives them the partitions, each
// with three owners.
func startCluster(t testing.TB, on []*hosts.Host) []*member {
	t.Helper()
	dir := t.TempDir()
	var members []*member
	for i, h := range on {
		name := fmt.Sprintf("m%d", i)
		m := &member{host: h, t: t, Process: proctest.New(t, name, filepath.Join(dir, name),
			proctest.Host(h.IP), proctest.Wrap(h.Enter()...), proctest.Args("--insecure"))}
		if i == 0 {
			m.Start("--bootstrap", "--replicas", "3", "--partitions", "64")
		} else {
			m.Start("--join", members[0].At.GRPC)
		}
		members = append(members, m)
	}
	members[0].waitSeen("all members to be known", func(s status) bool { return len(s.Members) == len(members) })
	if code, out := members[0].ringctl("commit", "--yes"); code != exitOK {
		t.Fatalf("commit: exit code %d\n%s", code, out)
	}
	waitWhole(members)
	return members
}

// waitWhole waits until every member knows the owners and sees all others.
func waitWhole(members []*member) {
	for _, m := range members {
		m.waitSeen(m.Name+" to serve and see the others", func(s status) bool {
			return s.HasOwners && s.alive() == len(members)
		})
	}
}

// status is what the tests need of "ringctl status -o json".
type status struct {
	HasOwners bool `json:"has_owners"`
	Members   []struct {
		Name     string `json:"name"`
		Liveness string `json:"liveness"`
	} `json:"members"`
}

func (s status) alive() int {
	n := 0
	for _, m := range s.Members {
		if m.Liveness == "ALIVE" {
			n++
		}
	}
	return n
}

func (m *member) waitSeen(what string, seen func(status) bool) {
	m.t.Helper()
	proctest.Wait(m.t, what, func(context.Context) error {
		code, out := m.ringctl("status", "-o", "json")
		if code != exitOK {
			return fmt.Errorf("exit code %d\n%s", code, out)
		}
		var s status
		if err := json.Unmarshal(out, &s); err != nil {
			return err
		}
		if !seen(s) {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
}

// ringctl runs ringctl on the member's host, told of this member only, and
// returns its exit code and what it wrote. It fails the test if it hangs.
func (m *member) ringctl(args ...string) (int, []byte) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), callWithin)
	defer cancel()
	line := append(m.host.Enter(), proctest.Binary(m.t, "ringctl"), "--addr", m.At.GRPC)
	line = append(line, args...)
	out, err := exec.CommandContext(ctx, line[0], line[1:]...).CombinedOutput()
	var exit *exec.ExitError
	if ctx.Err() != nil || err != nil && !errors.As(err, &exit) {
		m.t.Fatalf("ringctl %q by %s: %v\n%s", args, m.Name, errors.Join(ctx.Err(), err), out)
	}
	if err != nil {
		return exit.ExitCode(), out
	}
	return exitOK, out
}

// put writes a value with further flags and wants one of the exit codes. It
// returns how long it took.
func (m *member) put(key, value string, want []int, flags ...string) time.Duration {
	m.t.Helper()
	began := time.Now()
	code, out := m.ringctl(append([]string{"put", "b", key, value}, flags...)...)
	took := time.Since(began)
	if !slices.Contains(want, code) {
		m.t.Errorf("put %s=%s %q by %s: exit code %d after %v, want one of %v\n%s", key, value, flags, m.Name, code, took, want, out)
	}
	return took
}

// object is what the tests need of "ringctl get -o json".
type object struct {
	Context  string `json:"context"`
	Siblings []struct {
		Value string `json:"value"`
	} `json:"siblings"`
}

func (o object) values() []string {
	var values []string
	for _, s := range o.Siblings {
		values = append(values, s.Value)
	}
	slices.Sort(values)
	return values
}

// getAll reads a key from all of its owners, and tries until all have answered.
func (m *member) getAll(key string) object {
	m.t.Helper()
	var o object
	proctest.Wait(m.t, "an answer of all owners of "+key, func(context.Context) error {
		code, out := m.ringctl("get", "b", key, "--r", "all", "-o", "json")
		if code != exitOK && code != exitSiblings {
			return fmt.Errorf("exit code %d\n%s", code, out)
		}
		o = object{}
		return json.Unmarshal(out, &o)
	})
	return o
}
