package member

import (
	"context"
	"errors"
	"time"

	"github.com/ringd/ringd/api"
	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/internal/clock"
	"github.com/ringd/ringd/quorum"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

var _ api.Backend = (*Member)(nil)

// enter begins a client's request; the returned function ends it.
func (m *Member) enter() (*coordinator, func(), error) {
	c := m.handler.coord.Load()
	if c == nil || !m.serving.Load() {
		return nil, nil, errNotServing
	}
	m.handler.inFlight.Add(1)
	return c, m.handler.inFlight.Done, nil
}

// Get implements api.Backend.
func (m *Member) Get(ctx context.Context, g replica.Get) (quorum.Result, error) {
	c, leave, err := m.enter()
	if err != nil {
		return quorum.Result{}, err
	}
	defer leave()
	began := clock.Now()
	r, err := c.Get(ctx, g)
	m.stats.observe("get", began, err)
	return r, err
}

// Write implements api.Backend.
func (m *Member) Write(ctx context.Context, w replica.Write) (quorum.Result, error) {
	c, leave, err := m.enter()
	if err != nil {
		return quorum.Result{}, err
	}
	defer leave()
	began, op := clock.Now(), "put"
	if w.Delete {
		op = "delete"
	}
	r, err := c.Write(ctx, w, false)
	m.stats.observe(op, began, err)
	return r, err
}

// List implements api.Backend.
func (m *Member) List(ctx context.Context, p ring.PartitionID, ask replica.List, o replica.Options) (quorum.List, error) {
	c, leave, err := m.enter()
	if err != nil {
		return quorum.List{}, err
	}
	defer leave()
	began := clock.Now()
	r, err := c.List(ctx, p, ask, o)
	m.stats.observe("list", began, err)
	return r, err
}

// Inspect implements api.Backend.
func (m *Member) Inspect(ctx context.Context, k replica.Key) ([]api.Copy, error) {
	c, leave, err := m.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	return c.inspect(ctx, k)
}

// Self implements api.Backend.
func (m *Member) Self() api.Self {
	return api.Self{
		ID: m.dir.ID(), Uptime: time.Since(m.began), StartCommitted: m.node.Committed(), Serving: m.serving.Load(),
	}
}

// Liveness implements api.Backend.
func (m *Member) Liveness() map[ring.MemberID]cluster.Liveness { return m.node.Alive() }

// Roles implements api.Backend.
func (m *Member) Roles() map[ring.MemberID]string { return m.node.Roles() }

// Plan implements api.Backend.
func (m *Member) Plan() (*cluster.State, ring.Placement, error) { return m.node.Plan() }

// Commit implements api.Backend.
func (m *Member) Commit(ctx context.Context, epoch ring.Epoch, revision uint64, acceptDataLoss bool) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, agreeWithin)
	defer cancel()
	if m.isGateway() {
		// The plan may have been seen at a member that knows more.
		if err := m.node.Refresh(ctx); err != nil {
			return false, err
		}
	}
	return m.node.Commit(ctx, epoch, revision, acceptDataLoss)
}

// Apply implements api.Backend.
func (m *Member) Apply(ctx context.Context, c cluster.Command) error {
	ctx, cancel := context.WithTimeout(ctx, agreeWithin)
	defer cancel()
	return m.node.Apply(ctx, c)
}

// agreeWithin is how long a person waits to hear that there is no leader: a few
// elections.
const agreeWithin = 10 * time.Second

func asError(err error) *replica.Error {
	var e *replica.Error
	if errors.As(err, &e) {
		return e
	}
	return replica.Errorf(replica.KindInternal, "%v", err)
}
