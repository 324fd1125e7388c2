package client

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/ring"
)

// refreshMin is the least time between two fetches of the ring, however many
// requests ask for one: a ring is fetched by few and failures come by many.
const refreshMin = time.Second

// topology keeps the view current. Its loop is the only writer of the view
// once Dial has returned.
type topology struct {
	c       *Client
	current atomic.Pointer[view]
	kicked  chan struct{} // capacity 1: something suggests a newer ring

	mu struct {
		sync.Mutex
		closed bool
		// dialed are the caller's addresses, in the caller's order.
		dialed []*endpoint
		// advertised are those that the ring names, by member id.
		advertised map[string]*endpoint
		ring       *ringdv1.RingResponse // the newest seen
	}
}

func (t *topology) kick() {
	select {
	case t.kicked <- struct{}{}:
	default:
	}
}

// run refreshes the view until ctx ends.
func (t *topology) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		// Jittered, so that many clients don't ask in step.
		every := t.c.config.RingRefresh
		timer.Reset(every*4/5 + rand.N(every*2/5+1))
		select {
		case <-timer.C:
		case <-t.kicked:
		case <-ctx.Done():
			return
		}
		t.refresh(ctx)
		// What the refresh itself found out calls for no other.
		select {
		case <-t.kicked:
		default:
		}
		timer.Reset(refreshMin/2 + rand.N(refreshMin))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// refresh fetches the ring from one member, and learns who answers at the
// caller's addresses where that is not known yet.
func (t *topology) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, e := range t.addresses() {
		if e.who.Load() == nil {
			wg.Go(func() { _ = e.identified(ctx) })
		}
	}
	var tried []*endpoint
	for len(tried) < refreshAsksMax {
		e := t.current.Load().pickAny(t.c.now(), tried)
		if e == nil || ctx.Err() != nil {
			break
		}
		tried = append(tried, e)
		if t.fetch(ctx, e) == nil {
			break
		}
	}
	wg.Wait()
	t.rebuild()
}

// refreshAsksMax members are asked in one refresh before it waits for the next.
const refreshAsksMax = 3

// pickAny returns any member but those in tried, a responsive one if there is.
func (v *view) pickAny(now time.Duration, tried []*endpoint) *endpoint {
	anywhere := view{members: v.members}
	return anywhere.pick(objectKey{}, now, tried)
}

func (t *topology) addresses() []*endpoint {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.mu.dialed)
}

// fetch asks e for the ring and keeps it if it is no older than what is known.
func (t *topology) fetch(ctx context.Context, e *endpoint) *Error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout/refreshAsksMax)
	defer cancel()
	if err := e.identified(ctx); err != nil {
		return err
	}
	cc, err := e.conn()
	if err != nil {
		return err
	}
	got, failure := ringdv1.NewAdminClient(cc).Ring(ctx, &ringdv1.RingRequest{})
	if failure != nil {
		return e.refused(fromStatus(failure))
	}
	e.health.heard(t.c.now())
	if message := malformed(got); message != "" {
		return &Error{Code: CodeInternal, Address: e.address, Message: message}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.ring == nil || epochOf(got).Compare(epochOf(t.mu.ring)) >= 0 {
		t.mu.ring = got
	}
	return nil
}

func epochOf(r *ringdv1.RingResponse) ring.Epoch {
	return ring.Epoch{Generation: r.GetEpoch().GetGeneration(), Number: r.GetEpoch().GetNumber()}
}

// malformed says why a ring can't be used; empty if it can.
func malformed(r *ringdv1.RingResponse) string {
	n := len(r.GetRows())
	if n != 0 && (n != int(r.GetPartitions()) || n&(n-1) != 0) {
		return "the ring's partitions are not all there"
	}
	for i, row := range r.GetRows() {
		if int(row.GetId()) != i {
			return "the ring's partitions are out of order"
		}
		for _, m := range row.GetOwners() {
			if int(m) >= len(r.GetMembers()) {
				return "the ring names an owner that is no member"
			}
		}
	}
	return ""
}

// rebuild makes the view from the newest ring and from who answers where, and
// closes the endpoints that it has no more use for.
func (t *topology) rebuild() {
	t.mu.Lock()
	if t.mu.closed {
		t.mu.Unlock()
		return
	}
	r := t.mu.ring
	v := &view{seed: r.GetSeed(), byID: make(map[string]*endpoint)}
	kept := make(map[string]*endpoint)
	for _, m := range r.GetMembers() {
		e := t.endpointLocked(m)
		if e.want != "" {
			kept[m.GetId()] = e
		}
		v.members = append(v.members, e)
		v.byID[m.GetId()] = e
	}
	v.owners = make([][]*endpoint, len(r.GetRows()))
	for i, row := range r.GetRows() {
		v.owners[i] = make([]*endpoint, len(row.GetOwners()))
		for slot, m := range row.GetOwners() {
			v.owners[i][slot] = v.members[m]
		}
	}
	for _, e := range t.mu.dialed {
		if !slices.Contains(v.members, e) {
			v.members = append(v.members, e)
		}
	}
	var unused []*endpoint
	for id, e := range t.mu.advertised {
		if kept[id] != e {
			unused = append(unused, e)
		}
	}
	t.mu.advertised = kept
	t.current.Store(v)
	t.mu.Unlock()
	for _, e := range unused {
		e.close()
	}
}

// endpointLocked returns where to reach m. An address of the caller's at which
// m answered goes before the advertised one, which may be for another network;
// unless it fails again and again: m may have moved.
func (t *topology) endpointLocked(m *ringdv1.Member) *endpoint {
	advertised := t.mu.advertised[m.GetId()]
	if advertised != nil && advertised.address == m.GetGrpcAddress() && advertised.who.Load() != nil && advertised.health.failures.Load() == 0 {
		return advertised
	}
	for _, e := range t.mu.dialed {
		who := e.who.Load()
		moved := e.address != m.GetGrpcAddress() && e.health.failures.Load() >= movedFailures
		if who != nil && who.member == m.GetId() && !moved || who == nil && e.address == m.GetGrpcAddress() {
			return e
		}
	}
	if advertised == nil || advertised.address != m.GetGrpcAddress() {
		advertised = newEndpoint(t.c, m.GetGrpcAddress(), m.GetId())
	}
	return advertised
}

// movedFailures in a row at an address of the caller's send the client to the
// advertised one: a pause or restart shows fewer.
const movedFailures = 3

// close closes all endpoints.
func (t *topology) close() {
	t.mu.Lock()
	t.mu.closed = true
	all := slices.Clone(t.mu.dialed)
	for _, e := range t.mu.advertised {
		all = append(all, e)
	}
	t.mu.Unlock()
	for _, e := range all {
		e.close()
	}
}
