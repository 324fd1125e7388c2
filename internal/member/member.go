// Package member wires one member of a cluster together: its disk, its vnodes,
// its part in the cluster, and the services that it offers.
package member

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"github.com/ringd/ringd/api"
	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/internal/clock"
	"github.com/ringd/ringd/internal/peer"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage/pebblestore"
	"github.com/ringd/ringd/vnode"
	"github.com/ringd/ringd/vnode/executor"
)

// Member is a running ringd.
type Member struct {
	config Config
	began  time.Time
	dir    *cluster.Dir
	node   *cluster.Node
	peers  *peer.Transport
	store  *pebblestore.Store
	pool   *executor.Pool
	coord  *coordinator
	repair *repairer
	disk   *disk
	stats  *stats
	at     Endpoints

	grpc    *grpc.Server
	http    *http.Server
	health  *health.Server
	handler *handler
	running sync.WaitGroup
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	failed  chan error // of capacity 1
	// joining ends when the member is to leave.
	joining    context.Context
	endJoining context.CancelFunc
	// serving is set once requests are taken.
	serving atomic.Bool
	ring    atomic.Pointer[ring.Ring] // that the executors have
}

// Start brings a member up: it serves when this returns. A member that must not
// take part is refused with an error that says what to do.
func Start(ctx context.Context, config Config) (*Member, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	m := &Member{config: config, began: clock.Now(), stats: newStats(), failed: make(chan error, 1)}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.joining, m.endJoining = context.WithCancel(m.ctx)
	if err := m.start(ctx); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

func (m *Member) start(ctx context.Context) error {
	var err error
	if m.dir, err = cluster.OpenDir(m.config.DataDir, m.config.Name); err != nil {
		return err
	}
	if err := RemoveEndpoints(m.config.DataDir); err != nil {
		return err
	}
	grpcListener, err := net.Listen("tcp", m.config.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	httpListener, err := net.Listen("tcp", m.config.HTTP)
	if err != nil {
		return errors.Join(fmt.Errorf("--http: %w", err), grpcListener.Close())
	}
	m.at = Endpoints{GRPC: grpcListener.Addr().String(), HTTP: httpListener.Addr().String()}
	if m.config.Advertise != "" {
		m.at.GRPC = m.config.Advertise
	}
	if err := m.connect(); err != nil {
		return errors.Join(err, grpcListener.Close(), httpListener.Close())
	}
	m.serve(grpcListener, httpListener)

	if err := m.node.Start(ctx); err != nil {
		return err
	}
	m.at.Gossip = m.node.GossipAddress()
	agreed, cancel := context.WithTimeout(ctx, m.config.StartWithin)
	proven := m.node.WaitStarted(agreed)
	cancel()
	select {
	case err := <-m.node.Failed():
		return err
	default:
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !proven {
		m.config.Logger.Warn("this start is not agreed on yet: serving with new actors", "waited", m.config.StartWithin)
	}
	if m.isGateway() {
		m.openGateway()
	} else if err := m.open(proven); err != nil {
		return err
	}
	m.node.OnChange(m.follow)
	m.running.Go(m.watch)
	m.serving.Store(true)
	m.health.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)
	if m.config.AutoCommit {
		m.running.Go(func() { m.joinByItself(m.joining) })
	}
	return m.at.write(m.config.DataDir)
}

// connect makes the node and the transport, each of which needs the other.
func (m *Member) connect() error {
	pc := peer.DefaultConfig()
	wireMax := uint32(m.config.WireMax)
	capabilities := cluster.CapabilitiesOf(wireMax)
	pc.WireMax, pc.Capabilities = wireMax, capabilities.Names()
	pc.Self, pc.Logger, pc.Credentials = m.dir.ID(), m.config.Logger, insecure.NewCredentials()
	pc.ClusterID = func() string {
		if s := m.node.State(); s != nil {
			return s.ClusterID
		}
		return ""
	}
	pc.StartCount = func() uint64 { return m.node.Starts() }
	pc.Epoch = func() ring.Epoch {
		if s := m.node.State(); s != nil {
			return s.Ring.Epoch()
		}
		return ring.Epoch{}
	}
	pc.Resolve = func(id ring.MemberID) (string, bool) { return m.node.Resolve(id) }
	transport, err := peer.New(pc)
	if err != nil {
		return err
	}
	m.peers = transport
	key, err := m.config.gossipKey()
	if err != nil {
		return err
	}
	advertise := ""
	if m.config.Advertise != "" {
		if advertise, _, err = net.SplitHostPort(m.config.Advertise); err != nil {
			return fmt.Errorf("--advertise %q: use host:port", m.config.Advertise)
		}
	}
	m.node, err = cluster.New(cluster.Config{
		Dir: m.dir, Name: m.config.Name, GRPC: m.at.GRPC, HTTP: m.at.HTTP, Gossip: m.config.Gossip, GossipAdvertise: advertise,
		GossipKey: key, Zone: m.config.Zone, Weight: m.config.Weight, Role: m.config.Role, Bootstrap: m.config.Bootstrap,
		Partitions: m.config.Partitions, Replicas: m.config.Replicas, Join: m.config.Join, Logger: m.config.Logger,
		Wire: wireMax, Capabilities: capabilities,
	}, wire{m.peers})
	if err != nil {
		return err
	}
	m.handler = &handler{m: m, forwards: make(chan struct{}, forwardsMax)}
	m.peers.Handle(m.handler)
	m.grpc = grpc.NewServer(pc.ServerOptions()...)
	m.peers.Register(m.grpc)
	m.health = health.NewServer()
	m.health.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
	healthpb.RegisterHealthServer(m.grpc, m.health)
	ringdv1.RegisterKVServer(m.grpc, api.NewKV(m))
	ringdv1.RegisterAdminServer(m.grpc, api.NewAdmin(m))
	reflection.Register(m.grpc)
	m.http = newHTTP(m.stats.registry, m.ready)
	return nil
}

// serve begins to take connections. Requests of clients are refused until the
// member is whole.
func (m *Member) serve(grpcListener, httpListener net.Listener) {
	m.running.Go(func() {
		if err := m.grpc.Serve(grpcListener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			m.fail(fmt.Errorf("gRPC: %w", err))
		}
	})
	m.running.Go(func() {
		if err := serveHTTP(m.http, httpListener); err != nil {
			m.fail(fmt.Errorf("HTTP: %w", err))
		}
	})
}

// open opens the disk and starts the vnodes on it.
func (m *Member) open(proven bool) error {
	o := pebblestore.DefaultOptions()
	o.Logger = m.config.Logger
	var err error
	if m.store, err = pebblestore.Open(m.dir.Path("store"), o); err != nil {
		return err
	}
	state := m.node.State()
	if err := identifyStore(m.store, m.dir, state, m.config.Logger); err != nil {
		return err
	}
	m.disk = newDisk(m.config.DataDir, m.config.Logger)
	c := executor.DefaultConfig()
	c.Vnode.Self, c.Vnode.Ring, c.Vnode.Types = m.dir.ID(), state.Ring, typesOf(state)
	c.Vnode.Moves, c.Vnode.Leaving = movesOf(state), state.Members[m.dir.ID()].Leaving
	c.Vnode.StartCount, c.Vnode.Proven = m.node.Starts(), proven
	c.Vnode.Random, c.Vnode.HintBytesMax = randomUint64, state.Settings.HintBytesMax
	c.Behind = m.catchUp
	c.Notice = m.notice
	if m.pool, err = executor.Open(c, m.store); err != nil {
		return err
	}
	m.ring.Store(state.Ring)
	m.coord = m.newCoordinator()
	m.repair = newRepairer(m.coord, m.stats.repair, m.config.Logger)
	m.running.Go(func() { m.repair.run(m.ctx) })
	m.running.Go(func() { newMover(m.repair, m.store).run(m.ctx) })
	m.running.Go(func() { newSweeper(m).run(m.ctx) })
	m.running.Go(func() {
		m.disk.watch(m.ctx, func() int64 { return m.node.State().Settings.DiskReserveBytes }, m.pool.Room)
	})
	m.handler.coord.Store(m.coord)
	return nil
}

func (m *Member) newCoordinator() *coordinator {
	return &coordinator{
		self: m.dir.ID(), node: m.node, peers: m.peers, pool: m.pool, latency: newLatencies(),
		hedges: &allowance{share: hedgeShare, most: hedgeBurst}, stats: m.stats, log: m.config.Logger,
		catchUp: m.catchUp,
	}
}

// typesOf is the class of the bucket types.
func typesOf(state *cluster.State) map[string]int {
	types := make(map[string]int, len(state.BucketTypes))
	for name, t := range state.BucketTypes {
		types[name] = t.Class()
	}
	return types
}

// movesOf are the moves that are to be carried out now, by partition.
func movesOf(state *cluster.State) map[ring.PartitionID]replica.Move {
	moves := make(map[ring.PartitionID]replica.Move)
	for _, move := range state.Active() {
		moves[move.Partition] = move
	}
	return moves
}

func randomUint64() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the process instead
	return binary.BigEndian.Uint64(b[:])
}

// follow gives the executors a newer ring, and the transport the members to be
// connected to.
func (m *Member) follow() {
	state := m.node.State()
	if m.pool != nil {
		m.pool.Install(vnode.Installed{
			Ring: state.Ring, Moves: movesOf(state), Leaving: state.Members[m.dir.ID()].Leaving, Types: typesOf(state),
			HintBytesMax: state.Settings.HintBytesMax,
		})
	}
	m.ring.Store(state.Ring)
	ids := make([]ring.MemberID, 0, len(state.Members))
	for id, other := range state.Members {
		if !other.Gone {
			ids = append(ids, id)
		}
	}
	m.peers.SetPeers(ids)
}

// catchUp fetches the state of a member that has a newer ring.
func (m *Member) catchUp(from ring.MemberID) {
	m.running.Go(func() {
		ctx, cancel := context.WithTimeout(m.ctx, 2*time.Second)
		defer cancel()
		if err := m.node.Fetch(ctx, from); err != nil {
			m.config.Logger.Warn("another member has a newer ring that could not be fetched", "member", from, "error", err)
		}
	})
}

func (m *Member) notice(n vnode.Notice) {
	switch n.Kind {
	case vnode.NoticeNewActor:
		m.stats.newActors.Inc()
	case vnode.NoticeOwnDots:
		m.stats.ownDots.Inc()
		m.config.Logger.Error("dots of this member's came in that it never gave: its data went back in time", "partition", n.Partition)
	case vnode.NoticeReadFailed:
		m.stats.readFails.Inc()
		m.config.Logger.Error("the disk could not be read", "partition", n.Partition, "error", n.Detail)
	case vnode.NoticeCommitFailed:
		m.fail(fmt.Errorf("the disk could not be written: %s", n.Detail))
	case vnode.NoticeSkew:
		m.config.Logger.Warn("a clock is off", "partition", n.Partition, "detail", n.Detail)
	case vnode.NoticeVnodeFailed:
		m.config.Logger.Error("a vnode serves no more for a while: its disk returned an error", "partition", n.Partition, "error", n.Detail)
		m.disk.notice(n)
	case vnode.NoticeVnodeServes:
		m.config.Logger.Info("a vnode's disk is tried again", "partition", n.Partition)
		m.disk.notice(n)
	case vnode.NoticeDamaged:
		m.stats.readFails.Inc()
		m.config.Logger.Error("a record is corrupt", "partition", n.Partition, "bucket", n.Key.Bucket, "key", n.Key.Key, "error", n.Detail)
		m.repair.notice(n)
	case vnode.NoticeWhole:
		m.config.Logger.Info("a partition that had lost data has all of it again", "partition", n.Partition)
	case vnode.NoticeDropped:
		m.config.Logger.Debug("data of a partition that other members own now were given up", "partition", n.Partition)
	case vnode.NoticeHintStored, vnode.NoticeHintRefused, vnode.NoticeHintDropped:
		m.repair.notice(n)
	}
}

// watch passes on what ends the member.
func (m *Member) watch() {
	select {
	case err := <-m.node.Failed():
		m.fail(err)
	case <-m.ctx.Done():
	}
}

func (m *Member) fail(err error) {
	select {
	case m.failed <- err:
	default:
	}
}

// Failed gives the error that ends the member; then it has to be closed.
func (m *Member) Failed() <-chan error { return m.failed }

// Endpoints is where the member serves.
func (m *Member) Endpoints() Endpoints { return m.at }

// ready says why the member does not serve keys, nil if it does.
func (m *Member) ready() error {
	if !m.serving.Load() {
		return errors.New("the member is starting, or stopping")
	}
	if !m.node.State().Ring.HasOwners() {
		return errors.New("the partitions have no owners yet: ringctl commit")
	}
	return nil
}

// Close stops the member cleanly. What it took is answered, and its vnodes are
// marked as stopped.
func (m *Member) Close() error {
	m.serving.Store(false)
	m.cancel()
	var errs []error
	if m.health != nil {
		m.health.Shutdown()
	}
	if m.dir != nil {
		errs = append(errs, RemoveEndpoints(m.config.DataDir))
	}
	if m.grpc != nil {
		m.stopServing()
	}
	if m.pool != nil {
		errs = append(errs, m.pool.Close())
	}
	if m.node != nil {
		errs = append(errs, m.node.Close())
	}
	if m.peers != nil {
		errs = append(errs, m.peers.Close())
	}
	if m.grpc != nil {
		m.grpc.Stop()
	}
	if m.http != nil {
		errs = append(errs, m.http.Close())
	}
	m.running.Wait()
	if m.store != nil {
		errs = append(errs, m.store.Close())
	}
	if m.dir != nil {
		errs = append(errs, m.dir.Close())
	}
	return errors.Join(errs...)
}

// drainWithin bounds waiting for requests that are under way at a clean stop.
const drainWithin = 2 * time.Second

// stopServing lets the clients' requests that are under way come to an end.
func (m *Member) stopServing() {
	done := make(chan struct{})
	go func() { m.handler.inFlight.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(drainWithin):
	}
}

// State implements api.Backend.
func (m *Member) State() *cluster.State { return m.node.State() }

// ContextKey implements api.Backend.
func (m *Member) ContextKey() causal.ContextKey { return m.handler.contextKey(m.node.State()) }

var errNotServing = replica.Errorf(replica.KindUnavailable, "the member is starting, or stopping")
