package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/ringd/ringd/jepsen/internal/cluster"
	"github.com/ringd/ringd/jepsen/internal/history"
)

// refusedWithin bounds the time until a member that must not serve has said so, or
// is taken not to serve: it needs others to tell it what it is.
const refusedWithin = 20 * time.Second

func directories() []*Nemesis {
	return []*Nemesis{
		{
			Name: "restore-older-copy", Does: "a member is started on a copy of its directory from before its last start: it has to refuse",
			Start: restoreOlder,
		},
		{
			Name: "wipe-store", Does: "a member loses all it stored while it is down, but not its identity, and has to get it back",
			Start: wipeStore,
		},
		{
			Name: "wipe-rejoin", Does: "a member loses its directory, is refused under its old name, and is replaced by a new one",
			Start: wipeRejoin,
		},
	}
}

// claimAlone claims one member to take data from, once nobody else does that. The
// function that it returns gives it back, and lets the next take data if that is
// safe; it says so if not.
func claimAlone(ctx context.Context, c *cluster.Cluster, rng *rand.Rand) (*cluster.Member, func(ctx context.Context) string, error) {
	release, err := c.Alone(ctx)
	if err != nil {
		return nil, nil, err
	}
	m := c.Claim(rng, 1)
	if len(m) == 0 {
		release()
		return nil, nil, ErrNobody
	}
	return m[0], func(ctx context.Context) string {
		c.Release(m...)
		// Until its data is in as many places as before, nobody may take more.
		if err := c.Copied(ctx); err != nil {
			return fmt.Sprintf("; no more data is taken in this run: %v", err)
		}
		release()
		return ""
	}, nil
}

// mustRefuse starts a member that must not serve.
func mustRefuse(ctx context.Context, m *cluster.Member, why string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, refusedWithin)
	defer cancel()
	err := m.Start(ctx, args...)
	switch {
	case err == nil:
		m.Kill()
		return "", &Breach{Text: fmt.Sprintf("%s served %s", m.Name, why)}
	case errors.Is(err, cluster.ErrEnded):
		return "refused", nil
	default:
		return "did not serve", nil
	}
}

// restoreOlder puts an older copy in place for a moment only: a member that has
// refused it gets back what it had.
func restoreOlder(ctx context.Context, c *cluster.Cluster, rng *rand.Rand) (*Active, error) {
	members := c.Claim(rng, 1)
	if len(members) == 0 {
		return nil, ErrNobody
	}
	m := members[0]
	dir, err := os.MkdirTemp(c.Data(), "copies-of-"+m.Name+"-")
	if err != nil {
		c.Release(m)
		return nil, err
	}
	older, newest := filepath.Join(dir, "older"), filepath.Join(dir, "newest")
	if rng.IntN(2) == 0 {
		m.Kill()
	} else {
		err = m.Stop()
	}
	if err = errors.Join(err, m.Copy(older), m.Start(ctx)); err != nil {
		c.Release(m)
		return nil, err
	}
	a := &Active{Fault: history.Fault{Members: []string{m.Name}}}
	a.Heal = func(ctx context.Context) error {
		defer c.Release(m)
		m.Kill()
		if err := m.Replace(older, newest); err != nil {
			return err
		}
		said, breach := mustRefuse(ctx, m, "from a copy of its directory that is older than its last start")
		a.Detail = "restored at the end: " + said
		if err := errors.Join(m.Replace(newest, ""), m.Start(ctx), os.RemoveAll(dir)); err != nil {
			return errors.Join(breach, err)
		}
		return breach
	}
	return a, nil
}

func wipeStore(ctx context.Context, c *cluster.Cluster, rng *rand.Rand) (*Active, error) {
	m, release, err := claimAlone(ctx, c, rng)
	if err != nil {
		return nil, err
	}
	m.Kill()
	if err := m.Wipe("store"); err != nil {
		return nil, errors.Join(err, m.Start(ctx))
	}
	a := &Active{Fault: history.Fault{Members: []string{m.Name}, Detail: "down, its store is gone"}}
	a.Heal = func(ctx context.Context) error {
		if err := m.Start(ctx); err != nil {
			return err
		}
		a.Detail += release(ctx)
		return nil
	}
	return a, nil
}

func wipeRejoin(ctx context.Context, c *cluster.Cluster, rng *rand.Rand) (*Active, error) {
	m, release, err := claimAlone(ctx, c, rng)
	if err != nil {
		return nil, err
	}
	m.Kill()
	if err := m.Wipe(""); err != nil {
		return nil, err
	}
	said, err := mustRefuse(ctx, m, "under its name, though its directory had been wiped", c.JoinArgs(m)...)
	if err != nil {
		return nil, err
	}
	m.Gone()
	a := &Active{Fault: history.Fault{Members: []string{m.Name}, Detail: said + " under its old name"}}
	a.Heal = func(ctx context.Context) error {
		by, err := c.Add(ctx)
		if err != nil {
			return err
		}
		a.Members = append(a.Members, by.Name)
		a.Detail += ", replaced by " + by.Name
		if err := c.Commit(ctx, rng, remove(m), join(by)); err != nil {
			return err
		}
		if err := c.Settled(ctx); err != nil {
			return err
		}
		a.Detail += release(ctx)
		return nil
	}
	return a, nil
}
