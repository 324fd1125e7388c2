package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"github.com/ringd/ringd/jepsen/internal/cluster"
	"github.com/ringd/ringd/jepsen/internal/faultfs"
	"github.com/ringd/ringd/jepsen/internal/history"
)

// diskOf are the file systems under the data directories of a run's members: one for
// each, whatever nemeses there are.
type diskOf struct {
	sync.Mutex
	member map[*cluster.Member]*faultfs.FS
}

func disks() []*Nemesis {
	d := &diskOf{member: make(map[*cluster.Member]*faultfs.FS)}
	list := []*Nemesis{
		{
			Name: "disk-lose-unsynced", Does: "members lose power, all of them or some: what they had not synced is gone, or a part of it",
			Start: d.loseUnsynced,
		},
		{
			Name: "disk-error", Does: "reads, writes or fsyncs of a member fail, all or a share; it may end, and is started again",
			Start: d.fail,
		},
		{Name: "disk-slow", Does: "writes and fsyncs of some members take long", Start: d.slow},
		{
			Name: "disk-full", Does: "a member's disk is full, or nearly; it may end, and is started again",
			Start: d.full,
		},
		{
			Name: "fsync-lies", Does: "no disk syncs, though it says so, and all members lose power: writes are lost, and a run that passes is a fault of the harness",
			Start: d.lie, Unfair: true,
		},
	}
	for _, n := range list {
		n.Needs, n.Prepare = []Need{FUSE}, d.prepare
	}
	return list
}

// prepare puts a file system under a member's data directory.
func (d *diskOf) prepare(_ context.Context, m *cluster.Member) (undo func() error, err error) {
	d.Lock()
	defer d.Unlock()
	if _, mounted := d.member[m]; mounted {
		return nil, nil
	}
	if _, err := faultfs.RemoveAbandoned(); err != nil {
		return nil, err
	}
	f, err := faultfs.Mount(m.Dir, m.Dir+".disk")
	if err != nil {
		return nil, err
	}
	d.member[m] = f
	return f.Close, nil
}

func (d *diskOf) of(m *cluster.Member) *faultfs.FS {
	d.Lock()
	defer d.Unlock()
	return d.member[m]
}

// loseUnsynced kills any number of members: nothing that was acknowledged is in danger.
// If that is a majority, they come back at once; clients have nobody to ask meanwhile.
func (d *diskOf) loseUnsynced(ctx context.Context, c *cluster.Cluster, rng *rand.Rand) (*Active, error) {
	n := len(c.Members())
	members := c.Claim(rng, upTo(rng, n))
	if len(members) == 0 {
		return nil, ErrNobody
	}
	loss := faultfs.Loss{Some: rng.IntN(3) > 0, Seed: rng.Uint64()}
	detail := "all of it"
	if loss.Some {
		detail = fmt.Sprintf("a part of it, by seed %d", loss.Seed)
	}
	crash := func(m *cluster.Member) error {
		m.Kill()
		return d.of(m).Crash(loss)
	}
	start := func(ctx context.Context) error {
		defer c.Release(members...)
		return together(members, func(m *cluster.Member) error { return m.Start(ctx) })
	}
	a := &Active{Fault: history.Fault{Members: names(members), Detail: detail}, Heal: start}
	err := together(members, crash)
	if err == nil && len(members) > (n-1)/2 {
		a.Detail += ", back at once"
		err = start(ctx)
		a.Heal = func(context.Context) error { return nil }
	}
	if err != nil {
		return nil, &Breach{Text: fmt.Sprintf("after the power failure of %v: %v", names(members), err)}
	}
	return a, nil
}

// mayEnd claims a member whose process the fault may end. The function that it returns
// starts it again if that happened.
func mayEnd(c *cluster.Cluster, rng *rand.Rand) (*cluster.Member, func(ctx context.Context, a *Active) error, error) {
	claimed := c.Claim(rng, 1)
	if len(claimed) == 0 {
		return nil, nil, ErrNobody
	}
	m := claimed[0]
	m.MayEnd()
	return m, func(ctx context.Context, a *Active) error {
		defer c.Release(m)
		if m.Running() {
			// What it was told of may end it yet: only the next start is watched again.
			a.Detail += ", restarted"
			m.Kill()
		} else {
			a.Detail += ", it ended"
		}
		return m.Start(ctx)
	}, nil
}

// fail makes a member's disk fail.
func (d *diskOf) fail(_ context.Context, c *cluster.Cluster, rng *rand.Rand) (*Active, error) {
	m, again, err := mayEnd(c, rng)
	if err != nil {
		return nil, err
	}
	kinds := []struct {
		fault  faultfs.Fault
		detail string
	}{
		{faultfs.Fault{Ops: faultfs.Read, Path: "*.sst"}, "reads of tables"},
		{faultfs.Fault{Ops: faultfs.Write}, "writes"},
		{faultfs.Fault{Ops: faultfs.Sync}, "fsyncs"},
		{faultfs.Fault{Ops: faultfs.Write | faultfs.Sync, Path: "*.sst"}, "writes and fsyncs of tables"},
		{faultfs.Fault{Ops: faultfs.Write | faultfs.Sync, Path: "raft*/*"}, "writes and fsyncs of the raft log"},
	}
	kind := kinds[rng.IntN(len(kinds))]
	kind.fault.Errno, kind.fault.Share = syscall.EIO, 1
	if rng.IntN(2) == 0 {
		kind.fault.Share = rng.Float64() / 10
	}
	heal, err := d.of(m).Inject(kind.fault)
	if err != nil {
		c.Release(m)
		return nil, err
	}
	a := &Active{Fault: history.Fault{Members: []string{m.Name}, Detail: fmt.Sprintf("%.1f%% of %s", 100*kind.fault.Share, kind.detail)}}
	a.Heal = func(ctx context.Context) error {
		heal()
		return again(ctx, a)
	}
	return a, nil
}

// slow makes disks slow. Nobody is claimed: it ends nobody.
func (d *diskOf) slow(_ context.Context, c *cluster.Cluster, rng *rand.Rand) (*Active, error) {
	members := c.Members()
	rng.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	members = members[:upTo(rng, len(members))]
	f := faultfs.Fault{Ops: faultfs.Sync, Delay: between(rng, time.Millisecond, 300*time.Millisecond)}
	f.Jitter = between(rng, 0, 2*f.Delay)
	detail := "fsyncs"
	if rng.IntN(3) == 0 {
		f.Ops |= faultfs.Write
		detail = "writes and fsyncs"
	}
	var heals []func()
	for _, m := range members {
		heal, err := d.of(m).Inject(f)
		if err != nil {
			return nil, err
		}
		heals = append(heals, heal)
	}
	return &Active{
		Fault: history.Fault{Members: names(members), Detail: fmt.Sprintf("%s take %v and up to %v more", detail, f.Delay, f.Jitter)},
		Heal: func(context.Context) error {
			for _, heal := range heals {
				heal()
			}
			return nil
		},
	}, nil
}

// full leaves a member nothing on its disk, some of what it needs, or less than what
// it wants to have in reserve.
func (d *diskOf) full(_ context.Context, c *cluster.Cluster, rng *rand.Rand) (*Active, error) {
	m, again, err := mayEnd(c, rng)
	if err != nil {
		return nil, err
	}
	left := []int64{0, 4 << 20, 256 << 20}[rng.IntN(3)]
	f := d.of(m)
	f.SetLimit(max(1, f.Used()+left))
	a := &Active{Fault: history.Fault{Members: []string{m.Name}, Detail: fmt.Sprintf("%d MiB are left", left>>20)}}
	a.Heal = func(ctx context.Context) error {
		f.SetLimit(0)
		return again(ctx, a)
	}
	return a, nil
}

// lie has the stores of all members lie, until all of them lose power.
func (d *diskOf) lie(_ context.Context, c *cluster.Cluster, rng *rand.Rand) (*Active, error) {
	members := c.Claim(rng, len(c.Members()))
	if len(members) == 0 {
		return nil, ErrNobody
	}
	for _, m := range members {
		d.of(m).Lie("store/*")
	}
	return &Active{
		Fault: history.Fault{Members: names(members)},
		Heal: func(ctx context.Context) error {
			defer c.Release(members...)
			return errors.Join(
				together(members, func(m *cluster.Member) error {
					m.Kill()
					d.of(m).Lie("")
					return d.of(m).Crash(faultfs.Loss{})
				}),
				together(members, func(m *cluster.Member) error { return m.Start(ctx) }),
			)
		},
	}, nil
}
