package command

import (
	"strings"
	"testing"

	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
)

func TestClusterCommands(t *testing.T) {
	s := start(t)
	s.ok("put", "b", "k", "value", "--meta", "a=b")
	for _, c := range []struct {
		args string
		has  []string
	}{
		{"status", []string{"epoch       1.1", "leader      node0", "wire        version 3, up to 4 once", "8, 3 replicas", "3: 3 alive", "node2", "warning: the cluster is only a test", "5.0 GB"}},
		{"members", []string{"00000000-0000-0000-0000-000000000003", "storage"}},
		{"ring", []string{"8 partitions", "node1, node2, node0"}},
		{"ring --partition 7", []string{"node1, node2, node0", "fallbacks"}},
		{"ring --key b k", []string{"node2, node0, node1"}},
		{"plan", []string{"as planned"}},
		{"inspect b k", []string{"partition 5", "abc:1", "error: it does not answer"}},
		{"bucket-type list", []string{"default", "quorum"}},
		{"bucket-type create strict --n 2 --r all --no-sloppy --request-timeout 1s", []string{"strict", "all", "false", "1s"}},
		{"bucket-type update strict --w one --last-write-wins", []string{"strict", "true"}},
		{"bucket-type describe strict", []string{"strict", "all", "1"}},
		{"version", []string{"ringctl test"}},
	} {
		out := s.ok(strings.Fields(c.args)...)
		for _, has := range c.has {
			if !strings.Contains(out, has) {
				t.Errorf("ringctl %s: no %q in\n%s", c.args, has, out)
			}
		}
		if strings.HasPrefix(c.args, "bucket-type create") || strings.HasPrefix(c.args, "bucket-type update") {
			continue
		}
		first, second := s.ok(append(strings.Fields(c.args), "-o", "json")...), s.ok(append(strings.Fields(c.args), "-o", "json")...)
		parse(t, first)
		if first != second {
			t.Errorf("ringctl %s -o json prints\n%s\nand then\n%s", c.args, first, second)
		}
	}
	if out := s.ok("bucket-type", "describe", "strict", "-o", "json"); !strings.Contains(out, `"last_write_wins": true`) || !strings.Contains(out, `"n": 2`) {
		t.Errorf("what was set is not there:\n%s", out)
	}
}

func TestCommit(t *testing.T) {
	t.Run("without a terminal", func(t *testing.T) {
		s := start(t)
		s.cluster.SetPlan(true, "")
		s.fails(exit.Usage, "--yes", "commit")
		if s.cluster.Committed() {
			t.Fatal("it was committed all the same")
		}
		if out := s.ok("commit", "--yes"); !strings.Contains(out, "0 -> 8") || !strings.Contains(out, "Committed as epoch 1.2") {
			t.Errorf("commit --yes:\n%s", out)
		}
		if out := s.ok("commit"); !strings.Contains(out, "Nothing to commit") {
			t.Errorf("a second commit:\n%s", out)
		}
	})
	for answer, commits := range map[string]bool{"y\n": true, "YES\n": true, "n\n": false, "\n": false, "": false, "yellow\n": false} {
		t.Run("answer "+strings.TrimSpace(answer), func(t *testing.T) {
			s := start(t)
			s.cluster.SetPlan(true, "")
			s.terminal, s.in = true, strings.NewReader(answer)
			code, out, errOut := s.run("commit")
			if !strings.Contains(out, "24 slots get another owner") || !strings.Contains(errOut, "Commit this plan? [y/N]") {
				t.Errorf("it asked\n%s%s", out, errOut)
			}
			if (code == exit.OK) != commits || s.cluster.Committed() != commits {
				t.Errorf("exit code %d, committed %v", code, s.cluster.Committed())
			}
		})
	}
	t.Run("blocked", func(t *testing.T) {
		s := start(t)
		s.cluster.SetPlan(true, "it would move data")
		s.fails(exit.Precondition, "it would move data", "commit", "--yes")
	})
	t.Run("json", func(t *testing.T) {
		s := start(t)
		s.cluster.SetPlan(true, "")
		if doc := parse(t, s.ok("commit", "--yes", "-o", "json")); doc["changed"] != true {
			t.Errorf("it printed %v", doc)
		}
	})
	t.Run("the ring changes while the question stands", func(t *testing.T) {
		s := start(t)
		s.cluster.SetPlan(true, "")
		s.terminal, s.in = true, readerFunc(func(p []byte) (int, error) {
			s.cluster.MoveRing()
			return copy(p, "y\n"), nil
		})
		s.fails(exit.Precondition, "changed since", "commit")
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestCompletion(t *testing.T) {
	s := start(t)
	s.ok("bucket-type", "create", "strict")
	for _, args := range [][]string{{"get", "--bucket-type", "s"}, {"bucket-type", "describe", "s"}} {
		if out := s.ok(append([]string{"__complete"}, args...)...); !strings.HasPrefix(out, "strict\n") {
			t.Errorf("completing %q: %s", args, out)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out := s.ok("completion", shell); !strings.Contains(out, "ringctl") {
			t.Errorf("completion %s: %.100s", shell, out)
		}
	}
}
