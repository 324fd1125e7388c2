package proctest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ringd/ringd/internal/process"
)

// Within bounds every wait of this package: generous, for machines that do
// other work.
const Within = 60 * time.Second

// stopWithin is a little more than a member gives itself for a clean stop.
const stopWithin = 15 * time.Second

var built struct {
	once sync.Once
	dir  string
	err  error
}

// Binary returns the path of a program of this repository, ringd or ringctl,
// built from the present source.
func Binary(t testing.TB, name string) string {
	t.Helper()
	built.once.Do(func() {
		// Not t.TempDir: the binaries outlive the first test that needs them.
		built.dir, built.err = os.MkdirTemp("", "ringd-proctest-")
		if built.err != nil {
			return
		}
		cmd := exec.Command("go", "build", "-o", built.dir, "github.com/ringd/ringd/cmd/ringd", "github.com/ringd/ringd/cmd/ringctl")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, name)
}

// Main runs a package's tests and removes the binaries that they had built.
func Main(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// Endpoints is where a member serves.
type Endpoints = process.Endpoints

// Process is a ringd process that ends with its test.
type Process struct {
	process.Process
	t   testing.TB
	log *logBuffer // of the process that was started last
}

// Option changes how a process is started.
type Option func(*Process)

// Host makes the process listen on an address other than 127.0.0.1.
func Host(ip string) Option { return func(p *Process) { p.Host = ip } }

// Wrap runs the program by a command, such as "ip", "netns", "exec", NAME.
func Wrap(command ...string) Option { return func(p *Process) { p.Wrap = command } }

// Program runs that ringd instead of one built from the present source.
func Program(path string) Option { return func(p *Process) { p.Program = path } }

// Args adds arguments.
func Args(args ...string) Option {
	return func(p *Process) { p.Args = append(p.Args, args...) }
}

// New describes a member that is not started yet.
func New(t testing.TB, name, dir string, options ...Option) *Process {
	p := &Process{Process: process.Process{Name: name, Dir: dir, Host: "127.0.0.1"}, t: t}
	for _, o := range options {
		o(p)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() && p.log != nil {
			t.Logf("log of %s:\n%s", p.Name, p.log.tail(8000))
		}
	})
	return p
}

// At describes a member that something else runs: it can be asked, not started.
func At(name string, at Endpoints) *Process {
	return &Process{Process: process.Process{Name: name, At: at}}
}

// Start runs the process with further arguments for this time, and returns
// once it serves. It fails the test if the process ends before that.
func (p *Process) Start(args ...string) {
	p.t.Helper()
	p.begin(args)
	ctx, cancel := context.WithTimeout(context.Background(), Within)
	defer cancel()
	if err := p.Serving(ctx); err != nil {
		p.t.Fatalf("%v\n%s", err, p.log.tail(4000))
	}
}

// StartRefused runs the process and returns what it wrote, once it has ended
// with an error. It fails the test if the process serves.
func (p *Process) StartRefused(args ...string) string {
	p.t.Helper()
	p.begin(args)
	select {
	case <-p.Done():
	case <-time.After(Within):
		p.t.Fatalf("%s was not refused within %v\n%s", p.Name, Within, p.log.tail(4000))
	}
	var exit *exec.ExitError
	if !errors.As(p.Err(), &exit) {
		p.t.Fatalf("%s ended with %v, want an exit code", p.Name, p.Err())
	}
	return p.log.tail(8000)
}

func (p *Process) begin(args []string) {
	p.t.Helper()
	if p.Program == "" {
		p.Program = Binary(p.t, "ringd")
	}
	if !p.Running() {
		p.log = new(logBuffer)
		p.Output = p.log
	}
	if err := p.Begin(args...); err != nil {
		p.t.Fatal(err)
	}
}

// Signal sends a signal to the process.
func (p *Process) Signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// Stop ends the process cleanly, and fails the test if that takes longer than
// it may.
func (p *Process) Stop() {
	p.t.Helper()
	if err := p.Process.Stop(stopWithin); err != nil {
		p.t.Error(err)
	}
}

// Ended waits until the process has ended by itself, and fails the test unless that
// was without an error.
func (p *Process) Ended() {
	p.t.Helper()
	select {
	case <-p.Done():
		if err := p.Err(); err != nil {
			p.t.Errorf("%s ended with %v:\n%s", p.Name, err, p.log.tail(4<<10))
		}
	case <-time.After(Within):
		p.t.Fatalf("%s did not end within %v:\n%s", p.Name, Within, p.log.tail(4<<10))
	}
}

// Log is what the process wrote so far.
func (p *Process) Log() string { return p.log.tail(1 << 20) }

// logBuffer keeps what a process writes.
type logBuffer struct {
	mu struct {
		sync.Mutex
		bytes.Buffer
	}
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.Buffer.Write(p)
}

func (b *logBuffer) tail(n int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.mu.String()
	if len(s) > n {
		s = "..." + s[len(s)-n:]
	}
	return strings.TrimSpace(s)
}
