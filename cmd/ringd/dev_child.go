package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/internal/member"
)

// restartAfter is how long a child that died stays down.
const restartAfter = time.Second

// supervise runs the child's process, again and again, until ctx ends or the member
// has left the cluster. The last one is told to stop, and killed if it doesn't.
func (m *child) supervise(ctx context.Context) {
	for {
		err := m.run(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			m.logs.line(m.name, "ended by itself, and is not started again")
			return
		}
		m.logs.line(m.name, fmt.Sprintf("died: %v", err))
		if m.noRestart {
			return
		}
		select {
		case <-time.After(restartAfter):
		case <-ctx.Done():
			return
		}
	}
}

func (m *child) run(ctx context.Context) error {
	args := m.args
	if m.join != "" {
		args = append(args[:len(args):len(args)], "--join", m.join)
	}
	// What an earlier process wrote names its addresses, not this one's.
	if err := member.RemoveEndpoints(m.dir); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, m.program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopWithin + time.Second
	// Its own group: Ctrl-C reaches the children through this process only, and
	// they stop before it does. If this process is killed, they go too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = in, in
	err = cmd.Start()
	_ = in.Close()
	if err != nil {
		_ = out.Close()
		return err
	}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		m.logs.copy(m.name, out)
		_ = out.Close()
	}()
	m.logs.line(m.name, fmt.Sprintf("runs as process %d", cmd.Process.Pid))
	err = cmd.Wait()
	<-copied
	return err
}

// address returns where the child serves, once it does.
func (m *child) address(ctx context.Context) (string, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if at, err := member.ReadEndpoints(m.dir); err == nil {
			return at.GRPC, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", fmt.Errorf("member %s did not come up in time: see its log above", m.name)
		}
	}
}

// waitCommitted waits for nodes members, commits the first plan if there are
// no owners yet, and waits until every member serves that ring.
func waitCommitted(ctx context.Context, c *client.Client, nodes int) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		done, err := tryCommit(ctx, c.Admin(), nodes)
		if done {
			return nil
		}
		if err != nil {
			last = err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the cluster did not get ready within %v: %w", devReadyWithin, last)
		}
	}
}

func tryCommit(ctx context.Context, admin ringdv1.AdminClient, nodes int) (bool, error) {
	status, err := admin.Status(ctx, &ringdv1.StatusRequest{})
	if err != nil {
		return false, err
	}
	if len(status.Members) < nodes {
		return false, fmt.Errorf("%d of %d members have joined", len(status.Members), nodes)
	}
	if !status.HasOwners {
		_, err := admin.Commit(ctx, &ringdv1.CommitRequest{Epoch: status.Epoch})
		return false, err
	}
	for _, m := range status.Members {
		if m.Liveness != ringdv1.Member_ALIVE {
			return false, fmt.Errorf("member %s is not up yet", m.Name)
		}
	}
	return true, nil
}

// lineWriter puts lines of several sources into one stream, whole.
type lineWriter struct {
	to io.Writer
	mu sync.Mutex
}

func (w *lineWriter) line(name, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Fprintf(w.to, "%s | %s\n", name, text)
}

// copy writes what comes from r, a line at a time, until it ends. A line that
// is longer than the buffer is cut.
func (w *lineWriter) copy(name string, r io.Reader) {
	lines := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := lines.ReadSlice('\n')
		if len(line) > 0 {
			w.line(name, string(bytes.TrimRight(line, "\n")))
		}
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
	}
}
