package command

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
)

func (a *app) commit() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "commit",
		Short: "Give the partitions to the members, as plan shows",
		Long: `commit shows the plan, asks whether to go on, and gives the partitions to the
members. What was shown is what is committed: if the ring has changed meanwhile,
it is refused (exit code 6).

Where it can't ask, because the input is no terminal, it needs --yes.`,
		Example: `  ringctl commit
  ringctl commit --yes
  ringctl commit --yes -o json`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			return a.runCommit(cmd.Context(), c, yes)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "don't ask")
	return cmd
}

func (a *app) runCommit(ctx context.Context, c *client.Client, yes bool) error {
	// Each call gets --timeout for itself: nobody hurries who is to answer.
	p, err := c.Admin().Plan(ctx, &ringdv1.PlanRequest{})
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
	case nothingToDo(p):
		return a.printCommitted(&ringdv1.CommitResponse{Epoch: p.GetEpoch()})
	case !yes && !a.InTerminal:
		return exit.New(exit.Usage, "give --yes if the plan above is what you want", "the input is no terminal, so that commit can't ask")
	case !yes:
		ok, err := a.ask(ctx, "Commit this plan?")
		if err != nil {
			return err
		}
		if !ok {
			return exit.New(exit.Failed, "", "not committed, as you said")
		}
	}
	r, err := c.Admin().Commit(ctx, &ringdv1.CommitRequest{Epoch: p.GetEpoch()})
	if err != nil {
		return err
	}
	return a.printCommitted(r)
}

func (a *app) printCommitted(r *ringdv1.CommitResponse) error {
	if a.json() {
		return printing.Proto(a.Out, r)
	}
	if !r.GetChanged() {
		_, err := fmt.Fprintln(a.Out, "Nothing to commit.")
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
