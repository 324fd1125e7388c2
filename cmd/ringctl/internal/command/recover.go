package command

import (
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

// recoverTimeout is more than a member takes: it listens for a leader, and asks all
// others, before it is sure that there is none.
const recoverTimeout = 45 * time.Second

func (a *app) recovering() *cobra.Command {
	var accept bool
	cmd := &cobra.Command{
		Use:   "recover --i-accept-data-loss",
		Short: "Begin anew what is agreed on, once most voters are gone for good",
		Long: `recover is for when a majority of the members that vote (column raft of "ringctl
members") is gone for good: nothing about the cluster can be changed then, not even
that they are gone. The member at --addr begins a new generation of what is agreed
on, with the newest that it and the members that it reaches know. What only the lost
ones knew is gone: members that came or left last, slots that moved last, settings.
Moves under way are turned back, and what is staged is dropped.

Run it at ONE member, once, after the lost ones were stopped for good. It is refused
as long as there is a leader. Then take out those that are gone ("ringctl remove").
Keys are lost only where all owners were; "ringctl salvage" brings in what a disk of
theirs still holds.`,
		Example:           `  ringctl --addr node4:7600 recover --i-accept-data-loss`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !accept {
				return exit.Usagef("changes of the cluster that only lost members know of will be gone: --i-accept-data-loss says that you know")
			}
			c, self, err := a.connectOne(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			ctx, cancel := context.WithTimeout(cmd.Context(), max(recoverTimeout, a.timeout))
			defer cancel()
			r, err := c.AdminOf(self).Recover(ctx, &ringdv1.RecoverRequest{AcceptDataLoss: true})
			if err != nil {
				return err
			}
			if a.json() {
				return printing.Proto(a.Out, r)
			}
			return a.printRecovered(r)
		},
	}
	cmd.Flags().BoolVar(&accept, "i-accept-data-loss", false, "what only lost members know of may be gone")
	return cmd
}

func (a *app) printRecovered(r *ringdv1.RecoverResponse) error {
	with := "nobody else was reached"
	if names := r.GetReached(); len(names) > 0 {
		for i, name := range names {
			names[i] = printing.Name(name)
		}
		with = "reached: " + strings.Join(names, ", ")
	}
	if n := r.GetMovesCancelled(); n > 0 {
		with += fmt.Sprintf("; %d moves were turned back", n)
	}
	_, err := fmt.Fprintf(a.Out, "Recovery generation %d has begun at %s (%s).\n\"ringctl status\" shows who follows, \"ringctl remove\" and \"ringctl commit\" take out those that are gone.\n",
		r.GetEpoch().GetGeneration(), printing.Name(r.GetMember()), with)
	return err
}

// connectOne dials the cluster, and returns the id of the first member of --addr
// that answers: what is done on its host, or must not be done at another.
func (a *app) connectOne(ctx context.Context) (*client.Client, string, error) {
	c, err := a.connect(ctx)
	if err != nil {
		return nil, "", err
	}
	s, err := c.Admin().Status(ctx, &ringdv1.StatusRequest{})
	if err != nil {
		_ = c.Close()
		return nil, "", err
	}
	return c, s.GetSelf().GetId(), nil
}
