package command

import (
	"context"
	"fmt"
	"strings"
	"testing"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/fakecluster"
)

func row(i int, now, next, firstNow, firstNext uint32, state string) *ringdv1.PlanResponse_Row {
	return &ringdv1.PlanResponse_Row{
		MemberId: fmt.Sprintf("00000000-0000-0000-0000-%012d", i+1), Name: fmt.Sprintf("node%d", i), SlotsNow: now, SlotsNext: next,
		FirstSlotsNow: firstNow, FirstSlotsNext: firstNext, Zone: "z1", Weight: 1, State: state,
	}
}

// replacing is the plan of node1 in the place of node0, whose state was lost.
func replacing() *ringdv1.PlanResponse {
	return &ringdv1.PlanResponse{
		Rows:  []*ringdv1.PlanResponse_Row{row(0, 8, 0, 3, 0, "gone"), row(1, 0, 8, 0, 3, "joining"), row(2, 8, 8, 5, 5, "joined")},
		Moves: 9, Least: 8, Rebuilds: 8, ZonesNow: 2, ZonesNext: 2,
		Notes: []string{"a note"}, Warnings: []string{"member node0 is up"},
	}
}

func TestStaging(t *testing.T) {
	s := start(t)
	for _, args := range []string{"join node2", "leave node1", "replace node0 node1", "replace node0 node1 --gone", "set-weight node2 200", "set-zone node2 rack", "remove node0"} {
		out := s.ok(strings.Fields(args)...)
		if !strings.Contains(out, "staged: ") || !strings.Contains(out, "ringctl plan") {
			t.Errorf("ringctl %s:\n%s", args, out)
		}
	}
	s.ok("set-zone", "node1", "")
	var got []string
	for _, c := range s.cluster.Staged() {
		got = append(got, changeText(c))
	}
	want := `join node2; leave node1; leave node0; join node1; remove node0; join node1; set-weight node2 200; set-zone node2 rack; remove node0; set-zone node1 ""`
	if all := strings.Join(got, "; "); all != want {
		t.Errorf("staged\n%s\nwant\n%s", all, want)
	}
	if doc := parse(t, s.ok("join", "node1", "-o", "json")); len(doc["staged"].([]any)) != 11 {
		t.Errorf("it printed %v", doc)
	}
	if out := s.ok("abort"); !strings.Contains(out, "Dropped") || len(s.cluster.Staged()) != 0 {
		t.Errorf("abort:\n%s", out)
	}
	s.fails(exit.Precondition, "nothing is staged", "abort")
	s.fails(exit.NotFound, "no member", "join", "nobody")
	s.fails(exit.NotFound, "no member", "remove", "nobody")
	s.fails(exit.Usage, "weight", "set-weight", "node1", "0")
	s.fails(exit.Usage, "whole number", "set-weight", "node1", "heavy")
	s.fails(exit.Usage, "accepts 2 arg(s)", "replace", "node1")
	if out := s.ok("__complete", "replace", "node0", "node"); !strings.HasPrefix(out, "node0\tjoined\n") {
		t.Errorf("completing:\n%s", out)
	}
}

func TestRemoveAtOnce(t *testing.T) {
	s := start(t)
	s.cluster.SetMembership(fakecluster.Membership{Change: func(all []*ringdv1.Member) {
		all[1].Role = "gateway"
		all[1].Slots = 0
		all[2].State, all[2].Slots = "new", 0
	}})
	if out := s.ok("remove", "node1"); !strings.Contains(out, "Removed node1") {
		t.Errorf("a gateway:\n%s", out)
	}
	s.ok("remove", "node2")
	if got := len(s.cluster.Removed()); got != 2 || len(s.cluster.Staged()) != 0 {
		t.Errorf("%d were removed, staged %v", got, s.cluster.Staged())
	}
	s.cluster.SetRepairs(fakecluster.Repairs{Transfers: moving})
	s.fails(exit.Precondition, "keeps 1500 writes for others", "remove", "node2")
	if got := len(s.cluster.Removed()); got != 2 {
		t.Error("it was removed with what it keeps")
	}
	s.cluster.SetMembership(fakecluster.Membership{Change: func(all []*ringdv1.Member) { all[2].State, all[2].Slots = "leaving", 0 }})
	s.ok("remove", "node2")
	if len(s.cluster.Staged()) != 1 {
		t.Error("one that is leaving was taken out at once")
	}
}

func TestPlanOfChanges(t *testing.T) {
	s := start(t)
	s.cluster.SetMembership(fakecluster.Membership{Plan: replacing()})
	s.ok("replace", "node0", "node1", "--gone")
	golden(t, "plan.txt", s.ok("plan"))
	doc := parse(t, s.ok("plan", "-o", "json"))
	if rows := doc["rows"].([]any); rows[0].(map[string]any)["bytes_next"] != "0" || rows[1].(map[string]any)["bytes_next"] != "2000000000" {
		t.Errorf("as JSON: %v", doc)
	}
	lossy := replacing()
	lossy.DataLoss = "writes of partition 3 may be lost"
	s.cluster.SetMembership(fakecluster.Membership{Plan: lossy})
	s.fails(exit.Precondition, "partition 3 may be lost", "commit", "--yes")
	if len(s.cluster.Commits()) != 0 {
		t.Fatal("it was committed all the same")
	}
	if out := s.ok("commit", "--yes", "--accept-data-loss"); !strings.Contains(out, "It may lose data: writes") || !strings.Contains(out, "9 moves begin") {
		t.Errorf("commit --accept-data-loss:\n%s", out)
	}
	if c := s.cluster.Commits()[0]; !c.AcceptDataLoss || c.GetRevision() != 1 {
		t.Errorf("what was committed: %v", c)
	}
}

func TestEstimate(t *testing.T) {
	rows := []*ringdv1.PlanResponse_Row{row(0, 10, 0, 0, 0, ""), row(1, 10, 15, 0, 0, ""), row(2, 10, 5, 0, 0, ""), row(3, 0, 10, 0, 0, ""), row(4, 4, 4, 0, 0, "")}
	estimate(rows, map[string]uint64{rows[0].MemberId: 1000, rows[1].MemberId: 2000, rows[2].MemberId: 300})
	var got []string
	for _, r := range rows {
		got = append(got, fmt.Sprintf("%d>%d", r.BytesNow, r.BytesNext))
	}
	if all := strings.Join(got, " "); all != "1000>0 2000>2550 300>0 0>1100 0>0" {
		t.Errorf("bytes %s", all)
	}
	first := []*ringdv1.PlanResponse_Row{row(0, 0, 16, 0, 0, "")}
	if estimate(first, map[string]uint64{first[0].MemberId: 3000}); first[0].BytesNext != 3000 {
		t.Errorf("before there are owners: %v", first)
	}
}

// TestWait: until no move is under way, whatever members answer meanwhile.
func TestWait(t *testing.T) {
	some := []*ringdv1.Moves{
		{Total: 9, Done: 0, Active: []*ringdv1.Move{{Number: 1, Partition: 3, From: "node0", To: "node1"}}},
		{Total: 9, Done: 8, Active: []*ringdv1.Move{{Number: 9, Partition: 4, From: "node0", To: "node1", Rebuild: true}}},
		nil,
	}
	s := start(t)
	s.cluster.SetMembership(fakecluster.Membership{Plan: replacing(), Moves: some})
	s.ok("replace", "node0", "node1")
	code, out, errOut := s.run("commit", "--yes", "--wait", "--every", "1ms")
	if code != exit.OK || !strings.Contains(out, "No move is under way any more.") || !strings.Contains(errOut, "moves: 0 of 9 done, 1 under way\n") {
		t.Errorf("exit code %d\n%s%s", code, out, errOut)
	}
	s.fails(exit.Usage, "above 0", "commit", "--wait", "--every", "0s")

	s = start(t)
	s.cluster.SetMembership(fakecluster.Membership{Plan: replacing(), Moves: some})
	s.ok("replace", "node0", "node1")
	if doc := parse(t, s.ok("commit", "--yes", "--wait", "--every", "1ms", "-o", "json")); doc["moves"] != 9.0 {
		t.Errorf("as JSON: %v", doc)
	}

	// On a terminal, with what members send each other, until it is interrupted.
	s = start(t)
	s.cluster.SetMembership(fakecluster.Membership{Plan: &ringdv1.PlanResponse{}, Moves: some[:1]})
	s.cluster.SetRepairs(fakecluster.Repairs{Transfers: moving})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	shown := newSignal("moves: 0 of 9 done, 1 under way; 9 transfers")
	s.errTerminal, s.errOut = true, shown
	go func() {
		<-shown.seen
		cancel()
	}()
	if code, out, _ := s.runContext(ctx, "commit", "--wait", "--every", "10ms"); code != exit.Failed || !strings.Contains(out, "Nothing to commit.") || !strings.Contains(shown.String(), "the moves go on") {
		t.Errorf("exit code %d\n%s%s", code, out, shown.String())
	}
}

func TestStatusOfMoves(t *testing.T) {
	s := start(t)
	moves := &ringdv1.Moves{Total: 40, Done: 25}
	for i := range 12 {
		moves.Active = append(moves.Active, &ringdv1.Move{Number: uint64(26 + i), Partition: uint32(i), Slot: 1, From: "node0", To: "node1", Rebuild: i == 1})
	}
	s.cluster.SetMembership(fakecluster.Membership{Moves: []*ringdv1.Moves{moves}, Change: func(all []*ringdv1.Member) { all[0].State = "leaving" }})
	out := s.ok("status")
	for _, has := range []string{"leaving", "moves       25 of 40 done, 12 under way", "rebuild", "node0 > node1", "and 2 more under way"} {
		if !strings.Contains(out, has) {
			t.Errorf("no %q in\n%s", has, out)
		}
	}
	if out := s.ok("cancel"); !strings.Contains(out, "11 moves were turned back; 1, rebuilds and what they need, go on.") {
		t.Errorf("cancel:\n%s", out)
	}
	if doc := parse(t, s.ok("cancel", "-o", "json")); doc["cancelled"] != 11.0 {
		t.Errorf("as JSON: %v", doc)
	}
	s.cluster.SetMembership(fakecluster.Membership{})
	s.fails(exit.Precondition, "no move is under way", "cancel")
}
