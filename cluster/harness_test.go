package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"go.uber.org/goleak"

	"github.com/ringd/ringd/ring"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeNet is the members' gRPC listeners, in this process.
type fakeNet struct {
	mu struct {
		sync.Mutex
		hosts map[string]*fakeWire
		cut   map[string]bool // hosts that reach nobody and that nobody reaches
	}
}

func newFakeNet() *fakeNet {
	f := new(fakeNet)
	f.mu.hosts, f.mu.cut = make(map[string]*fakeWire), make(map[string]bool)
	return f
}

func (f *fakeNet) setCut(addr string, cut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.cut[addr] = cut
}

// fakeWire is the Wire of one member.
type fakeWire struct {
	net  *fakeNet
	addr string
	node *Node

	mu struct {
		sync.Mutex
		listener *fakeListener // nil until RaftConns
	}
}

// fakeListener has the connections for one log.
type fakeListener struct {
	log    string
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

var errDown = errors.New("nobody listens there")

func (f *fakeNet) find(from, to string) (*fakeWire, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := f.mu.hosts[to]
	if h == nil || f.mu.cut[from] || f.mu.cut[to] {
		return nil, errDown
	}
	return h, nil
}

// Call implements Wire.
func (w *fakeWire) Call(ctx context.Context, addr, kind string, body []byte) ([]byte, error) {
	h, err := w.net.find(w.addr, addr)
	if err != nil {
		return nil, err
	}
	return h.node.HandleCall(ctx, kind, body)
}

// DialRaft implements Wire.
func (w *fakeWire) DialRaft(ctx context.Context, id ring.MemberID, addr, log string) (net.Conn, error) {
	h, err := w.net.find(w.addr, addr)
	if err != nil {
		return nil, err
	}
	if h.node.ID() != id {
		return nil, errors.New("another member is there")
	}
	if outdated(w.node, h.node) || outdated(h.node, w.node) {
		return nil, errors.New("refused: an earlier start")
	}
	h.mu.Lock()
	l := h.mu.listener
	h.mu.Unlock()
	if l == nil {
		return nil, errDown
	}
	if l.log != log {
		return nil, fmt.Errorf("%w: %q, not %q", ErrOtherLog, l.log, log)
	}
	mine, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return mine, nil
	case <-l.closed:
		err = errDown
	case <-ctx.Done():
		err = ctx.Err()
	}
	_, _ = mine.Close(), theirs.Close()
	return nil, err
}

// outdated: members refuse one that speaks from an earlier start than the last
// that they heard of.
func outdated(n, by *Node) bool {
	s := by.State()
	return s != nil && n.Starts() < s.Members[n.ID()].Starts
}

// RaftConns implements Wire.
func (w *fakeWire) RaftConns(log string) net.Listener {
	l := &fakeListener{log: log, conns: make(chan net.Conn), closed: make(chan struct{})}
	w.mu.Lock()
	before := w.mu.listener
	w.mu.listener = l
	w.mu.Unlock()
	if before != nil {
		_ = before.Close()
	}
	return l
}

// Close closes the listener.
func (w *fakeWire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.listener == nil {
		return nil
	}
	return w.mu.listener.Close()
}

// Accept implements net.Listener.
func (l *fakeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *fakeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *fakeListener) Addr() net.Addr { return idAddr{} }

// host is a member across its restarts.
type host struct {
	t    *testing.T
	net  *fakeNet
	name string
	path string
	addr string
	node *Node
	dir  *Dir
	wire *fakeWire
	// change is sent to, without blocking, by OnChange.
	change chan struct{}
}

func newHost(t *testing.T, f *fakeNet, name string) *host {
	h := &host{t: t, net: f, name: name, path: filepath.Join(t.TempDir(), name), addr: name + ":1"}
	t.Cleanup(h.stop)
	return h
}

// prepare opens the directory and makes the node, not started yet.
func (h *host) prepare(change ...func(*Config)) error {
	dir, err := OpenDir(h.path, h.name)
	if err != nil {
		return err
	}
	c := Config{
		Dir: dir, Name: h.name, GRPC: h.addr, HTTP: h.addr + "1", Gossip: "127.0.0.1:0", Weight: 1,
		Wire: 3, Capabilities: CapabilitiesOf(3),
		Partitions: 16, Replicas: 3, Logger: slog.New(slog.DiscardHandler), heartbeat: 200 * time.Millisecond,
		tuneGossip: func(m *memberlist.Config) {
			m.ProbeInterval, m.ProbeTimeout, m.GossipInterval = 200*time.Millisecond, 100*time.Millisecond, 20*time.Millisecond
		},
	}
	for _, f := range change {
		f(&c)
	}
	h.dir, h.change = dir, make(chan struct{}, 1)
	h.wire = &fakeWire{net: h.net, addr: c.GRPC}
	if h.wire.node, err = New(c, h.wire); err != nil {
		return errors.Join(err, dir.Close())
	}
	h.node = h.wire.node
	h.node.OnChange(func() {
		select {
		case h.change <- struct{}{}:
		default:
		}
	})
	h.net.mu.Lock()
	h.net.mu.hosts[c.GRPC] = h.wire
	h.net.mu.Unlock()
	return nil
}

// try starts the member; one that is refused is stopped again.
func (h *host) try(change ...func(*Config)) error {
	if err := h.prepare(change...); err != nil {
		return err
	}
	err := h.node.Start(within(h.t))
	if err != nil {
		h.stop()
	}
	return err
}

func (h *host) start(change ...func(*Config)) {
	h.t.Helper()
	if err := h.try(change...); err != nil {
		h.t.Fatalf("%s: %v", h.name, err)
	}
}

// stop ends the member as raft sees a crash, and lets go of its directory.
func (h *host) stop() {
	if h.node == nil {
		return
	}
	h.net.mu.Lock()
	if h.net.mu.hosts[h.wire.addr] == h.wire {
		delete(h.net.mu.hosts, h.wire.addr)
	}
	h.net.mu.Unlock()
	if err := errors.Join(h.node.Close(), h.node.Close(), h.wire.Close(), h.dir.Close()); err != nil {
		h.t.Errorf("stopping %s: %v", h.name, err)
	}
	h.node = nil
}

// until waits for a condition on the state, on who is up, or at the leader on
// who is in the log.
func (h *host) until(what string, ok func() bool) {
	h.t.Helper()
	ctx := within(h.t)
	for !ok() {
		select {
		case <-h.change:
		case err := <-h.node.Failed():
			h.t.Fatalf("%s: waiting until %s: it ended: %v", h.name, what, err)
		case <-ctx.Done():
			h.t.Fatalf("%s: never: %s; alive %v, roles %v", h.name, what, h.node.Alive(), h.node.Roles())
		}
	}
}

func (h *host) started() {
	h.t.Helper()
	if !h.node.WaitStarted(within(h.t)) {
		select {
		case err := <-h.node.Failed():
			h.t.Fatalf("%s: %v", h.name, err)
		default:
			h.t.Fatalf("%s: its start was not agreed on; roles %v", h.name, h.node.Roles())
		}
	}
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func begin(c *Config) { c.Bootstrap = true }

func joining(addrs ...string) func(*Config) { return func(c *Config) { c.Join = addrs } }

// newCluster starts members, the first of which begins the cluster, and waits
// until all vote.
func newCluster(t *testing.T, f *fakeNet, n int) []*host {
	t.Helper()
	var hosts []*host
	for i := range n {
		h := newHost(t, f, fmt.Sprintf("%s-m%d", t.Name(), i))
		if i == 0 {
			h.start(begin)
		} else {
			h.start(joining(hosts[0].addr))
		}
		hosts = append(hosts, h)
	}
	for _, h := range hosts {
		h.started()
	}
	voting(hosts[0], n)
	return hosts
}

// voting waits until n members vote, as h sees it: nothing tells of that where h does
// not lead.
func voting(h *host, n int) {
	h.t.Helper()
	for ctx := within(h.t); ; {
		voters := 0
		for _, role := range h.node.Roles() {
			if role != "nonvoter" {
				voters++
			}
		}
		if voters == n {
			return
		}
		if !sleep(ctx, retryEvery) {
			h.t.Fatalf("%s: %d vote, not %d; roles %v", h.name, voters, n, h.node.Roles())
		}
	}
}

func follower(t *testing.T, hosts []*host) *host {
	for _, h := range hosts {
		if id, ok := h.node.leads(); ok && id != h.node.ID() {
			return h
		}
	}
	t.Fatal("no member follows")
	return nil
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

func memberID(n byte) ring.MemberID { return ring.MemberID{15: n} }
