package proctest

import (
	"bytes"
	"encoding/json"
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
)

// Within bounds every wait of this package: generous, for machines that do
// other work.
const Within = 60 * time.Second

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

// Endpoints is where a member serves, as it writes it into its data directory.
type Endpoints struct {
	GRPC   string `json:"grpc"`
	Gossip string `json:"gossip"`
	HTTP   string `json:"http"`
}

// Process is a ringd process.
type Process struct {
	Name string
	Dir  string // its data directory
	At   Endpoints

	t    testing.TB
	args []string
	wrap []string // command that the program is run by, such as ip netns exec
	host string
	cmd  *exec.Cmd
	log  *logBuffer
	done chan struct{}
	err  error // of Wait, once done is closed
}

// Option changes how a process is started.
type Option func(*Process)

// Host makes the process listen on an address other than 127.0.0.1.
func Host(ip string) Option { return func(p *Process) { p.host = ip } }

// Wrap runs the program by a command, such as "ip", "netns", "exec", NAME.
func Wrap(command ...string) Option { return func(p *Process) { p.wrap = command } }

// Args adds arguments.
func Args(args ...string) Option {
	return func(p *Process) { p.args = append(p.args, args...) }
}

// New describes a member that is not started yet.
func New(t testing.TB, name, dir string, options ...Option) *Process {
	p := &Process{Name: name, Dir: dir, t: t, host: "127.0.0.1"}
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

// Start runs the process with further arguments for this time, and returns
// once it serves. It fails the test if the process ends before that.
func (p *Process) Start(args ...string) {
	p.t.Helper()
	p.begin(args)
	deadline := time.Now().Add(Within)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if raw, err := os.ReadFile(filepath.Join(p.Dir, "endpoints.json")); err == nil {
			if json.Unmarshal(raw, &p.At) == nil {
				return
			}
		}
		select {
		case <-p.done:
			p.t.Fatalf("%s ended before it served: %v\n%s", p.Name, p.err, p.log.tail(4000))
		case <-tick.C:
			if time.Now().After(deadline) {
				p.t.Fatalf("%s does not serve after %v", p.Name, Within)
			}
		}
	}
}

// StartRefused runs the process and returns what it wrote, once it has ended
// with an error. It fails the test if the process serves.
func (p *Process) StartRefused(args ...string) string {
	p.t.Helper()
	p.begin(args)
	select {
	case <-p.done:
	case <-time.After(Within):
		p.t.Fatalf("%s was not refused within %v\n%s", p.Name, Within, p.log.tail(4000))
	}
	var exit *exec.ExitError
	if !errors.As(p.err, &exit) {
		p.t.Fatalf("%s ended with %v, want an exit code", p.Name, p.err)
	}
	return p.log.tail(8000)
}

func (p *Process) begin(args []string) {
	p.t.Helper()
	if p.cmd != nil {
		select {
		case <-p.done:
		default:
			p.t.Fatalf("%s runs already", p.Name)
		}
	}
	_ = os.Remove(filepath.Join(p.Dir, "endpoints.json"))
	any := p.host + ":0"
	line := append([]string{}, p.wrap...)
	line = append(line, Binary(p.t, "ringd"), "--name", p.Name, "--data-dir", p.Dir,
		"--listen", any, "--gossip", any, "--http", any)
	line = append(line, p.args...)
	line = append(line, args...)
	p.cmd = exec.Command(line[0], line[1:]...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.log, p.done = new(logBuffer), make(chan struct{})
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	cmd, done := p.cmd, p.done
	go func() {
		p.err = cmd.Wait()
		close(done)
	}()
}

// Signal sends a signal to the process.
func (p *Process) Signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%s: signal %v: %v", p.Name, s, err)
	}
}

// Kill ends the process as kill -9 does, and returns when it is gone. It does
// nothing if it isn't running.
func (p *Process) Kill() {
	if p.cmd == nil || p.cmd.Process == nil {
		return
	}
	select {
	case <-p.done:
		return
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.done
}

// Stop ends the process cleanly, and fails the test if that takes longer than
// it may.
func (p *Process) Stop() {
	p.t.Helper()
	began := time.Now()
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		if p.err != nil {
			p.t.Errorf("%s stopped with %v", p.Name, p.err)
		}
	case <-time.After(15 * time.Second):
		p.t.Errorf("%s did not stop within %v", p.Name, time.Since(began))
		p.Kill()
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

// Pid of the process.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Ended waits until the process has ended by itself, and fails the test unless that
// was without an error.
func (p *Process) Ended() {
	p.t.Helper()
	select {
	case <-p.done:
		if p.err != nil {
			p.t.Errorf("%s ended with %v:\n%s", p.Name, p.err, p.log.tail(4<<10))
		}
	case <-time.After(Within):
		p.t.Fatalf("%s did not end within %v:\n%s", p.Name, Within, p.log.tail(4<<10))
	}
}
