package command

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
	"github.com/ringd/ringd/cmd/ringctl/internal/progress"
)

func (a *app) plan() *cobra.Command {
	return &cobra.Command{
		Use:   "plan",
		Short: "Show what commit would change",
		Long: `plan shows what is staged, how many slots and bytes each member would have after
"ringctl commit", how many slots would move and how many would have to, and whether
something keeps it from being committed. It changes nothing. Bytes after the commit
are an estimate: that all slots are equally large.`,
		Example: `  ringctl plan
  ringctl plan -o json`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			p, err := askPlan(cmd.Context(), c)
			if err != nil {
				return err
			}
			if a.json() {
				return printing.Proto(a.Out, p)
			}
			printPlan(a.Out, p)
			return nil
		},
	}
}

// askPlan asks one member for the plan, and all for their bytes.
func askPlan(ctx context.Context, c *client.Client) (*ringdv1.PlanResponse, error) {
	p, err := c.Admin().Plan(ctx, &ringdv1.PlanRequest{})
	if err != nil {
		return nil, err
	}
	s, err := c.Admin().Status(ctx, &ringdv1.StatusRequest{})
	if err != nil {
		return nil, err
	}
	askOthers(ctx, c, s)
	stored := make(map[string]uint64)
	for _, m := range s.GetMembers() {
		stored[m.GetId()] = m.GetDisk().GetStoreBytes()
	}
	estimate(p.GetRows(), stored)
	return p, nil
}

// estimate sets the bytes of rows by those that members store; of one that did not
// say, they are 0.
func estimate(rows []*ringdv1.PlanResponse_Row, stored map[string]uint64) {
	var bytes, slots float64
	for _, r := range rows {
		if n := stored[r.GetMemberId()]; n > 0 {
			r.BytesNow, r.BytesNext = n, n
			bytes += float64(n)
			slots += float64(r.GetSlotsNow())
		}
	}
	if slots == 0 {
		return
	}
	perSlot := bytes / slots
	for _, r := range rows {
		switch {
		case r.GetSlotsNext() == r.GetSlotsNow():
		case r.GetSlotsNext() == 0:
			r.BytesNext = 0
		case r.GetBytesNow() == 0:
			r.BytesNext = uint64(perSlot * float64(r.GetSlotsNext()))
		default:
			more := perSlot * (float64(r.GetSlotsNext()) - float64(r.GetSlotsNow()))
			r.BytesNext = uint64(max(0, float64(r.GetBytesNow())+more))
		}
	}
}

func printPlan(w io.Writer, p *ringdv1.PlanResponse) {
	change := func(now, next uint32) string {
		if now == next {
			return number(now)
		}
		return fmt.Sprintf("%d -> %d", now, next)
	}
	printStaged(w, p.GetStaged())
	var rows [][]string
	for _, r := range p.GetRows() {
		rows = append(rows, []string{
			printing.Name(r.GetName()), r.GetState(), r.GetZone(), number(r.GetWeight()),
			change(r.GetSlotsNow(), r.GetSlotsNext()), change(r.GetFirstSlotsNow(), r.GetFirstSlotsNext()), bytesChange(r),
		})
	}
	printing.Table(w, []string{"member", "state", "zone", "weight>", "slots>", "first slots>", "bytes>"}, rows)
	switch {
	case nothingToDo(p):
		fmt.Fprintf(w, "The ring is as planned, at epoch %s.\n", epoch(p.GetEpoch()))
	case p.GetBlocked() == "":
		fmt.Fprintf(w, "%d slots get another owner, from epoch %s on%s.\n", p.GetMoves(), epoch(p.GetEpoch()), leastText(p))
	}
	if n := p.GetRebuilds(); n > 0 {
		fmt.Fprintf(w, "%d of them are rebuilt from the owners that are left.\n", n)
	}
	if max(p.GetZonesNow(), p.GetZonesNext()) > 1 {
		fmt.Fprintf(w, "The owners of each partition are in at least %d zones; now %d.\n", p.GetZonesNext(), p.GetZonesNow())
	}
	for _, n := range p.GetNotes() {
		fmt.Fprintln(w, "note:", n)
	}
	for _, n := range p.GetWarnings() {
		fmt.Fprintln(w, "warning:", n)
	}
	if p.GetDataLoss() != "" {
		fmt.Fprintln(w, "It may lose data:", p.GetDataLoss())
	}
	if p.GetBlocked() != "" {
		fmt.Fprintln(w, "It can't be committed:", p.GetBlocked())
	}
}

// bytesChange is empty where nothing is known.
func bytesChange(r *ringdv1.PlanResponse_Row) string {
	now, next := r.GetBytesNow(), r.GetBytesNext()
	switch {
	case now == 0 && next == 0:
		return ""
	case now == next:
		return progress.Bytes(int64(now))
	case now == 0 && r.GetSlotsNow() > 0:
		return "? -> " + progress.Bytes(int64(next))
	}
	return progress.Bytes(int64(now)) + " -> " + progress.Bytes(int64(next))
}

func leastText(p *ringdv1.PlanResponse) string {
	switch least := p.GetLeast(); {
	case least == 0:
		return ""
	case least >= p.GetMoves():
		return ": no fewer are possible"
	default:
		return fmt.Sprintf(": %d more than the least possible", p.GetMoves()-least)
	}
}

func nothingToDo(p *ringdv1.PlanResponse) bool {
	return p.GetMoves() == 0 && len(p.GetStaged()) == 0 && p.GetBlocked() == ""
}
