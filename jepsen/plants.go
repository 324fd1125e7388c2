package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringd/ringd/internal/plants"
	"github.com/ringd/ringd/jepsen/internal/run"
)

// simulatedRuns is how many runs the simulation has to find a bug in; most take a few.
const simulatedRuns = 1000

// hunted is what became of looking for one plant.
type hunted struct {
	plant      plants.Plant
	asked      bool   // the simulation was
	simulation string // what it said; empty if nothing
	where      string // workload and nemesis, or why there are none
	runs       int
	found      bool
	verdict    string // the last run's, in a line
}

func plantsCommand() *cobra.Command {
	var o options
	var runs int
	var simulate bool
	cmd := &cobra.Command{
		Use:   "plants [NAME...]",
		Short: "Plant bugs, and see what finds them",
		Long: `plants builds ringd with one planted bug after the other, all or those that are
named, and looks for each: in runs with the workload and the nemesis that should
find it, each with a fresh seed, until one fails or there were --runs; and, where
internal/sim is known to find it, there. It has to be run in the source tree.

Runs that found a bug are kept. It ends with 0 if every bug that was looked for was
found.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := choose(args)
			if err != nil {
				return err
			}
			if runs < 0 {
				return fmt.Errorf("--runs is %d: use how many runs to look in, or 0 for the simulation alone", runs)
			}
			if o.Ringd != "" {
				return errors.New("--ringd is of no use here: ringd is built with each bug")
			}
			if o.Seed == 0 {
				o.Seed = rand.Uint64N(seedMax)
			}
			b, err := newBench(cmd.Context(), o, cmd.OutOrStdout())
			if err != nil {
				return err
			}
			defer b.close()
			var all []hunted
			for _, p := range list {
				h, err := b.hunt(cmd.Context(), p, o, runs, simulate)
				if err != nil {
					return err
				}
				all = append(all, h)
				if cmd.Context().Err() != nil {
					break
				}
			}
			return tell(cmd.OutOrStdout(), all)
		},
	}
	f := cmd.Flags()
	o.flags(f)
	o.Time = 30 * time.Second
	f.Lookup("time").DefValue = o.Time.String()
	f.IntVar(&runs, "runs", 3, "runs with each bug, at most; 0 is none")
	f.BoolVar(&simulate, "simulate", true, "look for it by the simulation, too")
	f.StringVar(&o.out, "out", runsDir, "directory of the runs' directories")
	return cmd
}

// choose returns the plants of these names, all if there are none.
func choose(names []string) ([]plants.Plant, error) {
	if len(names) == 0 {
		return plants.All(), nil
	}
	var list []plants.Plant
	for _, name := range names {
		p, err := plants.Named(name)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// hunt looks for one plant. An error says that it could not be looked for.
func (b *bench) hunt(ctx context.Context, p plants.Plant, o options, runs int, simulate bool) (hunted, error) {
	h := hunted{plant: p}
	fmt.Fprintf(b.out, "--- %s: %s\n", p.Name, p.Mistake)
	if simulate && p.Simulated != nil {
		var err error
		h.asked = true
		if h.simulation, err = b.simulate(ctx, p); err != nil {
			return h, err
		}
	}
	i := slices.IndexFunc(hunts, func(h hunt) bool { return h.plant == p.Name })
	if i < 0 {
		return h, fmt.Errorf("plant %s is in no list of where to look: add it to hunts", p.Name)
	}
	at := hunts[i]
	if at.lacks != "" {
		h.where = "needs " + at.lacks
		return h, nil
	}
	h.where = at.workload + ", " + at.nemesis
	b.plant = p.Name
	defer func() { b.plant = "" }()
	// A plant's seeds are the same whichever others are looked for.
	rng := rand.New(rand.NewPCG(o.Seed, uint64(i)))
	for h.runs < runs && !h.found && ctx.Err() == nil {
		h.runs++
		c := o.Config
		c.Command, c.Seed, c.Workload, c.Nemesis = os.Args, rng.Uint64N(seedMax), at.workload, at.nemesis
		c.Dir = filepath.Join(o.out, dirName(c)+"-"+p.Name)
		outcome, err := b.run(ctx, c)
		if err != nil {
			return h, err
		}
		r, err := run.Read(c.Dir)
		if err != nil {
			return h, err
		}
		h.found, h.verdict = outcome == run.Fail, string(outcome)
		if r.Verdict.Why != "" {
			h.verdict += ": " + r.Verdict.Why
		}
		if !h.found && !c.Keep {
			if err := run.Forget(c.Dir); err != nil {
				return h, err
			}
		}
	}
	return h, nil
}

// simulate runs the simulation on source with the bug, and returns what it found in a
// line; empty if nothing.
func (b *bench) simulate(ctx context.Context, p plants.Plant) (string, error) {
	root, err := plants.Root(ctx)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(b.dir, "overlay-")
	if err != nil {
		return "", err
	}
	overlay, err := p.Overlay(root, dir)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-overlay", overlay, "-run", "^TestRuns$",
		"./internal/sim", "-sim.runs", fmt.Sprint(simulatedRuns))
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return "", err
	}
	for line := range strings.SplitSeq(string(out), "\n") {
		if slices.ContainsFunc(p.Simulated.Violations, func(v string) bool { return strings.Contains(line, v) }) {
			return oneLine(line), nil
		}
	}
	if err != nil {
		return "", fmt.Errorf("the simulation failed with plant %s, and not by what it should find: %w\n%s", p.Name, err, out)
	}
	return "", nil
}

// lineMax is what a cell of the table has room for.
const lineMax = 150

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > lineMax {
		s = strings.ToValidUTF8(s[:lineMax], "") + "..."
	}
	return s
}

// tell prints the table. It returns an error if a bug that was looked for was not found.
func tell(out io.Writer, all []hunted) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PLANT\tSIMULATION\tLOOKED FOR IN\tFOUND\tVERDICT")
	missed := 0
	for _, h := range all {
		simulation, found := "not expected", "not looked for"
		switch {
		case h.simulation != "":
			simulation = "found"
		case h.asked:
			simulation = "not found"
		case h.plant.Simulated != nil:
			simulation = "not asked"
		}
		if h.runs > 0 {
			found = fmt.Sprintf("no, in %d runs", h.runs)
			if h.found {
				found = fmt.Sprintf("in run %d", h.runs)
			}
		}
		if h.simulation == "" && !h.found && (h.runs > 0 || h.asked) {
			missed++
		}
		verdict := h.verdict
		if !h.found && h.simulation != "" {
			verdict = "simulation: " + h.simulation
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", h.plant.Name, simulation, h.where, found, oneLine(verdict))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if missed > 0 {
		fmt.Fprintf(out, "%d bugs were looked for and not found\n", missed)
		return &exitError{code: exitFail}
	}
	return nil
}
