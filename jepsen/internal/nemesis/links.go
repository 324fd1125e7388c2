package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ringd/ringd/jepsen/internal/cluster"
	"github.com/ringd/ringd/jepsen/internal/history"
	"github.com/ringd/ringd/jepsen/internal/hosts"
	"github.com/ringd/ringd/jepsen/internal/slowlink"
)

func links() []*Nemesis {
	return []*Nemesis{
		shaped("link-slow", "what some members send is slow, delayed or limited, one way or both", slowShape),
		shaped("link-lossy", "packets are lost, come twice and overtake each other", lossyShape),
	}
}

// slowShape is up to what members on two continents have, or a narrow link.
func slowShape(rng *rand.Rand) (slowlink.Shape, string) {
	const delayMax, rateMin, rateMax = 300 * time.Millisecond, 64 << 10, 4 << 20
	if rng.IntN(3) == 0 {
		rate := rateMin + rng.Int64N(rateMax-rateMin)
		return slowlink.Shape{BytesPerSecond: rate}, fmt.Sprintf("%d KiB/s", rate>>10)
	}
	s := slowlink.Shape{Delay: between(rng, time.Millisecond, delayMax)}
	s.Jitter = between(rng, 0, s.Delay)
	return s, fmt.Sprintf("%v and up to %v more", s.Delay, s.Jitter)
}

func lossyShape(rng *rand.Rand) (slowlink.Shape, string) {
	const lossMax = 0.2 // of which TCP still makes something
	s := slowlink.Shape{
		Delay: between(rng, time.Millisecond, 20*time.Millisecond),
		Loss:  rng.Float64() * lossMax, Duplicate: rng.Float64() / 4, Reorder: rng.Float64() / 4,
	}
	return s, fmt.Sprintf("%.0f%% lost, %.0f%% twice, %.0f%% early", 100*s.Loss, 100*s.Duplicate, 100*s.Reorder)
}

// shaped gives the ways between all members, or from one part to the other, a shape.
func shaped(name, does string, shape func(*rand.Rand) (slowlink.Shape, string)) *Nemesis {
	return &Nemesis{
		Name: name, Does: does, Needs: []Need{Network},
		Start: func(_ context.Context, c *cluster.Cluster, rng *rand.Rand) (*Active, error) {
			members := c.Members()
			var one, other []*hosts.Host
			var who string
			ways := hosts.Between
			switch all := rng.Perm(len(members)); rng.IntN(3) {
			case 0:
				one = hostsOf(all, members)
				other, ways, who = one, hosts.OneWay, "between all"
			case 1:
				k := upTo(rng, len(all)/2)
				one, other = hostsOf(all[:k], members), hostsOf(all[k:], members)
				who = named(list(all[:k])+" and "+list(all[k:]), members)
			default:
				k := upTo(rng, len(all)-1)
				one, other, ways = hostsOf(all[:k], members), hostsOf(all[k:], members), hosts.OneWay
				who = named(list(all[:k])+" to "+list(all[k:]), members)
			}
			s, detail := shape(rng)
			f, err := c.Network().Slow(ways(one, other), s)
			if err != nil {
				return nil, err
			}
			return &Active{
				Fault: history.Fault{Members: names(members), Detail: detail + ", " + who},
				Heal:  func(context.Context) error { return f.Heal() },
			}, nil
		},
	}
}

func hostsOf(indexes []int, members []*cluster.Member) []*hosts.Host {
	var list []*hosts.Host
	for _, i := range indexes {
		list = append(list, members[i].Host)
	}
	return list
}
