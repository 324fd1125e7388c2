package nemesis

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"

	"github.com/ringd/ringd/jepsen/internal/cluster"
	"github.com/ringd/ringd/jepsen/internal/history"
)

func processes() []*Nemesis {
	return []*Nemesis{
		kill("kill-one", "a member is killed (SIGKILL), and started again", func(*rand.Rand, int) int { return 1 }),
		kill("kill", "one member or several are killed, never a majority", func(rng *rand.Rand, n int) int { return upTo(rng, (n-1)/2) }),
		kill("kill-all", "all members are killed at once", func(_ *rand.Rand, n int) int { return n }),
		pause(),
		rolling(),
	}
}

func kill(name, does string, count func(*rand.Rand, int) int) *Nemesis {
	return &Nemesis{
		Name: name, Does: does,
		Start: func(_ context.Context, c *cluster.Cluster, rng *rand.Rand) (*Active, error) {
			members := c.Claim(rng, count(rng, len(c.Members())))
			if len(members) == 0 {
				return nil, ErrNobody
			}
			together(members, func(m *cluster.Member) error { m.Kill(); return nil })
			return &Active{
				Fault: history.Fault{Members: names(members)},
				Heal: func(ctx context.Context) error {
					defer c.Release(members...)
					return together(members, func(m *cluster.Member) error { return m.Start(ctx) })
				},
			}, nil
		},
	}
}

// together does something to all members at a time.
func together(members []*cluster.Member, do func(*cluster.Member) error) error {
	errs := make([]error, len(members))
	var running sync.WaitGroup
	for i, m := range members {
		running.Go(func() { errs[i] = do(m) })
	}
	running.Wait()
	return errors.Join(errs...)
}

func pause() *Nemesis {
	return &Nemesis{
		Name: "pause", Does: "members stand still (SIGSTOP), never a majority, and go on where they were",
		Start: func(_ context.Context, c *cluster.Cluster, rng *rand.Rand) (*Active, error) {
			members := c.Claim(rng, upTo(rng, (len(c.Members())-1)/2))
			if len(members) == 0 {
				return nil, ErrNobody
			}
			heal := func(context.Context) error {
				defer c.Release(members...)
				return together(members, (*cluster.Member).Resume)
			}
			if err := together(members, (*cluster.Member).Pause); err != nil {
				return nil, errors.Join(err, heal(context.Background()))
			}
			return &Active{Fault: history.Fault{Members: names(members)}, Heal: heal}, nil
		},
	}
}

// rolling restarts one member after the other, in an order that changes, as long as
// it lasts.
func rolling() *Nemesis {
	return &Nemesis{
		Name: "restart-rolling", Does: "one member after the other is stopped cleanly and started again",
		Start: func(_ context.Context, c *cluster.Cluster, rng *rand.Rand) (*Active, error) {
			a := &Active{}
			var restarted []string
			stop := background(func(ctx context.Context) error {
				for ctx.Err() == nil {
					m := c.Claim(rng, 1)
					if len(m) == 0 {
						return ErrNobody
					}
					restarted = append(restarted, m[0].Name)
					// It comes back, even if that is the last thing that happens.
					starting, cancel := context.WithTimeout(context.WithoutCancel(ctx), startWithin)
					err := errors.Join(m[0].Stop(), m[0].Start(starting))
					cancel()
					c.Release(m...)
					if err != nil {
						return err
					}
				}
				return nil
			})
			a.Heal = func(ctx context.Context) error {
				err := stop(ctx)
				a.Members, a.Detail = restarted, "in this order"
				if errors.Is(err, ErrNobody) {
					a.Detail += ", until all were others' to break"
					err = nil
				}
				return err
			}
			return a, nil
		},
	}
}
