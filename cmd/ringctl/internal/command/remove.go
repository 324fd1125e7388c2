package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
)

func (a *app) remove() *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Take out a member that is gone for good",
		Long: `remove is for a member that can't come back: its disk is lost, say. With the next
"ringctl commit" it is shut out, and others rebuild its slots from the owners that
are left. One that is up hands over what it has with "ringctl leave" instead.

A gateway, and a member that owns no slots, is taken out at once.`,
		Example: `  ringctl remove node2
  ringctl commit`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeMembers(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			m, err := findMember(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			if m.GetRole() == "storage" && (m.GetSlots() > 0 || m.GetState() == "leaving" || m.GetState() == "gone") {
				return a.stage(cmd, &ringdv1.MemberChange{Member: m.GetName(), Action: removes})
			}
			return a.removeNow(cmd.Context(), c, m)
		},
	}
}

func findMember(ctx context.Context, c *client.Client, nameOrID string) (*ringdv1.Member, error) {
	r, err := c.Admin().Members(ctx, &ringdv1.MembersRequest{})
	if err != nil {
		return nil, err
	}
	for _, m := range r.GetMembers() {
		if m.GetName() == nameOrID || m.GetId() == nameOrID {
			return m, nil
		}
	}
	return nil, exit.New(exit.NotFound, `"ringctl members" names those that there are`, "there is no member %s", printing.Name(nameOrID))
}

func (a *app) removeNow(ctx context.Context, c *client.Client, m *ringdv1.Member) error {
	if m.GetRole() == "storage" && m.GetLiveness() == ringdv1.Member_ALIVE {
		// It may have writes that nobody else has: a fallback's hints.
		t, err := c.AdminOf(m.GetId()).Transfers(ctx, &ringdv1.TransfersRequest{})
		if err != nil {
			return err
		}
		if n := t.GetHints().GetKept(); n > 0 {
			return exit.New(exit.Precondition, fmt.Sprintf(`"ringctl leave %s" has it hand them over first`, printing.Name(m.GetName())),
				"member %s keeps %d writes for others", printing.Name(m.GetName()), n)
		}
	}
	r, err := c.Admin().RemoveMember(ctx, &ringdv1.RemoveMemberRequest{Member: m.GetId()})
	if err != nil {
		return err
	}
	if a.json() {
		return printing.Proto(a.Out, r)
	}
	_, err = fmt.Fprintf(a.Out, "Removed %s, which owned no slots.\n", printing.Name(m.GetName()))
	return err
}
