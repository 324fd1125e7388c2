package command

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
)

func (a *app) commit() *cobra.Command {
	var o commitOptions
	cmd := &cobra.Command{
		Use:   "commit",
		Short: "Carry out what is staged, as plan shows",
		Long: `commit shows the plan, asks whether to go on, and carries it out: the first gives
the partitions to the members, later ones begin to move slots. What was shown is what
is committed: if members or what is staged have changed meanwhile, it is refused
(exit code 6).

Moves go on by themselves; --wait stays until all have come to their end, and shows
them. Where it can't ask, because the input is no terminal, it needs --yes.`,
		Example: `  ringctl commit
  ringctl commit --yes --wait
  ringctl commit --yes -o json`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			return a.runCommit(cmd.Context(), c, o)
		},
	}
	cmd.Flags().BoolVar(&o.yes, "yes", false, "don't ask")
	cmd.Flags().BoolVar(&o.acceptDataLoss, "accept-data-loss", false, "commit although acknowledged writes may be lost, as plan says")
	cmd.Flags().BoolVar(&o.wait, "wait", false, "wait until all moves under way have come to their end")
	cmd.Flags().DurationVar(&o.every, "every", time.Second, "how often --wait asks")
	return cmd
}

type commitOptions struct {
	yes, acceptDataLoss, wait bool
	every                     time.Duration
}

func (a *app) runCommit(ctx context.Context, c *client.Client, o commitOptions) error {
	if o.every <= 0 {
		return exit.Usagef("--every %v: it has to be above 0", o.every)
	}
	// Each call gets --timeout for itself: nobody hurries who is to answer.
	p, err := askPlan(ctx, c)
	if err != nil {
		return err
	}
	shown := a.Out
	if a.json() {
		shown = a.Err
	}
	printPlan(shown, p)
	switch {
	case p.GetBlocked() != "":
		return exit.New(exit.Precondition, "", "the plan can't be committed: %s", p.GetBlocked())
	case p.GetDataLoss() != "" && !o.acceptDataLoss:
		return exit.New(exit.Precondition, "", "not committed: %s", p.GetDataLoss())
	case nothingToDo(p):
		return a.committed(ctx, c, o, &ringdv1.CommitResponse{Epoch: p.GetEpoch()})
	case !o.yes && !a.InTerminal:
		return exit.New(exit.Usage, "give --yes if the plan above is what you want", "the input is no terminal, so that commit can't ask")
	case !o.yes:
		ok, err := a.ask(ctx, "Commit this plan?")
		if err != nil {
			return err
		}
		if !ok {
			return exit.New(exit.Failed, "", "not committed, as you said")
		}
	}
	r, err := c.Admin().Commit(ctx, &ringdv1.CommitRequest{Epoch: p.GetEpoch(), Revision: &p.Revision, AcceptDataLoss: o.acceptDataLoss})
	if err != nil {
		return err
	}
	return a.committed(ctx, c, o, r)
}

// committed says what was committed, and waits if it was asked to. As JSON it says
// so once the waiting is over: one document is what who reads it waits for.
func (a *app) committed(ctx context.Context, c *client.Client, o commitOptions, r *ringdv1.CommitResponse) error {
	if !o.wait {
		return a.printCommitted(r)
	}
	if !a.json() {
		if err := a.printCommitted(r); err != nil {
			return err
		}
	}
	if err := a.waitForMoves(ctx, c, o.every); err != nil {
		return err
	}
	if a.json() {
		return a.printCommitted(r)
	}
	_, err := fmt.Fprintln(a.Out, "No move is under way any more.")
	return err
}

func (a *app) printCommitted(r *ringdv1.CommitResponse) error {
	if a.json() {
		return printing.Proto(a.Out, r)
	}
	if !r.GetChanged() {
		_, err := fmt.Fprintln(a.Out, "Nothing to commit.")
		return err
	}
	if r.GetMoves() > 0 {
		_, err := fmt.Fprintf(a.Out, "Committed: %d moves begin. \"ringctl status\" shows them.\n", r.GetMoves())
		return err
	}
	_, err := fmt.Fprintf(a.Out, "Committed as epoch %s.\n", epoch(r.GetEpoch()))
	return err
}

// ask reports whether the answer to question was yes. Whoever reads the answer
// stays behind if ctx ends first: reading a terminal can't be interrupted, and
// the process ends then.
func (a *app) ask(ctx context.Context, question string) (bool, error) {
	fmt.Fprintf(a.Err, "%s [y/N] ", question)
	answered := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(a.In).ReadString('\n') // the end of input is no yes
		answered <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case s := <-answered:
		return s == "y" || s == "yes", nil
	case <-ctx.Done():
		return false, exit.New(exit.Failed, "", "interrupted; nothing was changed")
	}
}
