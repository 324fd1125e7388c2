package peer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// tunnelPair returns the two ends of a raft connection.
func tunnelPair(t *testing.T) (dialed, accepted net.Conn, a, b *member) {
	t.Helper()
	var n network
	a, b = startMember(t, &n, 1, echo{}, nil), startMember(t, &n, 2, echo{}, nil)
	type result struct {
		conn net.Conn
		err  error
	}
	listener := b.RaftConns("")
	if got := listener.Addr().String(); got != id(2).String() {
		t.Errorf("listener at %s", got)
	}
	in := make(chan result, 1)
	go func() {
		c, err := listener.Accept()
		in <- result{c, err}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dialed, err := a.DialRaft(ctx, b.addr, "")
	if err != nil {
		t.Fatal(err)
	}
	got := <-in
	if got.err != nil {
		t.Fatal(got.err)
	}
	return dialed, got.conn, a, b
}

func TestRaftConnCarriesBytesBothWays(t *testing.T) {
	dialed, accepted, _, b := tunnelPair(t)
	if got := dialed.RemoteAddr().String(); got != b.addr {
		t.Errorf("remote address %s, want %s", got, b.addr)
	}
	data := bytes.Repeat([]byte("0123456789abcdef"), 300_000) // more than all windows
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{dialed, accepted}, {accepted, dialed}} {
		both.Go(func() {
			if n, err := way[0].Write(data); n != len(data) || err != nil {
				t.Errorf("wrote %d, %v", n, err)
			}
		})
		both.Go(func() {
			got := make([]byte, len(data))
			if _, err := io.ReadFull(way[1], got); err != nil || !bytes.Equal(got, data) {
				t.Errorf("read: %v", err)
			}
		})
	}
	both.Wait()
}

// Who closes has delivered what was written before; the other side reads it, and
// then the end.
func TestRaftConnClose(t *testing.T) {
	for _, byDialer := range []bool{true, false} {
		dialed, accepted, _, _ := tunnelPair(t)
		closing, other := accepted, dialed
		if byDialer {
			closing, other = dialed, accepted
		}
		data := bytes.Repeat([]byte("x"), 200_000)
		if _, err := closing.Write(data); err != nil {
			t.Fatal(err)
		}
		blocked := make(chan error, 1)
		go func() {
			_, err := closing.Read(make([]byte, 1))
			blocked <- err
		}()
		if err := closing.Close(); err != nil {
			t.Error(err)
		}
		if err := <-blocked; !errors.Is(err, net.ErrClosed) {
			t.Errorf("a read during Close: %v", err)
		}
		if _, err := closing.Write([]byte("y")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a write after Close: %v", err)
		}
		if err := closing.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a second Close: %v", err)
		}
		got, err := io.ReadAll(other)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("by dialer %v: read %d of %d bytes, %v", byDialer, len(got), len(data), err)
		}
		other.Close()
	}
}

func TestRaftConnDeadlines(t *testing.T) {
	dialed, accepted, _, _ := tunnelPair(t)
	conns := map[string]net.Conn{"dialed": dialed, "accepted": accepted}
	timedOut := func(what string, err error) {
		t.Helper()
		var ne net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("%s: %v", what, err)
		}
	}
	for name, c := range conns {
		one := make([]byte, 1)
		c.SetReadDeadline(time.Now().Add(-time.Second))
		_, err := c.Read(one)
		timedOut(name+": past", err)
		c.SetDeadline(time.Now().Add(5 * time.Millisecond))
		_, err = c.Read(one)
		timedOut(name+": soon", err)
		// Moved while a Read waits.
		c.SetReadDeadline(time.Now().Add(time.Hour))
		blocked := make(chan error, 1)
		go func() {
			_, err := c.Read(one)
			blocked <- err
		}()
		c.SetReadDeadline(time.Now())
		timedOut(name+": moved", <-blocked)
	}
	// Nobody reads the other side: windows fill, and the write gives up.
	much := make([]byte, 16<<20)
	for name, c := range conns {
		c.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := c.Write(much)
		timedOut(name+": write", err)
		if n == 0 || n == len(much) {
			t.Errorf("%s: wrote %d", name, n)
		}
	}
	// A deadline that passed is no end: what was handed over arrives, and more can
	// be written.
	var both sync.WaitGroup
	for _, c := range conns {
		c.SetDeadline(time.Time{})
		both.Go(func() {
			if _, err := c.Write([]byte("z")); err != nil {
				t.Error(err)
			}
		})
		both.Go(func() {
			buf := make([]byte, 64<<10)
			for {
				n, err := c.Read(buf)
				if err != nil {
					t.Error(err)
					return
				}
				if buf[n-1] == 'z' {
					return
				}
			}
		})
	}
	both.Wait()
}

func TestRaftConnEndsWithTransport(t *testing.T) {
	for _, closing := range []int{0, 1} {
		dialed, accepted, a, b := tunnelPair(t)
		[]*member{a, b}[closing].Close()
		for _, c := range []net.Conn{dialed, accepted} {
			if _, err := c.Read(make([]byte, 1)); err == nil {
				t.Error("read something")
			}
			eventually(t, "writing fails", func() bool { _, err := c.Write([]byte("x")); return err != nil })
		}
	}
}

func TestRaftRefusals(t *testing.T) {
	var n network
	within, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	b := startMember(t, &n, 2, echo{}, nil)
	listener := b.RaftConns("")
	other := startMember(t, &n, 1, echo{}, func(c *Config) { c.ClusterID = func() string { return "c2" } })
	if _, err := other.DialRaft(within, b.addr, ""); !errors.Is(err, ErrRefused) {
		t.Errorf("another cluster: %v", err)
	}
	third := startMember(t, &n, 4, echo{}, nil)
	if _, err := third.DialRaftTo(within, id(5), b.addr, ""); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "the address has moved") {
		t.Errorf("another member: %v", err)
	}
	twin := startMember(t, &n, 2, echo{}, nil)
	if _, err := twin.DialRaftTo(within, id(2), b.addr, ""); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "copy of its data directory") {
		t.Errorf("a twin: %v", err)
	}
	b.SawStart(id(3), 7)
	old := startMember(t, &n, 3, echo{}, nil)
	if _, err := old.DialRaft(within, b.addr, ""); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "start 7") {
		t.Errorf("older start: %v", err)
	}
	if _, err := old.DialRaft(within, "127.0.0.1:1", ""); !errors.Is(err, ErrUnreachable) {
		t.Errorf("nobody there: %v", err)
	}
	// Nobody accepts.
	old.start.Store(7)
	ctx, cancelSoon := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancelSoon()
	if _, err := old.DialRaft(ctx, b.addr, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("not accepted: %v", err)
	}
	listener.Close()
	if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after close: %v", err)
	}
	if _, err := old.DialRaft(within, b.addr, ""); !errors.Is(err, ErrUnreachable) {
		t.Errorf("listener closed: %v", err)
	}
}

// Who takes part in another log is refused by either side, and a listener for
// another log takes the place of the one before.
func TestRaftOtherLog(t *testing.T) {
	var n network
	within, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	a, b := startMember(t, &n, 1, echo{}, nil), startMember(t, &n, 2, echo{}, nil)
	if _, err := a.DialRaft(within, b.addr, ""); !errors.Is(err, ErrUnreachable) {
		t.Errorf("nobody listens yet: %v", err)
	}
	first := b.RaftConns("")
	if _, err := a.DialRaft(within, b.addr, "2"); !errors.Is(err, ErrOtherLog) || !errors.Is(err, ErrRefused) {
		t.Errorf("a dialer of another log: %v", err)
	}
	second := b.RaftConns("2")
	if _, err := first.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accepting of the log before: %v", err)
	}
	if _, err := a.DialRaft(within, b.addr, ""); !errors.Is(err, ErrOtherLog) {
		t.Errorf("a dialer of the log before: %v", err)
	}
	accepted := make(chan error, 1)
	go func() {
		c, err := second.Accept()
		if err == nil {
			err = c.Close()
		}
		accepted <- err
	}()
	if _, err := a.DialRaft(within, b.addr, "2"); err != nil {
		t.Error(err)
	}
	if err := <-accepted; err != nil {
		t.Error(err)
	}
	// A release that knows of no recoveries answers any log with its first one.
	if err := checkLog("2", hello{}); !errors.Is(err, ErrOtherLog) {
		t.Errorf("an answer without a log: %v", err)
	}
}

// A later start ends the raft connections of the earlier one.
func TestRaftConnEndsWithLaterStart(t *testing.T) {
	dialed, accepted, _, b := tunnelPair(t)
	b.SawStart(id(1), 2)
	if _, err := dialed.Read(make([]byte, 1)); err == nil {
		t.Error("the dialed side goes on")
	}
	if _, err := accepted.Read(make([]byte, 1)); err == nil {
		t.Error("the accepted side goes on")
	}
}
