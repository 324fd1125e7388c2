package command

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
	"github.com/ringd/ringd/cmd/ringctl/internal/progress"
)

func (a *app) transfers() *cobra.Command {
	var (
		watch bool
		every time.Duration
	)
	cmd := &cobra.Command{
		Use:   "transfers",
		Short: "Show what members send each other to repair",
		Long: `transfers asks all members what they are sending each other, and what they counted
since they started:

hints            writes that a member took for an owner that could not be reached: kept
                 now, stored, delivered, dropped (their owner gets them by anti-entropy),
                 refused (hint_bytes_max was reached)
anti-entropy     sessions in which two owners of a partition were compared, and what they
                 found; "oldest" is since the one that waits longest
deletions        forgotten because all owners had seen them; kept until they have; stuck
                 because a write that they name is lost with the vnode that made it

--watch shows a bar for each transfer until Ctrl-C.`,
		Example: `  ringctl transfers
  ringctl transfers --watch
  ringctl transfers -o json`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if watch && a.json() {
				return exit.Usagef("--watch is for people: ask for -o json without it, as often as you like")
			}
			if every <= 0 {
				return exit.Usagef("--every %v: it has to be above 0", every)
			}
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			if watch {
				return a.watchTransfers(cmd.Context(), c, every)
			}
			return a.showTransfers(cmd.Context(), c)
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "go on showing them until Ctrl-C")
	cmd.Flags().DurationVar(&every, "every", time.Second, "how often --watch asks")
	return cmd
}

func askTransfers(ctx context.Context, c *client.Client) ([]answer[*ringdv1.TransfersResponse], error) {
	return askAll(ctx, c, func(_ *ringdv1.Member, admin ringdv1.AdminClient) (*ringdv1.TransfersResponse, error) {
		return admin.Transfers(ctx, &ringdv1.TransfersRequest{})
	})
}

func (a *app) showTransfers(ctx context.Context, c *client.Client) error {
	all, err := askTransfers(ctx, c)
	if err != nil {
		return interrupted(ctx, err, "")
	}
	if a.json() {
		err = a.transfersJSON(all)
	} else {
		a.printTransfers(all)
	}
	if err != nil {
		return err
	}
	failed, err := sayFailed(a, all)
	if err != nil {
		return err
	}
	if failed > 0 {
		return exit.New(exit.Unavailable, `"ringctl status" shows who is up`, "%d of %d members could not be asked", failed, len(all))
	}
	return nil
}

func (a *app) transfersJSON(all []answer[*ringdv1.TransfersResponse]) error {
	type member struct {
		Name      string          `json:"name"`
		Error     string          `json:"error,omitempty"`
		Transfers json.RawMessage `json:"transfers,omitempty"`
	}
	var out struct {
		Members []member `json:"members"`
	}
	for _, t := range all {
		m := member{Name: t.member.GetName()}
		if t.err != nil {
			m.Error = reason(t.err)
		} else {
			var err error
			if m.Transfers, err = printing.ProtoJSON(t.said); err != nil {
				return err
			}
		}
		out.Members = append(out.Members, m)
	}
	return printing.JSON(a.Out, out)
}

func (a *app) printTransfers(all []answer[*ringdv1.TransfersResponse]) {
	var running [][]string
	for _, t := range all {
		for _, r := range t.said.GetTransfers() {
			running = append(running, []string{
				printing.Name(t.member.GetName()), r.GetKind(), number(r.GetPartition()), direction(r), objects(r),
				progress.Bytes(int64(r.GetBytesDone())), rate(r), fmt.Sprintf("%.1f s", r.GetSeconds()),
			})
		}
	}
	if len(running) == 0 {
		fmt.Fprintln(a.Out, "no transfer is under way")
	} else {
		printing.Table(a.Out, []string{"begun by", "kind", "partition>", "from > to", "objects>", "bytes>", "rate>", "for>"}, running)
	}
	a.printTotals(all, []string{"hints", "kept>", "bytes kept>", "stored>", "delivered>", "dropped>", "refused>"}, func(r *ringdv1.TransfersResponse) []cell {
		h := r.GetHints()
		return []cell{count64(h.GetKept()), bytes64(h.GetKeptBytes()), count64(h.GetStored()), count64(h.GetDelivered()), count64(h.GetDropped()), count64(h.GetRefused())}
	})
	a.printTotals(all, []string{"anti-entropy", "sessions>", "failed>", "keys differed>", "objects sent>", "bytes sent>", "bytes read>", "oldest>"}, func(r *ringdv1.TransfersResponse) []cell {
		e := r.GetAntiEntropy()
		return []cell{
			count64(e.GetSessions()), count64(e.GetSessionsFailed()), count64(e.GetKeysDiffered()), count64(e.GetObjectsSent()),
			bytes64(e.GetBytesSent()), bytes64(e.GetBytesRead()), age(e.GetOldestSeconds()),
		}
	})
	a.printTotals(all, []string{"deletions", "forgotten>", "kept>", "stuck>"}, func(r *ringdv1.TransfersResponse) []cell {
		d := r.GetReaping()
		return []cell{count64(d.GetReaped()), count64(d.GetKept()), count64(d.GetStuck())}
	})
}

// cell is a number and how it is written; largest says that a total of several is
// the largest and not their sum.
type cell struct {
	n       float64
	text    func(float64) string
	largest bool
}

func count64(n uint64) cell {
	return cell{n: float64(n), text: func(n float64) string { return strconv.FormatFloat(n, 'f', 0, 64) }}
}

func bytes64(n uint64) cell {
	return cell{n: float64(n), text: func(n float64) string { return progress.Bytes(int64(n)) }}
}

func age(seconds float64) cell {
	return cell{n: seconds, largest: true, text: func(n float64) string { return fmt.Sprintf("%.0f s", n) }}
}

// printTotals writes a row for each member that answered, and one for all.
func (a *app) printTotals(all []answer[*ringdv1.TransfersResponse], header []string, of func(*ringdv1.TransfersResponse) []cell) {
	var rows [][]string
	var total []cell
	row := func(name string, cells []cell) {
		out := []string{name}
		for _, c := range cells {
			out = append(out, c.text(c.n))
		}
		rows = append(rows, out)
	}
	for _, t := range all {
		if t.err != nil {
			continue
		}
		cells := of(t.said)
		row(printing.Name(t.member.GetName()), cells)
		if total == nil {
			total = make([]cell, len(cells))
		}
		for i, c := range cells {
			if c.largest {
				c.n = max(c.n, total[i].n)
			} else {
				c.n += total[i].n
			}
			total[i] = c
		}
	}
	row("all", total)
	printing.Table(a.Out, header, rows)
}

func direction(t *ringdv1.Transfer) string {
	to := name(t.GetTo())
	if t.GetKind() == "hints" {
		to += fmt.Sprintf(" (slot %d)", t.GetSlot())
	}
	if t.GetFrom() == "" && t.GetTo() == "" {
		return ""
	}
	return name(t.GetFrom()) + " > " + to
}

// name leaves nothing as it is, where there is no member to name.
func name(s string) string {
	if s == "" {
		return s
	}
	return printing.Name(s)
}

func objects(t *ringdv1.Transfer) string {
	if t.GetItemsTotal() == 0 {
		return strconv.FormatUint(t.GetItemsDone(), 10)
	}
	return fmt.Sprintf("%d of %d", t.GetItemsDone(), t.GetItemsTotal())
}

func rate(t *ringdv1.Transfer) string { return progress.Bytes(int64(t.GetBytesPerSecond())) + "/s" }
