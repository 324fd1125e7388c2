package cluster

import (
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/ringd/ringd/ring"
)

// cutTransport drops what goes out while it is cut.
type cutTransport struct {
	*memberlist.NetTransport
	cut *atomic.Bool
}

func (c cutTransport) WriteTo(b []byte, addr string) (time.Time, error) {
	if c.cut.Load() {
		return time.Now(), nil
	}
	return c.NetTransport.WriteTo(b, addr)
}

func (c cutTransport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return c.WriteTo(b, a.Addr)
}

func (c cutTransport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	if c.cut.Load() {
		return nil, errDown
	}
	return c.NetTransport.DialTimeout(addr, timeout)
}

func (c cutTransport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return c.DialTimeout(a.Addr, timeout)
}

// gossiper is gossip with what it noticed.
type gossiper struct {
	*gossip
	change chan struct{}
	cut    atomic.Bool
}

func newGossiper(t *testing.T, id ring.MemberID, clusterID string, key []byte, known map[ring.MemberID]Peer) *gossiper {
	t.Helper()
	g := &gossiper{change: make(chan struct{}, 1)}
	var err error
	g.gossip, err = startGossip(gossipConfig{
		self: id, clusterID: clusterID, bind: "127.0.0.1:0", key: key, known: known, log: slog.New(slog.DiscardHandler),
		local: meta{Format: metaFormat, GRPC: id.String() + ":1"}, seeds: func() []string { return nil },
		changed: func() {
			select {
			case g.change <- struct{}{}:
			default:
			}
		},
		tune: func(m *memberlist.Config) {
			m.ProbeInterval, m.ProbeTimeout, m.GossipInterval, m.SuspicionMult = 50*time.Millisecond, 20*time.Millisecond, 10*time.Millisecond, 1
			nt, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{BindAddrs: []string{"127.0.0.1"}})
			if err != nil {
				t.Fatal(err)
			}
			m.Transport, m.AdvertisePort = cutTransport{nt, &g.cut}, nt.GetAutoBindPort()
			m.AdvertiseAddr = "127.0.0.1"
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.close)
	return g
}

func (g *gossiper) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx := within(t)
	for !ok() {
		select {
		case <-g.change:
		case <-ctx.Done():
			t.Fatalf("never: %s; alive %v", what, g.alive())
		}
	}
}

func (g *gossiper) sees(n int) func() bool { return func() bool { return len(g.alive()) == n } }

// TestGossipHeals: cut apart for long enough that each side buries the other,
// members find together again, which the library alone does not do.
func TestGossipHeals(t *testing.T) {
	t.Parallel()
	a := newGossiper(t, memberID(1), "c", nil, nil)
	known := map[ring.MemberID]Peer{a.self: {ID: a.self, Gossip: a.address()}}
	b := newGossiper(t, memberID(2), "c", nil, known)
	for _, g := range []*gossiper{a, b} {
		done := make(chan struct{})
		go func() { defer close(done); g.rejoin(t.Context()) }()
		t.Cleanup(func() { <-done })
	}
	a.until(t, "a sees b", a.sees(2))
	b.until(t, "b sees a", b.sees(2))
	if p, ok := a.peer(b.self); !ok || p.GRPC != b.self.String()+":1" || p.Gossip != b.address() {
		t.Errorf("a knows %+v of b", p)
	}
	if got := a.takeKnown(); len(got) != 1 {
		t.Errorf("to remember: %v", got)
	}
	if got := a.takeKnown(); got != nil {
		t.Errorf("to remember again: %v", got)
	}
	a.cut.Store(true)
	b.cut.Store(true)
	a.until(t, "a misses b", a.sees(1))
	b.until(t, "b misses a", b.sees(1))
	a.cut.Store(false)
	b.cut.Store(false)
	a.until(t, "a sees b again", a.sees(2))
	b.until(t, "b sees a again", b.sees(2))
}

// TestGossipKeepsToItself: a node of another cluster, or without the key, is not
// let in.
func TestGossipKeepsToItself(t *testing.T) {
	t.Parallel()
	key := []byte("0123456789abcdef")
	a := newGossiper(t, memberID(1), "c", key, nil)
	for name, other := range map[string]*gossiper{
		"another cluster": newGossiper(t, memberID(2), "d", key, nil),
		"no key":          newGossiper(t, memberID(3), "c", nil, nil),
	} {
		if _, err := other.list.Join([]string{a.address()}); err == nil {
			t.Errorf("%s: it was let in", name)
		}
	}
	same := newGossiper(t, memberID(4), "c", key, nil)
	if _, err := same.list.Join([]string{a.address()}); err != nil {
		t.Error(err)
	}
	a.until(t, "a sees its like", a.sees(2))
}

func TestGossipSettings(t *testing.T) {
	for name, c := range map[string]struct {
		gossipConfig
		want string
	}{
		"key":       {gossipConfig{bind: "127.0.0.1:0", key: make([]byte, 15)}, "the gossip key has 15 bytes"},
		"no port":   {gossipConfig{bind: "127.0.0.1"}, "missing port"},
		"port":      {gossipConfig{bind: "127.0.0.1:70000"}, "0 to 65535"},
		"advertise": {gossipConfig{bind: "127.0.0.1:0", advertise: "no host"}, "to advertise"},
	} {
		if _, err := startGossip(c.gossipConfig); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMetaFits: the longest that a member may say of itself fits into gossip.
func TestMetaFits(t *testing.T) {
	long := strings.Repeat("a", memberAddressBytesMax)
	g := &gossip{log: slog.New(slog.DiscardHandler)}
	g.mu.local = meta{Format: metaFormat, GRPC: long, HTTP: long, Starts: 1<<64 - 1}
	if g.NodeMeta(memberlist.MetaMaxSize) == nil {
		t.Error("it does not fit")
	}
}
