package cluster

import (
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
}

// Liveness is what gossip says of a member.
type Liveness uint8

// The states of a member in gossip.
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
	// leaveWithin bounds saying goodbye.
	leaveWithin = time.Second
)

// gossip knows who is up.
type gossip struct {
	self    ring.MemberID
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
}

func startGossip(c gossipConfig) (*gossip, error) {
	host, portText, err := net.SplitHostPort(c.bind)
	if err != nil {
		return nil, fmt.Errorf("gossip address %q: %w", c.bind, err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("gossip address %q: the port is no number", c.bind)
	}
	g := &gossip{self: c.self, log: c.log, changed: c.changed, seeds: c.seeds}
	g.mu.local, g.mu.peers = c.local, maps.Clone(c.known)
	if g.mu.peers == nil {
		g.mu.peers = make(map[ring.MemberID]Peer)
	}
	m := memberlist.DefaultLANConfig()
	m.Name = c.self.String()
	m.BindAddr, m.BindPort = host, port
	m.AdvertiseAddr, m.AdvertisePort = c.advertise, port
	m.Label = c.clusterID // packets of another cluster are dropped
	m.SecretKey = c.key
	// A member that comes back at another address is accepted at once.
	m.DeadNodeReclaimTime = time.Nanosecond
	m.Delegate, m.Events = g, g
	m.LogOutput = gossipLog{c.log}
	if g.list, err = memberlist.Create(m); err != nil {
		return nil, fmt.Errorf("gossip on %s: %w", c.bind, err)
	}
	return g, nil
}

// address is where this member's gossip is.
func (g *gossip) address() string {
	n := g.list.LocalNode()
	return net.JoinHostPort(n.Addr.String(), strconv.Itoa(int(n.Port)))
}

// update tells the others that something of this member's changed.
func (g *gossip) update(change func(*meta)) {
	g.mu.Lock()
	change(&g.mu.local)
	g.mu.Unlock()
	if err := g.list.UpdateNode(leaveWithin); err != nil {
		g.log.Debug("gossip: telling the others of a change", "error", err)
	}
}

// rejoin looks for members that are not seen, for ever.
func (g *gossip) rejoin(done <-chan struct{}) {
	for {
		if missing := g.missing(); len(missing) > 0 {
			if _, err := g.list.Join(missing); err != nil {
				g.log.Debug("gossip: looking for members", "at", missing, "error", err)
			}
		}
		select {
		case <-done:
			return
		case <-time.After(rejoinEvery/2 + rand.N(rejoinEvery/2)):
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
		id, err := ring.ParseMemberID(n.Name)
		if err != nil {
			continue
		}
		out[id] = Alive
		if n.State == memberlist.StateSuspect {
			out[id] = Suspect
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
func (g *gossip) note(id ring.MemberID, grpc string) {
	g.mu.Lock()
	p := g.mu.peers[id]
	moved := p.GRPC != grpc
	p.ID, p.GRPC = id, grpc
	g.mu.peers[id] = p
	g.mu.dirty = g.mu.dirty || moved
	g.mu.Unlock()
	if moved {
		g.changed()
	}
}

// known are all members that were ever seen, and whether that changed since the
// last call.
func (g *gossip) known() (map[ring.MemberID]Peer, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	dirty := g.mu.dirty
	g.mu.dirty = false
	return maps.Clone(g.mu.peers), dirty
}

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
	p := Peer{ID: id, GRPC: m.GRPC, Gossip: n.Address()}
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
