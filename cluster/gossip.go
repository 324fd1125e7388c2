package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/ringd/ringd/ring"
)

// Peer is another member, as gossip knows it.
type Peer struct {
	ID     ring.MemberID `json:"id"`
	GRPC   string        `json:"grpc"`
	Gossip string        `json:"gossip"`
	// Starts that were agreed on when it said so: of two addresses, the one of
	// the later start counts.
	Starts uint64 `json:"starts"`
}

// Liveness is what gossip says of a member.
type Liveness uint8

// The states of a member in gossip. The library does not tell a suspected
// member from one that is alive until it is dead, so Suspect is not seen yet.
const (
	Dead Liveness = iota
	Suspect
	Alive
)

// meta travels with every member in gossip: at most 512 bytes.
type meta struct {
	Format int    `json:"f"`
	GRPC   string `json:"g"`
	HTTP   string `json:"h"`
	Starts uint64 `json:"s"`
}

const (
	metaFormat = 1
	// rejoinEvery is how often members that are not seen are looked for:
	// memberlist does not find together again by itself after a partition.
	rejoinEvery = 2 * time.Second
	// rejoinAtOnce bounds the addresses that are tried side by side: one that
	// swallows packets must not hold up the others.
	rejoinAtOnce = 8
	// gossipDial bounds connecting to one of them, and the exchange that follows.
	gossipDial = 5 * time.Second
	// leaveWithin bounds saying goodbye.
	leaveWithin = time.Second
)

// gossip knows who is up.
type gossip struct {
	self    ring.MemberID
	at      string // where this member's gossip is
	list    *memberlist.Memberlist
	log     *slog.Logger
	changed func() // called after a member came, went or moved
	// seeds are gossip addresses to look for members at, beside those known.
	seeds func() []string

	mu struct {
		sync.Mutex
		local meta
		peers map[ring.MemberID]Peer // all that were ever seen
		dirty bool                   // peers changed since they were last asked for
	}
}

// gossipConfig is what gossip needs of a member.
type gossipConfig struct {
	self      ring.MemberID
	clusterID string
	bind      string // host:port
	advertise string // host; empty is the bound one
	key       []byte
	local     meta
	known     map[ring.MemberID]Peer
	log       *slog.Logger
	changed   func()
	seeds     func() []string
	// tune, for tests, changes the library's settings.
	tune func(*memberlist.Config)
}

func startGossip(c gossipConfig) (*gossip, error) {
	host, portText, err := net.SplitHostPort(c.bind)
	if err != nil {
		return nil, fmt.Errorf("gossip address %q: %w", c.bind, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("gossip address %q: the port is no number from 0 to 65535", c.bind)
	}
	switch len(c.key) {
	case 0, 16, 24, 32:
	default:
		return nil, fmt.Errorf("the gossip key has %d bytes: it is an AES key, of 16, 24 or 32", len(c.key))
	}
	g := &gossip{self: c.self, log: c.log, changed: c.changed, seeds: c.seeds}
	g.mu.local, g.mu.peers = c.local, maps.Clone(c.known)
	if g.mu.peers == nil {
		g.mu.peers = make(map[ring.MemberID]Peer)
	}
	m := memberlist.DefaultLANConfig()
	m.Name = c.self.String()
	m.BindPort, m.AdvertisePort = int(port), int(port)
	if m.BindAddr, err = ipOf(host); err != nil {
		return nil, fmt.Errorf("gossip address %q: %w", c.bind, err)
	}
	if c.advertise != "" {
		if m.AdvertiseAddr, err = ipOf(c.advertise); err != nil {
			return nil, fmt.Errorf("the address to advertise, %q: %w", c.advertise, err)
		}
	}
	m.Label = c.clusterID // packets of another cluster are dropped
	m.SecretKey = c.key
	m.TCPTimeout = gossipDial
	// A member that comes back at another address is accepted at once.
	m.DeadNodeReclaimTime = time.Nanosecond
	m.Delegate, m.Events = g, g
	m.LogOutput = gossipLog{c.log}
	if c.tune != nil {
		c.tune(m)
	}
	if g.list, err = memberlist.Create(m); err != nil {
		return nil, fmt.Errorf("gossip on %s: %w", c.bind, err)
	}
	// Read once: the library changes its node without a lock that we could take.
	g.at = g.list.LocalNode().Address()
	return g, nil
}

// ipOf resolves a host, once: the library takes addresses only. No host is any.
func ipOf(host string) (string, error) {
	if host == "" {
		return "0.0.0.0", nil
	}
	if net.ParseIP(host) != nil {
		return host, nil
	}
	addr, err := net.ResolveIPAddr("ip", host)
	if err != nil {
		return "", err
	}
	return addr.IP.String(), nil
}

// address is where this member's gossip is.
func (g *gossip) address() string { return g.at }

// update tells the others that something of this member's changed.
func (g *gossip) update(change func(*meta)) {
	g.mu.Lock()
	change(&g.mu.local)
	g.mu.Unlock()
	if err := g.list.UpdateNode(leaveWithin); err != nil {
		g.log.Debug("gossip: telling the others of a change", "error", err)
	}
}

// rejoin looks for members that are not seen, until ctx ends.
func (g *gossip) rejoin(ctx context.Context) {
	for {
		var all sync.WaitGroup
		room := make(chan struct{}, rejoinAtOnce)
		for _, addr := range g.missing() {
			room <- struct{}{}
			all.Go(func() {
				defer func() { <-room }()
				if ctx.Err() != nil {
					return
				}
				if _, err := g.list.Join([]string{addr}); err != nil {
					g.log.Debug("gossip: looking for a member", "at", addr, "error", err)
				}
			})
		}
		all.Wait()
		if !sleep(ctx, rejoinEvery/2+rand.N(rejoinEvery/2)) {
			return
		}
	}
}

// missing are addresses where members may be that are not seen.
func (g *gossip) missing() []string {
	seen := make(map[string]bool)
	alive := g.alive()
	for id := range alive {
		g.mu.Lock()
		seen[g.mu.peers[id].Gossip] = true
		g.mu.Unlock()
	}
	seen[g.address()] = true
	var out []string
	add := func(addr string) {
		if addr != "" && !seen[addr] {
			seen[addr] = true
			out = append(out, addr)
		}
	}
	g.mu.Lock()
	for id, p := range g.mu.peers {
		if alive[id] == Dead {
			add(p.Gossip)
		}
	}
	g.mu.Unlock()
	for _, addr := range g.seeds() {
		add(addr)
	}
	return out
}

// alive are the members that gossip sees, this one included.
func (g *gossip) alive() map[ring.MemberID]Liveness {
	out := make(map[ring.MemberID]Liveness)
	for _, n := range g.list.Members() {
		if id, err := ring.ParseMemberID(n.Name); err == nil {
			out[id] = Alive
		}
	}
	return out
}

// peer is where a member was last seen.
func (g *gossip) peer(id ring.MemberID) (Peer, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p, ok := g.mu.peers[id]
	return p, ok
}

// note remembers where a member said that its gRPC listener is now.
func (g *gossip) note(id ring.MemberID, grpc string, starts uint64) {
	g.mu.Lock()
	p := g.mu.peers[id]
	moved := p.GRPC != grpc
	p.ID, p.GRPC, p.Starts = id, grpc, starts
	g.mu.peers[id] = p
	g.mu.dirty = g.mu.dirty || moved
	g.mu.Unlock()
	if moved {
		g.changed()
	}
}

// takeKnown are all members that were ever seen, nil if that is the same as at
// the last call.
func (g *gossip) takeKnown() map[ring.MemberID]Peer {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.mu.dirty {
		return nil
	}
	g.mu.dirty = false
	return maps.Clone(g.mu.peers)
}

// forget lets takeKnown return them again.
func (g *gossip) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.dirty = true
}

// close is called once.
func (g *gossip) close() {
	if err := g.list.Leave(leaveWithin); err != nil {
		g.log.Debug("gossip: leaving", "error", err)
	}
	if err := g.list.Shutdown(); err != nil {
		g.log.Debug("gossip: closing", "error", err)
	}
}

func (g *gossip) see(n *memberlist.Node) {
	id, err := ring.ParseMemberID(n.Name)
	var m meta
	if err == nil {
		err = json.Unmarshal(n.Meta, &m)
	}
	if err != nil || m.Format != metaFormat {
		g.log.Warn("gossip: a node that is no ringd of a known release", "node", n.Name, "address", n.Address())
		return
	}
	p := Peer{ID: id, GRPC: m.GRPC, Gossip: n.Address(), Starts: m.Starts}
	if id != g.self {
		g.mu.Lock()
		if g.mu.peers[id] != p {
			g.mu.peers[id] = p
			g.mu.dirty = true
		}
		g.mu.Unlock()
	}
	g.changed()
}

// NotifyJoin implements memberlist.EventDelegate.
func (g *gossip) NotifyJoin(n *memberlist.Node) { g.see(n) }

// NotifyUpdate implements memberlist.EventDelegate.
func (g *gossip) NotifyUpdate(n *memberlist.Node) { g.see(n) }

// NotifyLeave implements memberlist.EventDelegate.
func (g *gossip) NotifyLeave(*memberlist.Node) { g.changed() }

// NodeMeta implements memberlist.Delegate.
func (g *gossip) NodeMeta(limit int) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	b, err := json.Marshal(g.mu.local)
	if err != nil || len(b) > limit {
		g.log.Error("gossip: this member's addresses don't fit", "bytes", len(b), "limit", limit)
		return nil
	}
	return b
}

// NotifyMsg implements memberlist.Delegate: there are no messages of ours.
func (g *gossip) NotifyMsg([]byte) {}

// GetBroadcasts implements memberlist.Delegate.
func (g *gossip) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState implements memberlist.Delegate.
func (g *gossip) LocalState(bool) []byte { return nil }

// MergeRemoteState implements memberlist.Delegate.
func (g *gossip) MergeRemoteState([]byte, bool) {}

// gossipLog takes memberlist's lines, which begin with a level in brackets.
type gossipLog struct{ log *slog.Logger }

var _ io.Writer = gossipLog{}

func (l gossipLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	if i := strings.Index(text, "memberlist: "); i >= 0 {
		text = text[i:]
	}
	l.log.Debug(text)
	return len(line), nil
}
