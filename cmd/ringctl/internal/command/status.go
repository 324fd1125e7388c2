package command

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
)

func (a *app) status() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the cluster as one member sees it",
		Long: `status shows the cluster as the member asked sees it: the epoch of its ring, the
leader that agrees on changes, every member with its slots (how many copies of
partitions it holds) and first slots (for how many it is asked first), and
warnings that a person should see.

Slots are a share of partitions times replicas, first slots a share of
partitions. Members without slots take requests and pass them on.`,
		Example: `  ringctl status
  ringctl status --addr 10.0.0.2:7600
  ringctl status -o json`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.admin(cmd, func(ctx context.Context, admin ringdv1.AdminClient) error {
				s, err := admin.Status(ctx, &ringdv1.StatusRequest{})
				if err != nil {
					return err
				}
				if a.json() {
					return printing.Proto(a.Out, s)
				}
				a.printStatus(s)
				return nil
			})
		},
	}
}

func (a *app) printStatus(s *ringdv1.StatusResponse) {
	leader := s.GetLeader()
	if leader == "" {
		leader = "none known: members and bucket types can't be changed, data is served"
	}
	owners := ""
	if !s.GetHasOwners() {
		owners = ", without owners: nothing can be stored before \"ringctl commit\""
	}
	self := s.GetSelf()
	for _, row := range [][2]string{
		{"cluster", s.GetClusterId()},
		{"asked", fmt.Sprintf("%s at %s, version %s, up %v", printing.Name(self.GetName()), self.GetGrpcAddress(), s.GetVersion(), time.Duration(s.GetUptimeSeconds())*time.Second)},
		{"epoch", epoch(s.GetEpoch())},
		{"leader", leader},
		{"partitions", fmt.Sprintf("%d, %d replicas%s", s.GetPartitions(), s.GetReplicas(), owners)},
	} {
		fmt.Fprintf(a.Out, "%-11s %s\n", row[0], row[1])
	}
	fmt.Fprintf(a.Out, "%-11s %s\n", "members", summary(s.GetMembers()))
	a.printMembers(s.GetMembers())
	for _, w := range s.GetWarnings() {
		fmt.Fprintln(a.Out, "warning:", w)
	}
}

func epoch(e *ringdv1.Epoch) string {
	return fmt.Sprintf("%d.%d", e.GetGeneration(), e.GetNumber())
}

// summary counts members by how they are.
func summary(all []*ringdv1.Member) string {
	n := make(map[ringdv1.Member_Liveness]int)
	for _, m := range all {
		n[m.GetLiveness()]++
	}
	s := fmt.Sprintf("%d: %d alive", len(all), n[ringdv1.Member_ALIVE])
	for _, l := range []ringdv1.Member_Liveness{ringdv1.Member_SUSPECT, ringdv1.Member_DEAD, ringdv1.Member_LIVENESS_UNSPECIFIED} {
		if n[l] > 0 {
			s += fmt.Sprintf(", %d %s", n[l], liveness(l))
		}
	}
	return s
}

func liveness(l ringdv1.Member_Liveness) string {
	switch l {
	case ringdv1.Member_ALIVE:
		return "alive"
	case ringdv1.Member_SUSPECT:
		return "suspect"
	case ringdv1.Member_DEAD:
		return "dead"
	}
	return "unknown"
}
