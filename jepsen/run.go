package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ringd/ringd/jepsen/internal/run"
)

// runsDir is where runs are kept if nobody says where: git ignores it.
const runsDir = "jepsen-runs"

// options are flags of run and of soak.
type options struct {
	run.Config
	loopback bool
	out      string
}

func (o *options) flags(f *pflag.FlagSet) {
	o.Config = run.DefaultConfig()
	f.DurationVar(&o.Time, "time", o.Time, "how long clients work, and nemeses break")
	f.Uint64Var(&o.Seed, "seed", 0, "decides the faults and what clients do, as far as time allows (default: drawn)")
	f.StringVar(&o.Ringd, "ringd", "", "path of the ringd to be tested (default: built from the source)")
	f.IntVar(&o.Members, "members", o.Members, "members that the cluster begins with")
	f.IntVar(&o.Clients, "clients", o.Clients, "clients that work at a time")
	f.IntVar(&o.PerSecond, "rate", o.PerSecond, "operations per second, all clients together; 0 is as fast as they can")
	f.DurationVar(&o.Whole, "whole-within", o.Whole, "how long the cluster may take until nothing is left of the faults, and then for the last reads")
	f.BoolVar(&o.Keep, "keep", false, "keep the members' data directories also if the run passes")
	f.BoolVar(&o.loopback, "loopback", false, "use loopback, even as root")
}

func runCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "run",
		Short: "One run",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Seed == 0 {
				o.Seed = rand.Uint64N(seedMax)
			}
			if o.Dir = o.out; o.Dir == "" {
				o.Dir = filepath.Join(runsDir, dirName(o.Config))
			}
			o.Command = os.Args
			b, err := newBench(cmd.Context(), o, cmd.OutOrStdout())
			if err != nil {
				return err
			}
			defer b.close()
			outcome, err := b.run(cmd.Context(), o.Config)
			if err != nil {
				return err
			}
			r, err := run.Read(o.Dir)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s\nkept in %s\n", r.Row(), o.Dir)
			return exitOf(outcome)
		},
	}
	f := cmd.Flags()
	o.flags(f)
	f.StringVar(&o.Workload, "workload", "set", "what clients do; \"jepsen list\" names them")
	f.StringVar(&o.Nemesis, "nemesis", "none", "what is broken: a name, or several with commas between, which go on at a time")
	f.StringVar(&o.out, "out", "", "directory of the run, which must not be there (default: one in ./"+runsDir+")")
	return cmd
}

// seedMax keeps seeds that are drawn short enough to be typed.
const seedMax = 1_000_000_000

func dirName(c run.Config) string {
	return fmt.Sprintf("%s-%s-%s-%d", time.Now().Format("20060102-150405"), c.Workload, strings.ReplaceAll(c.Nemesis, ",", "+"), c.Seed)
}

func checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check DIR",
		Short: "Judge the history of a run again",
		Long: `check judges the history that a run's directory holds with the checker as it is
now, and writes the verdict anew. What was seen of the members in that run, and
does not stand in the history, counts as before.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := run.Check(args[0], page)
			if err != nil {
				return err
			}
			fmt.Fprint(cmd.OutOrStdout(), r.Text())
			return exitOf(r.Verdict.Outcome)
		},
	}
}
