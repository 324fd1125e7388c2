package command

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"

	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/fakecluster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// session runs commands against one cluster.
type session struct {
	t        *testing.T
	cluster  *fakecluster.Cluster
	in       io.Reader
	terminal bool

	// What reads the output while the command runs, and takes it for a terminal.
	out, errOut              io.Writer
	outTerminal, errTerminal bool
}

func start(t *testing.T) *session {
	return &session{t: t, cluster: fakecluster.New(t, 3), in: strings.NewReader("")}
}

func (s *session) run(args ...string) (code exit.Code, out, errOut string) {
	s.t.Helper()
	return s.runContext(s.t.Context(), args...)
}

func (s *session) runContext(ctx context.Context, args ...string) (code exit.Code, out, errOut string) {
	s.t.Helper()
	var stdout, stderr lockedBuffer
	getenv := func(name string) string {
		if name == addrVariable {
			return strings.Join(s.cluster.Addresses(), ",")
		}
		return ""
	}
	streams := Streams{In: s.in, Out: &stdout, Err: &stderr, InTerminal: s.terminal, OutTerminal: s.outTerminal, ErrTerminal: s.errTerminal}
	if s.out != nil {
		streams.Out = s.out
	}
	if s.errOut != nil {
		streams.Err = s.errOut
	}
	code = Main(ctx, args, getenv, "test", streams)
	return code, stdout.String(), stderr.String()
}

// lockedBuffer is a bytes.Buffer for several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// ok runs a command that has to succeed, and returns its output.
func (s *session) ok(args ...string) string {
	s.t.Helper()
	code, out, errOut := s.run(args...)
	if code != exit.OK {
		s.t.Fatalf("ringctl %q: exit code %d\n%s%s", args, code, out, errOut)
	}
	return out
}

// fails runs a command that has to fail with code, saying says on stderr.
func (s *session) fails(code exit.Code, says string, args ...string) {
	s.t.Helper()
	got, out, errOut := s.run(args...)
	if got != code || !strings.Contains(errOut, says) {
		s.t.Errorf("ringctl %q: exit code %d, want %d and %q\n%s%s", args, got, code, says, out, errOut)
	}
	if last := lastLine(errOut); !strings.Contains(last, "ringctl: ") {
		s.t.Errorf("ringctl %q: the last line of stderr is %q", args, last)
	}
}

func lastLine(s string) string {
	all := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return all[len(all)-1]
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

func TestEveryCommandExplainsItself(t *testing.T) {
	a := &app{getenv: func(string) string { return "" }}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if c.Short == "" || c.Long == "" {
			t.Errorf("%s has no Short or Long", c.CommandPath())
		}
		if c.Runnable() && !strings.Contains(c.Example, "  ringctl ") && c.Name() != "completion" {
			t.Errorf("%s has no Example", c.CommandPath())
		}
		for _, line := range strings.Split(c.Long, "\n") {
			if len(line) > 90 {
				t.Errorf("%s: a line of its Long has %d characters: %s", c.CommandPath(), len(line), line)
			}
		}
	}
	walk(a.root())
}

func TestHelpGolden(t *testing.T) {
	s := start(t)
	golden(t, "put-help.txt", strings.ReplaceAll(s.ok("put", "--help"), strings.Join(s.cluster.Addresses(), ","), "ADDRESSES"))
}

// golden holds output against a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		write(t, path, got)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant (UPDATE_GOLDEN=1 writes it anew)\n%s", path, got, want)
	}
}

func TestHelpTopics(t *testing.T) {
	s := start(t)
	for topic, has := range map[string]string{"exit-codes": "7  several siblings", "format": "key_b64"} {
		if out := s.ok("help", topic); !strings.Contains(out, has) {
			t.Errorf("help %s:\n%s", topic, out)
		}
	}
}
