// Package process runs ringd as a process of its own, for tests and for jepsen:
// started, signalled, ended, and where it serves. It is for processes that end
// with the one that started them.
package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// ErrNotRunning is returned where a process has to run that was not started or
// has ended.
var ErrNotRunning = errors.New("it is not running")

// Endpoints is where a member serves, as it writes it into its data directory.
type Endpoints struct {
	GRPC   string `json:"grpc"`
	Gossip string `json:"gossip"`
	HTTP   string `json:"http"`
}

// Process is a ringd process, which may be started again once it has ended. Begin
// and Serving are for one goroutine at a time, the rest may be called by several.
// What is exported is for its owner to set before Begin, except At.
type Process struct {
	Name    string
	Dir     string    // its data directory
	Program string    // path of ringd
	Host    string    // address that it listens on
	Port    int       // of gRPC; gossip and HTTP are the next two; 0 takes free ones
	Args    []string  // for every start
	Wrap    []string  // command that the program is run by, such as ip netns exec
	Output  io.Writer // gets what the process writes
	// At is where it serves, after Serving.
	At Endpoints

	last atomic.Pointer[run]
}

// run is a process from its start to its end.
type run struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait, once done is closed
}

func (r *run) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// Begin runs the process with further arguments for this time. It does not wait
// until the process serves.
func (p *Process) Begin(args ...string) error {
	if p.Running() {
		return fmt.Errorf("%s runs already", p.Name)
	}
	// What an earlier process wrote names its addresses, not this one's.
	if err := os.Remove(p.endpoints()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	line := append([]string{}, p.Wrap...)
	line = append(line, p.Program, "--name", p.Name, "--data-dir", p.Dir,
		"--listen", p.listen(0), "--gossip", p.listen(1), "--http", p.listen(2))
	line = append(line, p.Args...)
	line = append(line, args...)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stdout, cmd.Stderr = p.Output, p.Output
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", p.Name, err)
	}
	r := &run{cmd: cmd, done: make(chan struct{})}
	p.last.Store(r)
	go func() {
		r.err = cmd.Wait()
		close(r.done)
	}()
	return nil
}

func (p *Process) listen(offset int) string {
	port := 0
	if p.Port > 0 {
		port = p.Port + offset
	}
	return net.JoinHostPort(p.Host, strconv.Itoa(port))
}

func (p *Process) endpoints() string { return filepath.Join(p.Dir, "endpoints.json") }

// Serving waits until the process, which was begun, serves. It returns an error
// if the process ends before that, or with ctx.
func (p *Process) Serving(ctx context.Context) error {
	r := p.last.Load()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if raw, err := os.ReadFile(p.endpoints()); err == nil {
			if json.Unmarshal(raw, &p.At) == nil {
				return nil
			}
		}
		select {
		case <-r.done:
			return fmt.Errorf("%s ended before it served: %w", p.Name, how(r.err))
		case <-ctx.Done():
			return fmt.Errorf("%s does not serve: %w", p.Name, ctx.Err())
		case <-tick.C:
		}
	}
}

// how a process ended, for the eyes.
func how(err error) error {
	if err == nil {
		return errors.New("exit code 0")
	}
	return err
}

// Running reports whether the process was started and has not ended.
func (p *Process) Running() bool {
	r := p.last.Load()
	return r != nil && !r.ended()
}

// Done is closed when the process that was begun last has ended.
func (p *Process) Done() <-chan struct{} { return p.last.Load().done }

// Err is what the process that was begun last ended with, once Done is closed:
// nil for exit code 0, else an *exec.ExitError.
func (p *Process) Err() error { return p.last.Load().err }

// Pid of the process that was begun last.
func (p *Process) Pid() int { return p.last.Load().cmd.Process.Pid }

// Signal sends a signal to the process.
func (p *Process) Signal(s syscall.Signal) error {
	if !p.Running() {
		return fmt.Errorf("%s: signal %v: %w", p.Name, s, ErrNotRunning)
	}
	if err := p.last.Load().cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("%s: signal %v: %w", p.Name, s, err)
	}
	return nil
}

// Kill ends the process as kill -9 does, and returns when it is gone. It does
// nothing if it isn't running.
func (p *Process) Kill() {
	r := p.last.Load()
	if r == nil || r.ended() {
		return
	}
	_ = r.cmd.Process.Signal(syscall.SIGKILL)
	<-r.done
}

// Stop ends the process cleanly and returns what it ended with; it kills it, and
// says so, if that takes longer than within.
func (p *Process) Stop(within time.Duration) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	r := p.last.Load()
	late := time.NewTimer(within)
	defer late.Stop()
	select {
	case <-r.done:
		if r.err != nil {
			return fmt.Errorf("%s stopped with %w", p.Name, r.err)
		}
		return nil
	case <-late.C:
		p.Kill()
		return fmt.Errorf("%s did not stop within %v", p.Name, within)
	}
}
