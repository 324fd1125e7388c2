package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/ringd/ringd/jepsen/internal/cluster"
	"github.com/ringd/ringd/jepsen/internal/history"
	"github.com/ringd/ringd/jepsen/internal/hosts"
)

// grudge says who can't reach whom of n members: pairs of indexes, from and to.
type grudge func(rng *rand.Rand, n int) (pairs [][2]int, detail string)

func partitions() []*Nemesis {
	return []*Nemesis{
		cut("partition-one", "one member is cut off from all others", one),
		cut("partition-halves", "the members are cut into two parts, of which one has a majority", halves),
		cut("partition-majorities-ring", "every member sees a majority, and no two the same", majoritiesRing),
		cut("bridge", "two parts that see one member in common, and not each other", bridge),
		cut("one-way", "a part hears nothing of the others, who hear it", oneWay),
		flapping(),
		loss(),
	}
}

func one(rng *rand.Rand, n int) ([][2]int, string) { return parts(rng.Perm(n), 1) }

func halves(rng *rand.Rand, n int) ([][2]int, string) { return parts(rng.Perm(n), n/2) }

// parts cuts the first k of them off from the others.
func parts(members []int, k int) ([][2]int, string) {
	return both(members[:k], members[k:]), fmt.Sprintf("%s | %s", list(members[:k]), list(members[k:]))
}

func majoritiesRing(rng *rand.Rand, n int) ([][2]int, string) {
	ring := rng.Perm(n)
	reach := n / 4 // neighbours on either side that a member sees
	if 2*reach+1 <= n/2 {
		reach++
	}
	var pairs [][2]int
	for i, a := range ring {
		for j, b := range ring {
			if d := min((i-j+n)%n, (j-i+n)%n); d > reach {
				pairs = append(pairs, [2]int{a, b})
			}
		}
	}
	return pairs, "ring " + list(ring)
}

func bridge(rng *rand.Rand, n int) ([][2]int, string) {
	members := rng.Perm(n)
	middle, others := members[:1], members[1:]
	k := len(others) / 2
	return both(others[:k], others[k:]), fmt.Sprintf("%s | %s, both see %s", list(others[:k]), list(others[k:]), list(middle))
}

func oneWay(rng *rand.Rand, n int) ([][2]int, string) {
	members := rng.Perm(n)
	k := upTo(rng, n/2)
	deaf, others := members[:k], members[k:]
	if rng.IntN(2) == 0 {
		deaf, others = others, deaf
	}
	return directed(others, deaf), fmt.Sprintf("%s hears nothing of %s", list(deaf), list(others))
}

func both(one, other []int) [][2]int { return append(directed(one, other), directed(other, one)...) }

func directed(from, to []int) [][2]int {
	var pairs [][2]int
	for _, a := range from {
		for _, b := range to {
			pairs = append(pairs, [2]int{a, b})
		}
	}
	return pairs
}

// list writes indexes so that they are replaced by names.
func list(members []int) string {
	var s []string
	for _, i := range members {
		s = append(s, fmt.Sprintf("<%d>", i))
	}
	return strings.Join(s, " ")
}

func named(detail string, members []*cluster.Member) string {
	for i, m := range members {
		detail = strings.ReplaceAll(detail, fmt.Sprintf("<%d>", i), m.Name)
	}
	return detail
}

func pairsOf(pairs [][2]int, members []*cluster.Member) []hosts.Pair {
	var list []hosts.Pair
	for _, p := range pairs {
		list = append(list, hosts.Pair{From: members[p[0]].Host, To: members[p[1]].Host})
	}
	return list
}

func cut(name, does string, g grudge) *Nemesis {
	return &Nemesis{
		Name: name, Does: does, Needs: []Need{Network},
		Start: func(_ context.Context, c *cluster.Cluster, rng *rand.Rand) (*Active, error) {
			members := c.Members()
			pairs, detail := g(rng, len(members))
			f, err := c.Network().Cut(pairsOf(pairs, members))
			if err != nil {
				return nil, err
			}
			return &Active{
				Fault: history.Fault{Members: names(members), Detail: named(detail, members)},
				Heal:  func(context.Context) error { return f.Heal() },
			}, nil
		},
	}
}

// flapping cuts and heals faster than members can make sure that another is gone.
func flapping() *Nemesis {
	const least, most = 100 * time.Millisecond, 1500 * time.Millisecond
	return &Nemesis{
		Name: "flapping", Does: "a part is cut off and back again, several times a second to once in three", Needs: []Need{Network},
		Start: func(_ context.Context, c *cluster.Cluster, rng *rand.Rand) (*Active, error) {
			members := c.Members()
			pairs, detail := parts(rng.Perm(len(members)), upTo(rng, len(members)/2))
			a := &Active{Fault: history.Fault{Members: names(members), Detail: named(detail, members)}}
			times := 0
			stop := background(func(ctx context.Context) error {
				for ctx.Err() == nil {
					f, err := c.Network().Cut(pairsOf(pairs, members))
					if err != nil {
						return err
					}
					times++
					sleep(ctx, between(rng, least, most))
					if err := f.Heal(); err != nil {
						return err
					}
					sleep(ctx, between(rng, least, most))
				}
				return nil
			})
			a.Heal = func(ctx context.Context) error {
				err := stop(ctx)
				a.Detail += fmt.Sprintf(", %d times", times)
				return err
			}
			return a, nil
		},
	}
}

func loss() *Nemesis {
	const percentMax = 30 // of which TCP still makes something
	return &Nemesis{
		Name: "loss", Does: "packets are lost at random, between all members or between some", Needs: []Need{Network},
		Start: func(_ context.Context, c *cluster.Cluster, rng *rand.Rand) (*Active, error) {
			members := c.Members()
			percent := upTo(rng, percentMax)
			all := rng.Perm(len(members))
			pairs, detail := both(all, all), "between all"
			if rng.IntN(2) == 0 {
				pairs, detail = parts(all, upTo(rng, len(all)/2))
			}
			f, err := c.Network().Lose(pairsOf(pairs, members), percent)
			if err != nil {
				return nil, err
			}
			return &Active{
				Fault: history.Fault{Members: names(members), Detail: fmt.Sprintf("%d%% %s", percent, named(detail, members))},
				Heal:  func(context.Context) error { return f.Heal() },
			}, nil
		},
	}
}

// background runs what goes on as long as a fault does; the function that it
// returns ends it, and returns its error.
func background(run func(ctx context.Context) error) func(context.Context) error {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	var err error
	running.Go(func() { err = run(ctx) })
	return func(context.Context) error {
		cancel()
		running.Wait()
		return err
	}
}
