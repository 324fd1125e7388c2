package command

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
)

const (
	joins   = ringdv1.MemberChange_JOIN
	leaves  = ringdv1.MemberChange_LEAVE
	removes = ringdv1.MemberChange_REMOVE
)

func (a *app) join() *cobra.Command {
	return &cobra.Command{
		Use:   "join NAME",
		Short: "Stage that a member gets slots",
		Long: `join stages that a member that was started with "ringd --join" gets its share of
the slots. Nothing moves before "ringctl commit". Before the first commit it is not
needed: that gives slots to all members.`,
		Example: `  ringctl join node4
  ringctl plan
  ringctl commit`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeMembers(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.stage(cmd, &ringdv1.MemberChange{Member: args[0], Action: joins})
		},
	}
}

func (a *app) leave() *cobra.Command {
	return &cobra.Command{
		Use:   "leave NAME",
		Short: "Stage that a member hands over its slots and goes",
		Long: `leave stages that a member hands over all it has to others, and then takes itself
out of the cluster: its ringd ends, with exit code 0. Until then it has to be up.
One that can't come back is taken out with "ringctl remove".`,
		Example: `  ringctl leave node4
  ringctl plan
  ringctl commit --wait`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeMembers(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.stage(cmd, &ringdv1.MemberChange{Member: args[0], Action: leaves})
		},
	}
}

func (a *app) replace() *cobra.Command {
	var gone bool
	cmd := &cobra.Command{
		Use:   "replace OLD NEW",
		Short: "Stage that a member takes the place of another",
		Long: `replace stages that OLD leaves and NEW, which was started with "ringd --join",
joins: as one plan, which moves hardly more than what OLD has. With --gone, OLD is
gone for good, and the other owners give what they have.`,
		Example: `  ringctl replace node2 node4
  ringctl replace node2 node4 --gone`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: a.completeMembers(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			out := leaves
			if gone {
				out = removes
			}
			return a.stage(cmd, &ringdv1.MemberChange{Member: args[0], Action: out}, &ringdv1.MemberChange{Member: args[1], Action: joins})
		},
	}
	cmd.Flags().BoolVar(&gone, "gone", false, "OLD is gone for good and can't hand over")
	return cmd
}

func (a *app) setWeight() *cobra.Command {
	return &cobra.Command{
		Use:   "set-weight NAME WEIGHT",
		Short: "Stage another weight of a member",
		Long: `set-weight stages the share of slots that a member has, relative to the weights of
the others. Once a member has joined, its --weight counts no more, and this does.`,
		Example:           `  ringctl set-weight node2 200`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: a.completeMembers(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := strconv.ParseUint(args[1], 10, 32)
			if err != nil {
				return exit.Usagef("WEIGHT %q: use a whole number from 1", args[1])
			}
			weight := uint32(n)
			return a.stage(cmd, &ringdv1.MemberChange{Member: args[0], Weight: &weight})
		},
	}
}

func (a *app) setZone() *cobra.Command {
	return &cobra.Command{
		Use:   "set-zone NAME ZONE",
		Short: "Stage another zone of a member",
		Long: `set-zone stages the failure zone of a member, such as a rack or a site: the owners
of a partition are in as many zones as there are. Once a member has joined, its
--zone counts no more, and this does. An empty ZONE is none.`,
		Example: `  ringctl set-zone node2 rack7
  ringctl set-zone node2 ""`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: a.completeMembers(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.stage(cmd, &ringdv1.MemberChange{Member: args[0], Zone: &args[1]})
		},
	}
}

func (a *app) stage(cmd *cobra.Command, changes ...*ringdv1.MemberChange) error {
	return a.admin(cmd, func(ctx context.Context, admin ringdv1.AdminClient) error {
		r, err := admin.StageChange(ctx, &ringdv1.StageChangeRequest{Changes: changes})
		if err != nil {
			return err
		}
		if a.json() {
			return printing.Proto(a.Out, r)
		}
		printStaged(a.Out, r.GetStaged())
		fmt.Fprintln(a.Out, `"ringctl plan" shows what that would do, "ringctl commit" does it.`)
		return nil
	})
}

func printStaged(w io.Writer, staged []*ringdv1.MemberChange) {
	for _, c := range staged {
		fmt.Fprintln(w, "staged:", changeText(c))
	}
}

// changeText says a change as the command that stages it.
func changeText(c *ringdv1.MemberChange) string {
	name := printing.Name(c.GetMember())
	var out []string
	switch c.GetAction() {
	case joins:
		out = append(out, "join "+name)
	case leaves:
		out = append(out, "leave "+name)
	case removes:
		out = append(out, "remove "+name)
	}
	if c.Weight != nil {
		out = append(out, fmt.Sprintf("set-weight %s %d", name, c.GetWeight()))
	}
	if c.Zone != nil {
		out = append(out, fmt.Sprintf("set-zone %s %s", name, printing.Name(c.GetZone())))
	}
	return strings.Join(out, ", ")
}

func (a *app) abort() *cobra.Command {
	return &cobra.Command{
		Use:   "abort",
		Short: "Drop all that is staged",
		Long: `abort drops all that is staged and was not committed. Moves under way go on: those
are turned back with "ringctl cancel".`,
		Example:           `  ringctl abort`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.admin(cmd, func(ctx context.Context, admin ringdv1.AdminClient) error {
				r, err := admin.Abort(ctx, &ringdv1.AbortRequest{})
				if err != nil {
					return err
				}
				if a.json() {
					return printing.Proto(a.Out, r)
				}
				_, err = fmt.Fprintln(a.Out, "Dropped what was staged.")
				return err
			})
		},
	}
}

func (a *app) cancel() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel",
		Short: "Turn back moves under way",
		Long: `cancel turns back the moves that have not come to their end. Slots that moved stay
where they are now, the others where they were: the ring is as safe as before. A
member that was leaving and still has slots stays; one that was joining and has got
none has still to join. Rebuilds go on: the former owner of their slots is gone.`,
		Example:           `  ringctl cancel`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.admin(cmd, func(ctx context.Context, admin ringdv1.AdminClient) error {
				r, err := admin.Cancel(ctx, &ringdv1.CancelRequest{})
				if err != nil {
					return err
				}
				if a.json() {
					return printing.Proto(a.Out, r)
				}
				left := ""
				if r.GetLeft() > 0 {
					left = fmt.Sprintf("; %d, rebuilds and what they need, go on", r.GetLeft())
				}
				_, err = fmt.Fprintf(a.Out, "%d moves were turned back%s.\n", r.GetCancelled(), left)
				return err
			})
		},
	}
}

// completeMembers completes the first n arguments, members' names.
func (a *app) completeMembers(n int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= n {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		a.timeout = min(a.timeout, completeTimeout)
		var names []string
		err := a.admin(cmd, func(ctx context.Context, admin ringdv1.AdminClient) error {
			r, err := admin.Members(ctx, &ringdv1.MembersRequest{})
			for _, m := range r.GetMembers() {
				if strings.HasPrefix(m.GetName(), prefix) {
					names = append(names, m.GetName()+"\t"+m.GetState())
				}
			}
			return err
		})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
