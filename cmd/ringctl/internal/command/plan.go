package command

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
)

func (a *app) plan() *cobra.Command {
	return &cobra.Command{
		Use:   "plan",
		Short: "Show what commit would change",
		Long: `plan shows how many slots each member would have after "ringctl commit", how many
would move, and whether something keeps it from being committed. It changes
nothing.`,
		Example: `  ringctl plan
  ringctl plan -o json`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.admin(cmd, func(ctx context.Context, admin ringdv1.AdminClient) error {
				p, err := admin.Plan(ctx, &ringdv1.PlanRequest{})
				if err != nil {
					return err
				}
				if a.json() {
					return printing.Proto(a.Out, p)
				}
				printPlan(a.Out, p)
				return nil
			})
		},
	}
}

func printPlan(w io.Writer, p *ringdv1.PlanResponse) {
	change := func(now, next uint32) string {
		if now == next {
			return number(now)
		}
		return fmt.Sprintf("%d -> %d", now, next)
	}
	var rows [][]string
	for _, r := range p.GetRows() {
		rows = append(rows, []string{
			printing.Name(r.GetName()), change(r.GetSlotsNow(), r.GetSlotsNext()), change(r.GetFirstSlotsNow(), r.GetFirstSlotsNext()),
		})
	}
	printing.Table(w, []string{"member", "slots>", "first slots>"}, rows)
	if nothingToDo(p) {
		fmt.Fprintf(w, "The ring is as planned, at epoch %s.\n", epoch(p.GetEpoch()))
	} else {
		fmt.Fprintf(w, "%d slots get another owner, from epoch %s on.\n", p.GetMoves(), epoch(p.GetEpoch()))
	}
	for _, n := range p.GetNotes() {
		fmt.Fprintln(w, "note:", n)
	}
	if p.GetBlocked() != "" {
		fmt.Fprintln(w, "It can't be committed:", p.GetBlocked())
	}
}

func nothingToDo(p *ringdv1.PlanResponse) bool {
	for _, r := range p.GetRows() {
		if r.GetSlotsNow() != r.GetSlotsNext() || r.GetFirstSlotsNow() != r.GetFirstSlotsNext() {
			return false
		}
	}
	return p.GetMoves() == 0
}
