package command

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
)

func (a *app) status() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the cluster as one member sees it, and how all are",
		Long: `status shows the cluster as the member asked sees it: the epoch of its ring, the
leader that agrees on changes, the version of the protocol between members ("wire")
that all of them speak, every member with its state and its slots (how many copies
of partitions it holds) and first slots (for how many it is asked first), moves
under way, and warnings that a person should see. The other members that are up are
asked for their disks and warnings, too.

Slots are a share of partitions times replicas, first slots a share of
partitions. Members without slots take requests and pass them on. States are "new"
(no commit has brought it in yet), "joined", "leaving" (its slots move away) and
"gone" (others rebuild its slots).`,
		Example: `  ringctl status
  ringctl status --addr 10.0.0.2:7600
  ringctl status -o json`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			c, err := a.connect(ctx)
			if err != nil {
				return err
			}
			defer c.Close()
			s, err := c.Admin().Status(ctx, &ringdv1.StatusRequest{})
			if err != nil {
				return err
			}
			askOthers(ctx, c, s)
			if a.json() {
				return printing.Proto(a.Out, s)
			}
			a.printStatus(s)
			return nil
		},
	}
}

// askOthers adds to s what other members say of themselves, and warn of.
func askOthers(ctx context.Context, c *client.Client, s *ringdv1.StatusResponse) {
	others := make([]*ringdv1.StatusResponse, len(s.GetMembers()))
	errs := make([]error, len(others))
	var asked sync.WaitGroup
	for i, m := range s.GetMembers() {
		switch {
		case m.GetId() == s.GetSelf().GetId():
			m.Disk = s.GetSelf().GetDisk()
		case m.GetLiveness() == ringdv1.Member_ALIVE: // of others there is a warning
			asked.Go(func() { others[i], errs[i] = c.AdminOf(m.GetId()).Status(ctx, &ringdv1.StatusRequest{}) })
		}
	}
	asked.Wait()
	for i, m := range s.GetMembers() {
		if errs[i] != nil {
			s.Warnings = append(s.Warnings, fmt.Sprintf("member %s could not be asked from here: %s", m.GetName(), reason(errs[i])))
		}
		if others[i] == nil {
			continue
		}
		m.Disk = others[i].GetSelf().GetDisk()
		for _, w := range others[i].GetWarnings() {
			if !slices.Contains(s.Warnings, w) {
				s.Warnings = append(s.Warnings, fmt.Sprintf("%s says: %s", m.GetName(), w))
			}
		}
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
		{"wire", fmt.Sprintf("version %d%s", s.GetWireVersion(), highestWire(s))},
		{"partitions", fmt.Sprintf("%d, %d replicas%s", s.GetPartitions(), s.GetReplicas(), owners)},
	} {
		fmt.Fprintf(a.Out, "%-11s %s\n", row[0], row[1])
	}
	fmt.Fprintf(a.Out, "%-11s %s\n", "members", summary(s.GetMembers()))
	a.printMembers(s.GetMembers())
	if s.GetMoves().GetTotal() > 0 {
		fmt.Fprintf(a.Out, "%-11s %s\n", "moves", movesText(s.GetMoves()))
		a.printMoves(s.GetMoves())
	}
	for _, w := range s.GetWarnings() {
		fmt.Fprintln(a.Out, "warning:", w)
	}
}

// highestWire tells of members that could speak more than all do.
func highestWire(s *ringdv1.StatusResponse) string {
	highest := uint32(0)
	for _, m := range s.GetMembers() {
		highest = max(highest, m.GetWireVersion())
	}
	if highest <= s.GetWireVersion() {
		return ""
	}
	return fmt.Sprintf(", up to %d once all members speak it", highest)
}

// epoch is generation.number, and behind a slash the branch that a recovery gave the
// upper bits of the number.
func epoch(e *ringdv1.Epoch) string {
	number, branch := e.GetNumber()&0xffffffff, e.GetNumber()>>32
	if branch > 0 {
		return fmt.Sprintf("%d.%d/%05x", e.GetGeneration(), number, branch)
	}
	return fmt.Sprintf("%d.%d", e.GetGeneration(), number)
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
