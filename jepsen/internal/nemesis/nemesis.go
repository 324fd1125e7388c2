// Package nemesis breaks a cluster on purpose, in a manner that a seed decides.
package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/ringd/ringd/jepsen/internal/cluster"
	"github.com/ringd/ringd/jepsen/internal/history"
	"github.com/ringd/ringd/jepsen/internal/hosts"
)

// Need is what a nemesis needs of the machine that it runs on.
type Need string

// The needs.
const (
	// Network is members on hosts of their own.
	Network Need = "network"
	// FUSE is file systems of the harness's own under data directories.
	FUSE Need = "fuse"
	// Mount is file systems of a size of their own.
	Mount Need = "mount"
)

// ErrNobody is returned by a nemesis that found no member to break: others have
// them all.
var ErrNobody = errors.New("no member is free to be broken")

// Breach is a promise of ringd that a nemesis saw broken: the run has failed.
type Breach struct{ Text string }

// Error implements error.
func (b *Breach) Error() string { return b.Text }

// Nemesis is one kind of fault.
type Nemesis struct {
	Name  string
	Does  string // in a line
	Needs []Need
	// Prepare, if there is one, is called with each member before its first start.
	Prepare cluster.Hook
	// Tags that ringd has to be built with, to let itself be broken so.
	Tags []string
	// Unfair breaks what ringd rests on, and acknowledged writes with it: a run in which
	// nothing is found proves that the harness finds nothing. No mix that is drawn has it.
	Unfair bool
	// Start breaks something and returns at once, or when that takes effect. If it
	// returns an error, it has undone what it did.
	Start func(ctx context.Context, c *cluster.Cluster, rng *rand.Rand) (*Active, error)
}

// Active is a fault that is there.
type Active struct {
	// Fault has Members and Detail. Heal may add to Detail.
	history.Fault
	// Heal ends it. An error says that it could not, or is a [Breach].
	Heal func(ctx context.Context) error
}

// All are the nemeses, each time made anew: what one of them keeps is of one run.
func All() []*Nemesis {
	return slices.Concat(partitions(), processes(), directories(), memberships(), plugged())
}

// Parse returns the nemeses of a mix, "a,b,c"; "none" is none.
func Parse(mix string) ([]*Nemesis, error) {
	if mix == "none" {
		return nil, nil
	}
	all := All()
	var list []*Nemesis
	for name := range strings.SplitSeq(mix, ",") {
		i := slices.IndexFunc(all, func(n *Nemesis) bool { return n.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no nemesis %q: \"jepsen list\" names them", name)
		}
		if slices.Contains(list, all[i]) {
			return nil, fmt.Errorf("nemesis %q is named twice", name)
		}
		list = append(list, all[i])
	}
	return list, nil
}

// Missing says what the nemesis needs and this machine has not; empty if nothing.
func (n *Nemesis) Missing(loopback bool) string {
	for _, need := range n.Needs {
		switch {
		case need == Network && loopback:
			return "members on hosts of their own: run it as root, with ip and nft"
		case need != Network:
			if err := hosts.Root(); err != nil {
				return string(need) + ": " + err.Error()
			}
		}
	}
	return ""
}

func names(members []*cluster.Member) []string {
	var list []string
	for _, m := range members {
		list = append(list, m.Name)
	}
	slices.Sort(list)
	return list
}

// upTo is a number from 1 to n.
func upTo(rng *rand.Rand, n int) int { return 1 + rng.IntN(n) }
