package command

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/spf13/cobra"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
	"github.com/ringd/ringd/cmd/ringctl/internal/progress"
)

func (a *app) salvage() *cobra.Command {
	return &cobra.Command{
		Use:   "salvage DIR",
		Short: "Bring in what the disk of a removed member holds",
		Long: `salvage has the member at --addr read DIR, the data directory of a member that was
removed, on its own host, and has the owners of each key merge what stands there, as
if a hint came late: what they know already changes nothing, what they deleted stays
deleted, and values that were written side by side become siblings. What an owner
that can't be reached lacks is kept for it as a hint. DIR is only read.

The exit code is 1 if records are damaged or something is left; salvaging again does
what is left. Salvaging twice does no harm.`,
		Example: `  ringctl --addr node4:7600 salvage /mnt/node2/ringd`,
		Args:    cobra.ExactArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := filepath.Abs(args[0])
			if err != nil {
				return exit.Usagef("DIR %q: %v", args[0], err)
			}
			return a.runSalvage(cmd.Context(), dir)
		},
	}
}

// salvageTotals are what a member told last of a salvage.
type salvageTotals struct {
	mu   sync.Mutex
	last *ringdv1.SalvageProgress
}

func (t *salvageTotals) set(p *ringdv1.SalvageProgress) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = p
}

func (t *salvageTotals) get() *ringdv1.SalvageProgress {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

func (t *salvageTotals) text() string {
	p := t.get()
	return fmt.Sprintf("%d of %d partitions, %s", p.GetPartitionsDone(), p.GetPartitionsTotal(), salvageText(p))
}

func (t *salvageTotals) position() (now, total int64) {
	p := t.get()
	return int64(p.GetPartitionsDone()), int64(p.GetPartitionsTotal())
}

func salvageText(p *ringdv1.SalvageProgress) string {
	return fmt.Sprintf("%d objects read (%s), %d copies changed, %d kept as hints",
		p.GetObjectsRead(), progress.Bytes(int64(p.GetBytesRead())), p.GetCopiesChanged(), p.GetObjectsHinted())
}

func (a *app) runSalvage(ctx context.Context, dir string) error {
	c, self, err := a.connectOne(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	var totals salvageTotals
	shown := progress.Show(a.Err, a.ErrTerminal, totals.text, totals.position)
	stream, err := c.AdminOf(self).Salvage(ctx, &ringdv1.SalvageRequest{Directory: dir})
	err = receive(stream, err, totals.set)
	shown.Close()
	if err != nil {
		return interrupted(ctx, err, "salvaging again does what is left")
	}
	p := totals.get()
	if a.json() {
		err = printing.Proto(a.Out, p)
	} else {
		_, err = fmt.Fprintf(a.Out, "From %s: %s.\n", printing.Name(p.GetMember()), salvageText(p))
	}
	if err != nil {
		return err
	}
	const again = "salvaging again does what is left"
	switch {
	case p.GetObjectsLeft() > 0 || len(p.GetPartitionsLeft()) > 0:
		return exit.New(exit.Failed, again, "%d objects are left, and %d records are damaged; the last: %s", p.GetObjectsLeft(), p.GetRecordsDamaged(), p.GetLastError())
	case p.GetRecordsDamaged() > 0:
		return exit.New(exit.Failed, "what can be read of it was brought in", "%d records are damaged, the last: %s", p.GetRecordsDamaged(), p.GetLastError())
	}
	return nil
}
