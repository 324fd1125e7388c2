package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringd/ringd/jepsen/internal/nemesis"
	"github.com/ringd/ringd/jepsen/internal/run"
	"github.com/ringd/ringd/jepsen/internal/workload"
)

// mixMax is how many nemeses a mix that is drawn has, at most.
const mixMax = 3

func soakCommand() *cobra.Command {
	var o options
	var hours float64
	cmd := &cobra.Command{
		Use:   "soak",
		Short: "Runs with fresh seeds, until one is no pass",
		Long: `soak makes runs of all workloads in turn, each with a seed and a mix of nemeses of
its own, until the time is over or a run is no pass. It ends as that run does (see
"jepsen help"). --seed decides all of them. Of runs that pass it keeps the verdict
and no more, unless --keep is set.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if hours <= 0 {
				return fmt.Errorf("--hours is %v: use a number above 0", hours)
			}
			if o.Seed == 0 {
				o.Seed = rand.Uint64N(seedMax)
			}
			b, err := newBench(cmd.Context(), o, cmd.OutOrStdout())
			if err != nil {
				return err
			}
			defer b.close()
			return b.soak(cmd, o, time.Now().Add(time.Duration(hours*float64(time.Hour))))
		},
	}
	f := cmd.Flags()
	o.flags(f)
	f.Float64Var(&hours, "hours", 1, "how long to go on")
	f.StringVar(&o.Workload, "workload", "", "one workload only (default: all in turn)")
	f.StringVar(&o.Nemesis, "nemesis", "", "one mix only (default: drawn for each run)")
	f.StringVar(&o.out, "out", runsDir, "directory of the runs' directories")
	return cmd
}

func (b *bench) soak(cmd *cobra.Command, o options, until time.Time) error {
	rng := rand.New(rand.NewPCG(o.Seed, 0))
	fmt.Fprintf(b.out, "soaking until %s, seed %d\n", until.Format(time.DateTime), o.Seed)
	passed := 0
	for ; time.Now().Before(until); passed++ {
		c := o.Config
		c.Command, c.Seed = os.Args, rng.Uint64N(seedMax)
		mix := b.mix(rng)
		if c.Nemesis == "" {
			c.Nemesis = mix
		}
		if all := workload.All(); c.Workload == "" {
			c.Workload = all[passed%len(all)].Name()
		}
		c.Dir = filepath.Join(o.out, dirName(c))
		outcome, err := b.run(cmd.Context(), c)
		if err != nil {
			return err
		}
		if outcome != run.Pass {
			fmt.Fprintf(b.out, "%d runs passed before this one, which is kept in %s\nagain: jepsen run --workload %s --nemesis %s --time %v --seed %d\n",
				passed, c.Dir, c.Workload, c.Nemesis, c.Time, c.Seed)
			return exitOf(outcome)
		}
		if !c.Keep {
			if err := run.Forget(c.Dir); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(b.out, "%d runs passed\n", passed)
	return nil
}

// mix draws one to mixMax nemeses of those that can be here.
func (b *bench) mix(rng *rand.Rand) string {
	var names []string
	for _, n := range nemesis.All() {
		if n.Missing(b.loopback) == "" && !n.Unfair {
			names = append(names, n.Name)
		}
	}
	rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return strings.Join(names[:min(len(names), 1+rng.IntN(mixMax))], ",")
}
