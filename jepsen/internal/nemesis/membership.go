package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/jepsen/internal/cluster"
	"github.com/ringd/ringd/jepsen/internal/history"
	"github.com/ringd/ringd/jepsen/internal/hosts"
)

// The number of members stays within these.
const membersMin, membersMax = 4, 7

func join(m *cluster.Member) *ringdv1.MemberChange {
	return cluster.Change(m, ringdv1.MemberChange_JOIN)
}

func leave(m *cluster.Member) *ringdv1.MemberChange {
	return cluster.Change(m, ringdv1.MemberChange_LEAVE)
}

func remove(m *cluster.Member) *ringdv1.MemberChange {
	return cluster.Change(m, ringdv1.MemberChange_REMOVE)
}

func memberships() []*Nemesis {
	return []*Nemesis{
		{
			Name: "membership", Does: "members join, leave, are replaced, and are removed while they run on, for clients too",
			Start: membership,
		},
		{
			Name: "remove-running", Does: "a member is removed while it runs on, for clients too; with a network, every other one cut off",
			Start: removeRunning,
		},
	}
}

// membership makes one change of those that the number of members allows.
func membership(ctx context.Context, c *cluster.Cluster, rng *rand.Rand) (*Active, error) {
	kinds := []func(context.Context, *cluster.Cluster, *rand.Rand) (*Active, error){replaceOne}
	n := len(c.Members())
	if n < membersMax {
		kinds = append(kinds, joinOne, passOne)
	}
	if n > membersMin {
		kinds = append(kinds, leaveOne, removeRunning)
	}
	return kinds[rng.IntN(len(kinds))](ctx, c, rng)
}

func joinOne(ctx context.Context, c *cluster.Cluster, rng *rand.Rand) (*Active, error) {
	m, err := c.Add(ctx)
	if err != nil {
		return nil, err
	}
	return changed(ctx, c, rng, "joins", nil, m)
}

// passOne has a member come that gets no slots, though it may keep hints, and go at
// once.
func passOne(ctx context.Context, c *cluster.Cluster, rng *rand.Rand) (*Active, error) {
	m, err := c.Add(ctx)
	if err != nil {
		return nil, err
	}
	a := &Active{Fault: history.Fault{Members: []string{m.Name}, Detail: "comes, gets no slots, and goes"}}
	a.Heal = func(ctx context.Context) error {
		m.MayEnd()
		if err := c.RemoveAtOnce(ctx, rng, m); err != nil {
			return err
		}
		m.Gone()
		return nil
	}
	return a, nil
}

func leaveOne(ctx context.Context, c *cluster.Cluster, rng *rand.Rand) (*Active, error) {
	m := c.Claim(rng, 1)
	if len(m) == 0 {
		return nil, ErrNobody
	}
	return changed(ctx, c, rng, "leaves", m[0], nil)
}

func replaceOne(ctx context.Context, c *cluster.Cluster, rng *rand.Rand) (*Active, error) {
	m := c.Claim(rng, 1)
	if len(m) == 0 {
		return nil, ErrNobody
	}
	by, err := c.Add(ctx)
	if err != nil {
		c.Release(m...)
		return nil, err
	}
	return changed(ctx, c, rng, "leaves, another joins", m[0], by)
}

// changed has one member leave, another join, or both, and waits in Heal until that
// is done.
func changed(ctx context.Context, c *cluster.Cluster, rng *rand.Rand, detail string, out, in *cluster.Member) (*Active, error) {
	a := &Active{Fault: history.Fault{Detail: detail}}
	var changes []*ringdv1.MemberChange
	if out != nil {
		changes, a.Members = append(changes, leave(out)), append(a.Members, out.Name)
		out.MayEnd()
	}
	if in != nil {
		changes, a.Members = append(changes, join(in)), append(a.Members, in.Name)
	}
	committed := c.Commit(ctx, rng, changes...)
	if committed != nil {
		a.Detail += fmt.Sprintf(", not at once: %v", committed)
	}
	a.Heal = func(ctx context.Context) error {
		if committed != nil { // or its answer was lost
			if err := c.Commit(ctx, rng, changes...); err != nil {
				return err
			}
		}
		if out != nil {
			// It is claimed for good: no other fault is to break what goes.
			select {
			case <-out.Ended():
			case <-ctx.Done():
				return fmt.Errorf("%s does not end, though it leaves: %w", out.Name, ctx.Err())
			}
			if err := out.ExitErr(); err != nil {
				return &Breach{Text: fmt.Sprintf("%s ended with %v when it had left", out.Name, err)}
			}
			out.Gone()
		}
		return c.Settled(ctx)
	}
	return a, nil
}

// removeRunning removes a member that is up, as one does that is gone for good, and
// leaves it running. With a network it is cut off before that, so that nobody can
// tell it; clients go on asking it. Another takes its place if few are left.
func removeRunning(ctx context.Context, c *cluster.Cluster, rng *rand.Rand) (*Active, error) {
	m, release, err := claimAlone(ctx, c, rng)
	if err != nil {
		return nil, err
	}
	a := &Active{Fault: history.Fault{Members: []string{m.Name}, Detail: "removed, and runs on"}}
	cut := func() error { return nil }
	if c.Network() != nil && rng.IntN(2) == 0 {
		a.Detail += ", cut off"
		var others []*hosts.Host
		for _, o := range c.Members() {
			if o != m {
				others = append(others, o.Host)
			}
		}
		f, err := c.Network().Cut(hosts.Between([]*hosts.Host{m.Host}, others))
		if err != nil {
			return nil, err
		}
		cut = f.Heal
	}
	changes := []*ringdv1.MemberChange{remove(m)}
	m.Gone()
	if len(c.Members()) < membersMin {
		by, err := c.Add(ctx)
		if err != nil {
			return nil, errors.Join(err, cut())
		}
		a.Members, a.Detail = append(a.Members, by.Name), a.Detail+", replaced"
		changes = append(changes, join(by))
	}
	committed := c.Commit(ctx, rng, changes...)
	if committed != nil {
		a.Detail += fmt.Sprintf(", not at once: %v", committed)
	}
	a.Heal = func(ctx context.Context) error {
		if committed != nil {
			committed = c.Commit(ctx, rng, changes...)
		}
		if err := errors.Join(committed, cut(), c.Settled(ctx)); err != nil {
			return err
		}
		a.Detail += release(ctx)
		return nil
	}
	return a, nil
}
