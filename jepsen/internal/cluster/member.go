package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/internal/process"
	"github.com/ringd/ringd/jepsen/internal/hosts"
	"github.com/ringd/ringd/jepsen/internal/workload"
)

const (
	// startWithin bounds the time until a member that was started serves.
	startWithin = 60 * time.Second
	// stopWithin is a little more than a member gives itself for a clean stop.
	stopWithin = 15 * time.Second
	// port of gRPC, on an address of the member's own: a member that is started again
	// is where it was, even if all are. It is below those that the system gives out.
	port = 7600
)

// ErrEnded is returned where a member was to serve that ended instead.
var ErrEnded = errors.New("it ended instead of serving")

// Member is a ringd process, its directory and, with a network, its host. It is
// safe for use by several goroutines.
type Member struct {
	Name string
	Host *hosts.Host // nil on loopback
	Dir  string      // its data directory
	// Args are arguments for every start. Hooks may add some.
	Args []string
	// Wrap is a command that the program is run by, on its host. Hooks may add to it.
	Wrap []string

	c    *Cluster
	addr string // it listens on, of its own
	log  *os.File
	proc process.Process

	// life is held while the process is started or ended, which may take long. It
	// comes before mu.
	life sync.Mutex
	mu   struct {
		sync.Mutex
		starts  int
		last    *start
		claimed bool // by a fault
		gone    bool // it is on its way out of the cluster, or out of it
		conn    *grpc.ClientConn
		at      string // address of conn: where it served last
	}
}

// start is one life of the process.
type start struct {
	// ending: whoever ended it, or had it leave, knows.
	ending bool
	// died is how it ended though nobody ended it.
	died error
}

// Start starts the member, with further arguments for this time, and returns once
// it serves. The error is an [ErrEnded] if it ended before that.
func (m *Member) Start(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	m.life.Lock()
	defer m.life.Unlock()
	m.mu.Lock()
	m.mu.starts++
	n := m.mu.starts
	s := &start{ending: true} // until it serves, this function says how it ended
	m.mu.last = s
	m.mu.Unlock()

	p := &m.proc
	p.Name, p.Dir, p.Program, p.Output, p.Host, p.Port = m.Name, m.Dir, m.c.config.Program, m.log, m.addr, port
	p.Wrap = m.Wrap
	if m.Host != nil {
		p.Wrap = append(m.Host.Enter(), m.Wrap...)
	}
	p.Args = append([]string{"--insecure"}, m.Args...)
	if n > 1 && len(args) == 0 {
		args = m.c.JoinArgs(m)
	}
	fmt.Fprintf(m.log, "--- start %d at %v\n", n, m.c.config.Since().Round(time.Millisecond))
	if err := p.Begin(args...); err != nil {
		return err
	}
	if err := p.Serving(ctx); err != nil {
		if !p.Running() {
			return fmt.Errorf("%w: %w", ErrEnded, err)
		}
		p.Kill()
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s.ending = false
	go m.watch(s, p.Done())
	return m.dialLocked(p.At.GRPC)
}

// watch notes how a process ended that nobody ended.
func (m *Member) watch(s *start, done <-chan struct{}) {
	<-done
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.ending {
		return
	}
	s.died = errors.New("exit code 0")
	if err := m.proc.Err(); err != nil {
		s.died = err
	}
	m.c.noteDeath(fmt.Sprintf("%s ended by itself at %v: %v", m.Name, m.c.config.Since().Round(time.Millisecond), s.died))
}

func (m *Member) dialLocked(at string) error {
	if m.mu.at == at {
		return nil
	}
	conn, err := grpc.NewClient(at, grpc.WithTransportCredentials(insecure.NewCredentials()),
		// Members that come back are asked again soon.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.5, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: time.Second,
		}))
	if err != nil {
		return err
	}
	if m.mu.conn != nil {
		_ = m.mu.conn.Close()
	}
	m.mu.conn, m.mu.at = conn, at
	return nil
}

// Kill ends the process as kill -9 does. It does nothing if it isn't running.
func (m *Member) Kill() {
	m.life.Lock()
	defer m.life.Unlock()
	m.ending()
	m.proc.Kill()
}

// Stop ends the process cleanly. It returns an error if it did not end so.
func (m *Member) Stop() error {
	m.life.Lock()
	defer m.life.Unlock()
	m.ending()
	return m.proc.Stop(stopWithin)
}

// ending says that the process which runs now may end.
func (m *Member) ending() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.last != nil {
		m.mu.last.ending = true
	}
}

// Pause has the process stand still until Resume, and answer nothing.
func (m *Member) Pause() error { return m.proc.Signal(syscall.SIGSTOP) }

// Resume ends a pause.
func (m *Member) Resume() error { return m.proc.Signal(syscall.SIGCONT) }

// Running reports whether the process was started and has not ended.
func (m *Member) Running() bool { return m.proc.Running() }

// Ended is closed when the process that was started last has ended.
func (m *Member) Ended() <-chan struct{} { return m.proc.Done() }

// ExitErr is what the process that was started last ended with, once it has.
func (m *Member) ExitErr() error { return m.proc.Err() }

// MayEnd says that the member is on its way out of the cluster: the process which
// runs now may end by itself.
func (m *Member) MayEnd() { m.ending() }

// Gone says that the member is out of the cluster, or taken to be, and may end by
// itself. While it runs, clients still ask it.
func (m *Member) Gone() {
	m.ending()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.gone = true
}

// Admin is the member's Admin service. It must have been started.
func (m *Member) Admin() ringdv1.AdminClient {
	m.mu.Lock()
	defer m.mu.Unlock()
	return ringdv1.NewAdminClient(m.mu.conn)
}

// client is the member as clients reach it; false if it never served.
func (m *Member) client() (workload.Member, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.conn == nil {
		return workload.Member{}, false
	}
	return workload.Member{Name: m.Name, KV: ringdv1.NewKVClient(m.mu.conn), Admin: ringdv1.NewAdminClient(m.mu.conn)}, true
}

// Copy copies the data directory of a member that isn't running.
func (m *Member) Copy(to string) error {
	if m.Running() {
		return fmt.Errorf("%s runs: only the directory of a stopped member can be copied", m.Name)
	}
	return os.CopyFS(to, os.DirFS(m.Dir))
}

// Replace replaces what is in the data directory of a member that isn't running
// by what is in from, and keeps in aside what was there. The directory itself
// stays, as something may be mounted on it.
func (m *Member) Replace(from, aside string) error {
	if m.Running() {
		return fmt.Errorf("%s runs: only the directory of a stopped member can be replaced", m.Name)
	}
	if aside != "" {
		if err := os.CopyFS(aside, os.DirFS(m.Dir)); err != nil {
			return err
		}
	}
	if err := emptyDir(m.Dir); err != nil {
		return err
	}
	if from == "" {
		return nil
	}
	return os.CopyFS(m.Dir, os.DirFS(from))
}

// Wipe removes all that is in the data directory, or in one part of it, of a
// member that isn't running.
func (m *Member) Wipe(part string) error {
	if m.Running() {
		return fmt.Errorf("%s runs: only the directory of a stopped member can be wiped", m.Name)
	}
	return emptyDir(filepath.Join(m.Dir, part))
}

func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
