package cluster

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/memberlist"

	"github.com/ringd/ringd/internal/clock"
	"github.com/ringd/ringd/ring"
)

// Wire reaches other members. It is the transport's to implement.
type Wire interface {
	// Call asks the member whose gRPC listener is at addr, and returns what its
	// Node.HandleCall answered.
	Call(ctx context.Context, addr, kind string, body []byte) ([]byte, error)
	// DialRaft opens a stream of bytes to the raft of a member, and of no other
	// that may be at its address by now, for a log by its name; ErrOtherLog, wrapped,
	// if it takes part in another. RaftConns accepts those of others for a log, and
	// from then on for no other.
	DialRaft(ctx context.Context, id ring.MemberID, addr, log string) (net.Conn, error)
	RaftConns(log string) net.Listener
}

// Config describes a Node.
type Config struct {
	Dir  *Dir
	Name string
	// GRPC and HTTP are the addresses that others reach this member at, Gossip
	// the one to bind. GossipAdvertise is the host that gossip names, empty for
	// the one that is bound.
	GRPC, HTTP, Gossip, GossipAdvertise string
	GossipKey                           []byte
	Zone                                string
	Weight                              int
	// Role is what the member is for; empty is RoleStorage.
	Role Role
	// Wire is the highest version of the protocol between members that this one
	// speaks, Capabilities is what it can do.
	Wire         uint32
	Capabilities Capabilities
	// Bootstrap begins a cluster of this shape, if the directory has none.
	Bootstrap            bool
	Partitions, Replicas int
	// Join are gRPC addresses of members: to join, or as hints.
	Join   []string
	Logger *slog.Logger

	// For tests; zero is the default.
	heartbeat  time.Duration
	tuneGossip func(*memberlist.Config)
}

const (
	// joinWithin bounds waiting for a seed that is not up yet.
	joinWithin = 60 * time.Second
	// askWithin bounds one question to a member.
	askWithin = 2 * time.Second
	// retryEvery paces what is tried until it works.
	retryEvery = 200 * time.Millisecond
	// seedsMax bounds the gossip addresses that are remembered beside those of
	// members: the oldest go first.
	seedsMax = 256
	// reconcileEvery paces the leader's look at who should be in the log.
	reconcileEvery = 500 * time.Millisecond
)

// Node is a member's part in the cluster.
type Node struct {
	config Config
	id     ring.MemberID
	log    *slog.Logger
	wire   Wire

	// Set by Start; calls of others may come before.
	gossip atomic.Pointer[gossip]
	raft   atomic.Pointer[raftLog] // nil for ever at a gateway
	// told is what a gateway was told last of who is what in the log.
	told atomic.Pointer[map[ring.MemberID]string]
	// logged is the state by this member's log; of raft's goroutine only, and of
	// enterLog's while there is none. It may be behind what is served.
	logged *State
	// stuck is why nothing more is applied; of raft's goroutine only.
	stuck error

	served    atomic.Pointer[State]
	starts    atomic.Uint64 // agreed count of this member's starts
	committed chan struct{} // closed once this start is agreed on
	failed    chan error    // of capacity 1
	wake      chan struct{} // of capacity 1: the state or who is up changed
	relog     chan struct{} // of capacity 1: the state is of another log
	ctx       context.Context
	cancel    context.CancelFunc
	running   sync.WaitGroup
	closing   sync.Once
	closed    error // what closing came to

	mu struct {
		sync.Mutex
		changed []func()
		seeds   []string // gossip addresses that members named
	}
	// taking is held while a newer state is saved and begins to be served.
	taking sync.Mutex
	// logs is held while one log is left and another entered, recovering during
	// Recover.
	logs, recovering sync.Mutex
}

// New returns a Node that answers calls and serves the state that its directory
// has. Start makes it take part.
func New(config Config, wire Wire) (*Node, error) {
	n := &Node{
		config: config, id: config.Dir.ID(), log: config.Logger, wire: wire,
		committed: make(chan struct{}), failed: make(chan error, 1), wake: make(chan struct{}, 1),
		relog: make(chan struct{}, 1),
	}
	if err := n.member().validate(); err != nil {
		return nil, err
	}
	raw, err := config.Dir.readBytes(stateFile)
	if err != nil {
		return nil, err
	}
	// A state without the cluster's id in the directory is that of an attempt to
	// join or to begin that a crash cut short.
	if cluster := config.Dir.ClusterID(); raw != nil && cluster != "" {
		s, err := DecodeState(raw)
		if err != nil {
			return nil, err
		}
		if s.ClusterID != cluster {
			return nil, fmt.Errorf("the data directory %s belongs to cluster %s, but has the state of cluster %s: restore the one that fits, or start with an empty directory, under another name", config.Dir.path, cluster, s.ClusterID)
		}
		n.served.Store(s)
	}
	n.starts.Store(config.Dir.counted().Count)
	n.ctx, n.cancel = context.WithCancel(context.Background())
	return n, nil
}

// Start makes the node a member: it joins, or comes back, and is refused if it
// must not. It returns before the log has a leader.
func (n *Node) Start(ctx context.Context) error {
	var err error
	switch {
	case n.config.Dir.ClusterID() != "":
		err = n.returnToCluster(ctx)
	case n.config.Bootstrap:
		err = n.bootstrap()
	case len(n.config.Join) > 0:
		err = n.join(ctx)
	default:
		err = errors.New("the data directory belongs to no cluster yet: use --bootstrap to begin one, or --join ADDRESS to join one")
	}
	if err != nil {
		return err
	}
	if n.State() == nil {
		return fmt.Errorf("the data directory %s belongs to cluster %s but has no state of it: start with an empty one, under another name", n.config.Dir.path, n.config.Dir.ClusterID())
	}
	if err := n.checkRole(); err != nil {
		return err
	}
	known, err := n.config.Dir.peers()
	if err != nil {
		return err
	}
	g, err := startGossip(gossipConfig{
		self: n.id, clusterID: n.config.Dir.ClusterID(), bind: n.config.Gossip, advertise: n.config.GossipAdvertise,
		key: n.config.GossipKey, known: known, log: n.log, changed: n.poke, seeds: n.gossipSeeds,
		local: meta{Format: metaFormat, GRPC: n.config.GRPC, HTTP: n.config.HTTP, Starts: n.starts.Load()},
		tune:  n.config.tuneGossip,
	})
	if err != nil {
		return err
	}
	n.gossip.Store(g)
	if n.isGateway() {
		n.running.Go(n.follow)
	} else if err := n.startLog(); err != nil {
		return err
	}
	n.running.Go(func() { g.rejoin(n.ctx) })
	n.running.Go(n.probeHints)
	n.running.Go(n.watch)
	n.running.Go(n.commitStart)
	return nil
}

// startLog makes the node take part in the log.
func (n *Node) startLog() error {
	if err := n.enterLog(); err != nil {
		return err
	}
	n.running.Go(n.keepLog)
	n.running.Go(n.lead)
	n.running.Go(n.depart)
	return nil
}

func (n *Node) bootstrap() error {
	var seed [8]byte
	secret := make([]byte, secretBytes)
	_, _ = rand.Read(seed[:]) // never fails: it ends the process instead
	_, _ = rand.Read(secret)
	s, err := newState(uuid.NewString(), secret, binary.BigEndian.Uint64(seed[:]), n.config.Partitions, n.config.Replicas, n.member())
	if err != nil {
		return err
	}
	if err := n.take(s); err != nil {
		return err
	}
	return n.config.Dir.setCluster(s.ClusterID, true)
}

// member is this member as it presents itself.
func (n *Node) member() Member {
	return Member{
		ID: n.id, Name: n.config.Name, GRPC: n.config.GRPC, HTTP: n.config.HTTP,
		Zone: n.config.Zone, Weight: n.config.Weight, Role: n.role(),
		Wire: n.config.Wire, Capabilities: n.config.Capabilities,
		JoinedAt: clock.Now().UTC().Truncate(time.Second),
	}
}

// join asks the seeds to let this member in, until one does or says no.
func (n *Node) join(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, joinWithin)
	defer cancel()
	var last error
	for {
		for _, addr := range n.config.Join {
			answer, err := n.ask(ctx, addr, callJoin, question{Member: ptr(n.member())})
			if err == nil {
				s, err := DecodeState(answer.State)
				if err != nil {
					return err
				}
				n.seeSeeds(answer.Gossip)
				n.noteRoles(answer.Roles)
				if err := n.take(s); err != nil {
					return err
				}
				return n.config.Dir.setCluster(s.ClusterID, false)
			}
			last = fmt.Errorf("joining at %s: %w", addr, err)
			if final(err) {
				return last
			}
		}
		if !sleep(ctx, retryEvery) {
			return fmt.Errorf("no member of --join let this one in within %v: %w", joinWithin, last)
		}
	}
}

// WaitStarted returns once this start was agreed on, or ctx ends.
func (n *Node) WaitStarted(ctx context.Context) bool {
	select {
	case <-n.committed:
	case <-ctx.Done():
	case <-n.ctx.Done():
	}
	return n.Committed()
}

// Committed reports whether this start was agreed on.
func (n *Node) Committed() bool {
	select {
	case <-n.committed:
		return true
	default:
		return false
	}
}

// watch remembers where peers are, and tells those who subscribed.
func (n *Node) watch() {
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-n.wake:
		}
		n.mu.Lock()
		changed := n.mu.changed
		n.mu.Unlock()
		for _, f := range changed {
			f()
		}
		if peers := n.gossip.Load().takeKnown(); peers != nil {
			if err := n.config.Dir.setPeers(peers); err != nil {
				n.log.Error("remembering where the other members are", "error", err)
				n.gossip.Load().forget()
			}
		}
	}
}

// lead keeps, at the leader, who is in the log. It is not watch's: a change of
// the log waits for a majority.
func (n *Node) lead() {
	for sleep(n.ctx, reconcileEvery) {
		s := n.State()
		if s == nil {
			continue
		}
		up := func(id ring.MemberID) bool { return id == n.id || (n.Alive()[id] == Alive && n.hears(id)) }
		changed, err := n.raft.Load().reconcile(s, up)
		if err != nil {
			n.log.Debug("members of the log", "error", err)
		}
		if changed {
			n.poke()
		}
	}
}

// OnChange calls f, from one goroutine, after the state or who is up changed.
func (n *Node) OnChange(f func()) {
	n.mu.Lock()
	n.mu.changed = append(n.mu.changed, f)
	n.mu.Unlock()
	n.poke()
}

func (n *Node) poke() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// fail ends the member: it can't go on with what happened.
func (n *Node) fail(err error) {
	select {
	case n.failed <- err:
	default:
	}
}

// Failed gives the error that ends the member: ErrLeft and ErrRemoved among others.
func (n *Node) Failed() <-chan error { return n.failed }

// Close leaves the cluster's conversations, and waits for the node's goroutines.
// Closing again is of no effect.
func (n *Node) Close() error {
	n.closing.Do(func() {
		n.cancel()
		if g := n.gossip.Load(); g != nil {
			g.close()
		}
		n.logs.Lock()
		if r := n.raft.Load(); r != nil {
			n.closed = r.close()
		}
		n.logs.Unlock()
		n.running.Wait()
	})
	return n.closed
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func ptr[T any](v T) *T { return &v }
