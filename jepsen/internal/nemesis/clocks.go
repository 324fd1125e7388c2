package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/ringd/ringd/jepsen/internal/clockshift"
	"github.com/ringd/ringd/jepsen/internal/cluster"
	"github.com/ringd/ringd/jepsen/internal/history"
)

// clockOf are the clocks of a run's members.
type clockOf struct {
	sync.Mutex
	member map[*cluster.Member]*clockshift.Clock
}

func clocks() []*Nemesis {
	all := &clockOf{member: make(map[*cluster.Member]*clockshift.Clock)}
	return []*Nemesis{{
		Name: "clock-shift", Does: "the clocks of some members are set forward or back, by seconds to hours",
		Prepare: all.prepare, Tags: []string{clockshift.Tag}, Start: all.shift,
	}}
}

// prepare gives a member a clock of its own.
func (a *clockOf) prepare(_ context.Context, m *cluster.Member) (undo func() error, err error) {
	dir, err := os.MkdirTemp("", "ringd-jepsen-clock-"+m.Name+"-")
	if err != nil {
		return nil, err
	}
	clock, err := clockshift.New(filepath.Join(dir, "offset"))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	m.Wrap = append(m.Wrap, clock.Wrap()...)
	a.Lock()
	defer a.Unlock()
	a.member[m] = clock
	return func() error { return errors.Join(clock.Close(), os.RemoveAll(dir)) }, nil
}

// shift sets the clocks of any number of members. They need not be claimed: it does them no
// harm.
func (a *clockOf) shift(_ context.Context, c *cluster.Cluster, rng *rand.Rand) (*Active, error) {
	members := c.Members()
	rng.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	members = members[:upTo(rng, len(members))]
	var details []string
	set := func(m *cluster.Member, ahead time.Duration) {
		a.Lock()
		defer a.Unlock()
		if clock, ok := a.member[m]; ok {
			clock.Set(ahead)
		}
	}
	for _, m := range members {
		ahead := between(rng, time.Second, []time.Duration{10 * time.Second, 10 * time.Minute, 48 * time.Hour}[rng.IntN(3)])
		if rng.IntN(2) == 0 {
			ahead = -ahead
		}
		set(m, ahead)
		details = append(details, fmt.Sprintf("%s by %v", m.Name, ahead))
	}
	return &Active{
		Fault: history.Fault{Members: names(members), Detail: strings.Join(details, ", ")},
		Heal: func(context.Context) error {
			for _, m := range members {
				set(m, 0)
			}
			return nil
		},
	}, nil
}
