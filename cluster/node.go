package cluster

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// Wire reaches other members. It is the transport's to implement.
type Wire interface {
	// Call asks the member whose gRPC listener is at addr, and returns what its
	// Node.HandleCall answered.
	Call(ctx context.Context, addr, kind string, body []byte) ([]byte, error)
	// DialRaft opens a stream of bytes to the raft of a member, and of no other
	// that may be at its address by now; RaftConns accepts those of others.
	DialRaft(ctx context.Context, id ring.MemberID, addr string) (net.Conn, error)
	RaftConns() net.Listener
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
	// Bootstrap begins a cluster of this shape, if the directory has none.
	Bootstrap            bool
	Partitions, Replicas int
	// Join are gRPC addresses of members: to join, or as hints.
	Join   []string
	Logger *slog.Logger
}

const (
	// joinWithin bounds waiting for a seed that is not up yet.
	joinWithin = 60 * time.Second
	// askWithin bounds one question to a member.
	askWithin = 2 * time.Second
	// retryEvery paces what is tried until it works.
	retryEvery = 200 * time.Millisecond
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
	raft   atomic.Pointer[raftLog]
	// logged is the state by this member's log; of raft's goroutine only. It may
	// be behind what is served.
	logged *State

	served    atomic.Pointer[State]
	starts    atomic.Uint64 // agreed count of this member's starts
	committed chan struct{} // closed once this start is agreed on
	failed    chan error    // of capacity 1
	wake      chan struct{} // of capacity 1: the state or who is up changed
	ctx       context.Context
	cancel    context.CancelFunc
	running   sync.WaitGroup

	mu struct {
		sync.Mutex
		changed []func()
		seeds   []string // gossip addresses that members named
	}
	// taking is held while a newer state is saved and begins to be served.
	taking sync.Mutex
}

// New returns a Node that answers calls and serves the state that its directory
// has. Start makes it take part.
func New(config Config, wire Wire) (*Node, error) {
	n := &Node{
		config: config, id: config.Dir.ID(), log: config.Logger, wire: wire,
		committed: make(chan struct{}), failed: make(chan error, 1), wake: make(chan struct{}, 1),
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	raw, err := config.Dir.readBytes("state.json")
	if err != nil {
		return nil, err
	}
	if raw != nil {
		s, err := DecodeState(raw)
		if err != nil {
			return nil, err
		}
		n.served.Store(s)
	}
	n.starts.Store(config.Dir.starts.Count)
	return n, nil
}

// Start makes the node a member: it joins, or comes back, and is refused if it
// must not. It returns before the log has a leader.
func (n *Node) Start(ctx context.Context) error {
	begin := false
	var err error
	switch {
	case n.config.Dir.ClusterID() != "":
		err = n.returnToCluster(ctx)
	case n.config.Bootstrap:
		begin = true
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
	known := make(map[ring.MemberID]Peer)
	if _, err := n.config.Dir.read("peers.json", &known); err != nil {
		return err
	}
	g, err := startGossip(gossipConfig{
		self: n.id, clusterID: n.config.Dir.ClusterID(), bind: n.config.Gossip, advertise: n.config.GossipAdvertise,
		key: n.config.GossipKey, known: known, log: n.log, changed: n.poke, seeds: n.gossipSeeds,
		local: meta{Format: metaFormat, GRPC: n.config.GRPC, HTTP: n.config.HTTP, Starts: n.starts.Load()},
	})
	if err != nil {
		return err
	}
	n.gossip.Store(g)
	log, err := startRaft(n, begin)
	if err != nil {
		return err
	}
	n.raft.Store(log)
	n.running.Go(func() { g.rejoin(n.ctx.Done()) })
	n.running.Go(n.probeHints)
	n.running.Go(n.watch)
	n.running.Go(func() { n.commitStart(begin) })
	return nil
}

func (n *Node) bootstrap() error {
	var seed [8]byte
	secret := make([]byte, 32)
	_, _ = rand.Read(seed[:]) // never fails: it ends the process instead
	_, _ = rand.Read(secret)
	s, err := newState(uuid.NewString(), secret, binary.BigEndian.Uint64(seed[:]), n.config.Partitions, n.config.Replicas, n.member())
	if err != nil {
		return err
	}
	if err := n.take(s); err != nil {
		return err
	}
	return n.config.Dir.setCluster(s.ClusterID)
}

// member is this member as it presents itself.
func (n *Node) member() Member {
	return Member{
		ID: n.id, Name: n.config.Name, GRPC: n.config.GRPC, HTTP: n.config.HTTP,
		Zone: n.config.Zone, Weight: n.config.Weight, Role: RoleStorage,
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
				if err := n.take(s); err != nil {
					return err
				}
				return n.config.Dir.setCluster(s.ClusterID)
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

// returnToCluster asks whoever can be reached whether this directory is the last
// that the member had.
func (n *Node) returnToCluster(ctx context.Context) error {
	addrs := make(map[string]bool)
	for _, a := range n.config.Join {
		addrs[a] = true
	}
	if s := n.State(); s != nil {
		for _, m := range s.Members {
			if m.ID != n.id && m.GRPC != "" {
				addrs[m.GRPC] = true
			}
		}
	}
	known := make(map[ring.MemberID]Peer)
	if _, err := n.config.Dir.read("peers.json", &known); err != nil {
		return err
	}
	for _, p := range known {
		addrs[p.GRPC] = true
	}
	delete(addrs, n.config.GRPC)
	type reply struct {
		addr   string
		answer answer
		err    error
	}
	replies := make(chan reply, len(addrs))
	for addr := range addrs {
		go func() {
			a, err := n.ask(ctx, addr, callReturn, question{GRPC: n.config.GRPC, Starts: n.config.Dir.starts.Count})
			replies <- reply{addr, a, err}
		}()
	}
	for range addrs {
		r := <-replies
		if r.err != nil {
			// An address that was a member's once may be another cluster's now; one
			// that somebody named just now must not be.
			if final(r.err) && (slices.Contains(n.config.Join, r.addr) || !isOtherCluster(r.err)) {
				return fmt.Errorf("asking %s: %w", r.addr, r.err)
			}
			continue
		}
		if err := n.checkStarts(r.answer); err != nil {
			return err
		}
		n.seeSeeds(r.answer.Gossip)
		if s, err := DecodeState(r.answer.State); err == nil {
			if err := n.take(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkStarts compares what another member knows of this one's starts with what
// the directory knows.
func (n *Node) checkStarts(a answer) error {
	d := n.config.Dir.starts
	if a.Starts > d.Count && !(a.Starts == d.Count+1 && a.Nonce == d.Nonce && d.Nonce != "") {
		return errOlderCopy(d.Count, a.Starts)
	}
	return nil
}

// commitStart lets the log count this start. A nonce that an earlier start left
// behind is settled first: it may have been counted.
func (n *Node) commitStart(begin bool) {
	if begin {
		for n.ctx.Err() == nil {
			err := n.propose(Command{Bootstrap: n.State()})
			if err == nil || replica.KindOf(err) == replica.KindPrecondition {
				break
			}
			sleep(n.ctx, retryEvery)
		}
	}
	d := n.config.Dir
	if d.starts.Nonce != "" && !n.countStart() {
		return
	}
	if err := d.setStarts(starts{Count: d.starts.Count, Nonce: uuid.NewString()}); err != nil {
		n.fail(err)
		return
	}
	if n.countStart() {
		close(n.committed)
	}
}

// countStart repeats the directory's pending start until the log has it. It
// reports false if the node ends first.
func (n *Node) countStart() bool {
	d := n.config.Dir
	for n.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(n.ctx, 5*time.Second)
		err := n.Apply(ctx, Command{StartMember: &StartMember{
			ID: n.id, Before: d.starts.Count, Nonce: d.starts.Nonce,
			GRPC: n.config.GRPC, Gossip: n.gossip.Load().address(), HTTP: n.config.HTTP,
		}})
		cancel()
		switch {
		case err == nil:
			if err := d.setStarts(starts{Count: d.starts.Count + 1}); err != nil {
				n.fail(err)
				return false
			}
			n.starts.Store(d.starts.Count)
			n.gossip.Load().update(func(m *meta) { m.Starts = d.starts.Count })
			return true
		case replica.KindOf(err) == replica.KindPrecondition || replica.KindOf(err) == replica.KindNotFound:
			n.fail(err)
			return false
		}
		n.log.Debug("this start is not agreed on yet", "error", err)
		sleep(n.ctx, retryEvery)
	}
	return false
}

// WaitStarted returns once this start was agreed on, or ctx ends.
func (n *Node) WaitStarted(ctx context.Context) bool {
	select {
	case <-n.committed:
		return true
	case <-ctx.Done():
	case <-n.ctx.Done():
	}
	return false
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

// watch keeps what is remembered of peers, and, at the leader, who is in the
// log. It tells those who subscribed.
func (n *Node) watch() {
	tick := time.NewTicker(reconcileEvery)
	defer tick.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-tick.C:
		case <-n.wake:
			n.mu.Lock()
			changed := n.mu.changed
			n.mu.Unlock()
			for _, f := range changed {
				f()
			}
		}
		if peers, dirty := n.gossip.Load().known(); dirty {
			if err := n.config.Dir.write("peers.json", peers); err != nil {
				n.log.Error("remembering where the other members are", "error", err)
			}
		}
		if s := n.State(); s != nil {
			if err := n.raft.Load().reconcile(s); err != nil {
				n.log.Debug("members of the log", "error", err)
			}
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

// Failed gives the error that ends the member.
func (n *Node) Failed() <-chan error { return n.failed }

// Close leaves the cluster's conversations, and waits for the node's goroutines.
func (n *Node) Close() error {
	n.cancel()
	var err error
	if g := n.gossip.Load(); g != nil {
		g.close()
	}
	if r := n.raft.Load(); r != nil {
		err = r.close()
	}
	n.running.Wait()
	return err
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func ptr[T any](v T) *T { return &v }
