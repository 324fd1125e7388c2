package member

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/internal/clock"
	"github.com/ringd/ringd/internal/peer"
	"github.com/ringd/ringd/quorum"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/vnode/executor"
)

// coordinator runs clients' requests, and forwarded ones, against the owners.
type coordinator struct {
	self    ring.MemberID
	node    *cluster.Node
	peers   *peer.Transport
	pool    *executor.Pool // nil at a gateway
	latency *latencies
	hedges  *allowance
	stats   *stats
	log     *slog.Logger
	// catchUp fetches a member's newer state. It does not block.
	catchUp func(ring.MemberID)

	preferences atomic.Pointer[preferences]
}

// hedgeShare caps the reads that ask one owner more than they need.
const hedgeShare = 0.02

// hedgeBurst lets a member that was quiet hedge a few reads in a row.
const hedgeBurst = 10

// hedgeFloor keeps hedging from chasing the noise of fast answers.
const hedgeFloor = time.Millisecond

// Get reads an object.
func (c *coordinator) Get(ctx context.Context, g replica.Get) (quorum.Result, error) {
	v, p, epoch, err := c.view(ctx, g.Key, g.Options)
	if err != nil {
		return quorum.Result{}, err
	}
	c.hedges.earn()
	return c.await(ctx, c.launch(quorum.NewGet(v, g.Key), p, epoch, v.Deadline), false)
}

// Write carries out a put or delete: here if this member is an owner, else at
// one that is. Forwarded: another member sent it, and it goes no further.
func (c *coordinator) Write(ctx context.Context, w replica.Write, forwarded bool) (quorum.Result, error) {
	v, p, epoch, err := c.view(ctx, w.Key, w.Options)
	if err != nil {
		return quorum.Result{}, err
	}
	route := quorum.RouteOf(v, forwarded)
	switch route {
	case quorum.RouteRefused:
		return quorum.Result{}, replica.Errorf(replica.KindNotOwner, "member %v owns no slot of partition %d in its ring %v", c.self, p, epoch)
	case quorum.RouteForward:
		return c.await(ctx, c.launch(quorum.NewForward(v, w), p, epoch, v.Deadline), true)
	}
	r, err := c.await(ctx, c.launch(quorum.NewPut(v, w), p, epoch, v.Deadline), true)
	if route != quorum.RouteOwner || forwarded || r.Err == nil || r.Err.MaybeApplied {
		return r, err
	}
	switch r.Err.Kind {
	case replica.KindStorage, replica.KindCorrupt, replica.KindNotOwner, replica.KindStaleRing:
	default:
		return r, err
	}
	// The own vnode wrote nothing, because its disk failed or its slot is on its way
	// to another member: another owner coordinates.
	v.Owners = slices.DeleteFunc(slices.Clone(v.Owners), func(o quorum.Candidate) bool { return o.ID == c.self })
	return c.await(ctx, c.launch(quorum.NewForward(v, w), p, epoch, v.Deadline), true)
}

// List reads one page of names of a partition.
func (c *coordinator) List(ctx context.Context, p ring.PartitionID, ask replica.List, o replica.Options) (quorum.List, error) {
	v, epoch, err := c.viewOf(ctx, p, ask.Type, o)
	if err != nil {
		return quorum.List{}, err
	}
	r, err := c.await(ctx, c.launch(quorum.NewListPage(v, ask), p, epoch, v.Deadline), false)
	return r.List, err
}

// await returns the op's result, or, if the caller leaves first, that the
// outcome is unknown. The op goes on.
func (c *coordinator) await(ctx context.Context, f *flight, write bool) (quorum.Result, error) {
	select {
	case r := <-f.result:
		if r.Err != nil {
			return r, r.Err
		}
		return r, nil
	case <-ctx.Done():
		return quorum.Result{}, &replica.Error{
			Kind: replica.KindUnknown, Message: "the caller left before there was an answer: " + context.Cause(ctx).Error(),
			MaybeApplied: write,
		}
	}
}

func (c *coordinator) view(ctx context.Context, k replica.Key, o replica.Options) (quorum.View, ring.PartitionID, ring.Epoch, error) {
	p := c.node.State().Ring.Partition(k.Type, k.Bucket, k.Key)
	v, epoch, err := c.viewOf(ctx, p, k.Type, o)
	return v, p, epoch, err
}

// viewOf collects what an op on partition p needs to know. The deadline is the
// caller's, or the bucket type's if that is sooner.
func (c *coordinator) viewOf(ctx context.Context, p ring.PartitionID, typeName string, o replica.Options) (quorum.View, ring.Epoch, error) {
	t, state, err := c.bucketType(ctx, typeName)
	if err != nil {
		return quorum.View{}, ring.Epoch{}, err
	}
	q, err := replica.Resolve(t, o)
	if err != nil {
		return quorum.View{}, ring.Epoch{}, err
	}
	if !state.Ring.HasOwners() {
		return quorum.View{}, ring.Epoch{}, replica.Errorf(replica.KindUnavailable, "the cluster's partitions have no owners yet: run ringctl commit once it has at least %d members", state.Ring.Replicas())
	}
	now := clock.Now()
	v := quorum.View{
		Self: c.self, Quorums: q, Deadline: now.Add(q.Timeout),
		ReadAfter: state.Settings.ReadAfter, SloppyAfter: state.Settings.SloppyAfter,
		SiblingsMax: state.Settings.SiblingsMax, ObjectBytesMax: state.Settings.ObjectBytesMax,
	}
	if d, ok := ctx.Deadline(); ok && d.Before(v.Deadline) {
		v.Deadline = d
	}
	owners := state.Ring.Owners(p)[:q.N]
	v.Owners = make([]quorum.Candidate, len(owners))
	for i, id := range owners {
		l := c.latency.of(now, id)
		v.Owners[i] = quorum.Candidate{ID: id, Up: id == c.self || c.up(id), Latency: l.mean}
		if id != c.self && l.p95 > 0 {
			v.HedgeAfter = max(v.HedgeAfter, l.p95, hedgeFloor)
		}
	}
	for _, id := range c.fallbacks(state, p, q.N) {
		v.Fallbacks = append(v.Fallbacks, quorum.Candidate{ID: id, Up: id == c.self || c.up(id)})
		if t.Everywhere {
			v.Copies = append(v.Copies, id)
		}
	}
	return v, state.Ring.Epoch(), nil
}

// up says whether a member can be reached as far as is known. Gossip may still
// miss one that is connected, so that counts alone.
func (c *coordinator) up(id ring.MemberID) bool { return c.peers.Connected(id) }

// bucketType looks a type up, afresh at the leader if this member has not heard
// of it.
func (c *coordinator) bucketType(ctx context.Context, name string) (replica.BucketType, *cluster.State, error) {
	state := c.node.State()
	if t, ok := state.BucketType(name); ok {
		return t, state, nil
	}
	if err := c.node.Refresh(ctx); err != nil {
		return replica.BucketType{}, nil, replica.Errorf(replica.KindUnavailable, "bucket type %q is not known here, and nobody could be asked: %v", name, err)
	}
	state = c.node.State()
	if t, ok := state.BucketType(name); ok {
		return t, state, nil
	}
	return replica.BucketType{}, nil, replica.Errorf(replica.KindNotFound, "there is no bucket type %q: ringctl bucket-type list names those that exist", name)
}

// learn takes over the newer agreed state that a refusal carries.
func (c *coordinator) learn(from ring.MemberID, epoch ring.Epoch, f replica.Failure) {
	switch {
	case f.Err.Kind == replica.KindStaleRing && len(f.State) > 0:
		if err := c.node.Adopt(f.State); err != nil {
			c.log.Warn("a newer ring was not taken over", "from", from, "error", err)
		}
	case epoch.Compare(c.node.State().Ring.Epoch()) > 0:
		c.catchUp(from)
	}
}
