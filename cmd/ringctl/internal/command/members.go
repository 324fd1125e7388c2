package command

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
	"github.com/ringd/ringd/cmd/ringctl/internal/progress"
)

func (a *app) members() *cobra.Command {
	return &cobra.Command{
		Use:   "members",
		Short: "List the members with their ids and addresses",
		Long: `members lists the members with their ids and all their addresses, and how often
each was started. "status" shows their slots.`,
		Example: `  ringctl members
  ringctl members -o json`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.admin(cmd, func(ctx context.Context, admin ringdv1.AdminClient) error {
				r, err := admin.Members(ctx, &ringdv1.MembersRequest{})
				if err != nil {
					return err
				}
				if a.json() {
					return printing.Proto(a.Out, r)
				}
				var rows [][]string
				for _, m := range r.GetMembers() {
					rows = append(rows, []string{
						printing.Name(m.GetName()), m.GetId(), m.GetGrpcAddress(), m.GetGossipAddress(), m.GetHttpAddress(),
						m.GetRole(), liveness(m.GetLiveness()), strconv.FormatUint(m.GetStartCount(), 10),
					})
				}
				printing.Table(a.Out, []string{"name", "id", "grpc", "gossip", "http", "role", "liveness", "starts>"}, rows)
				return nil
			})
		},
	}
}

// printMembers writes the members with what they hold.
func (a *app) printMembers(all []*ringdv1.Member) {
	var rows [][]string
	for _, m := range all {
		rows = append(rows, []string{
			printing.Name(m.GetName()), m.GetGrpcAddress(), liveness(m.GetLiveness()), m.GetRaft(), m.GetZone(),
			number(m.GetWeight()), number(m.GetSlots()), number(m.GetFirstSlots()), number(m.GetWireVersion()), diskFree(m.GetDisk()),
		})
	}
	printing.Table(a.Out, []string{"name", "address", "liveness", "raft", "zone", "weight>", "slots>", "first slots>", "wire>", "disk free>"}, rows)
}

func number(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// diskFree is what is left of a member's disk; a member that was not asked has
// not said so.
func diskFree(d *ringdv1.Disk) string {
	switch {
	case d == nil:
		return "?"
	case d.GetState() == "full":
		return "full: " + progress.Bytes(int64(d.GetFreeBytes()))
	}
	return progress.Bytes(int64(d.GetFreeBytes()))
}
