package api

import (
	"context"
	"fmt"
	"slices"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/ring"
)

// Plan implements ringdv1.AdminServer.
func (s *Admin) Plan(context.Context, *ringdv1.PlanRequest) (*ringdv1.PlanResponse, error) {
	if _, err := s.state(); err != nil {
		return nil, err
	}
	state, placement, err := s.backend.Plan()
	out := &ringdv1.PlanResponse{
		Epoch: epochTo(state.Ring.Epoch()), Revision: state.Revision, Staged: stagedTo(state),
		Moves: uint32(len(placement.Moves)), Least: uint32(placement.Least), Notes: named(state, placement.Notes...),
		ZonesNow: uint32(placement.ZonesBefore), ZonesNext: uint32(placement.ZonesAfter),
	}
	if err != nil {
		out.Blocked = named(state, err.Error())[0]
		placement = ring.Placement{Slots: state.Target()}
	} else {
		tryCommit(state, placement, out)
	}
	planned, err := state.Planned()
	if err != nil {
		return nil, statusOf(err)
	}
	out.Rows = s.planRows(state, planned, placement)
	out.Warnings = planWarnings(state, planned, placement, s.backend.Liveness())
	return out, nil
}

// tryCommit says what would come of the commit.
func tryCommit(state *cluster.State, placement ring.Placement, out *ringdv1.PlanResponse) {
	try := func(accept bool) (*cluster.State, error) {
		c := state.CommitOf(placement, accept)
		return state.Apply(cluster.Command{CommitPlan: &c})
	}
	next, err := try(false)
	if err != nil {
		accepted, stillErr := try(true)
		if stillErr != nil {
			out.Blocked = named(state, stillErr.Error())[0]
			return
		}
		next, out.DataLoss = accepted, named(state, err.Error())[0]
	}
	for _, m := range next.Moves {
		if m.Rebuild && m.Number > state.LastMove {
			out.Rebuilds++
		}
	}
}

func (s *Admin) planRows(state, planned *cluster.State, placement ring.Placement) []*ringdv1.PlanResponse_Row {
	next := make(map[string]*ringdv1.PlanResponse_Row)
	var out []*ringdv1.PlanResponse_Row
	for _, m := range s.members(state) {
		row := &ringdv1.PlanResponse_Row{MemberId: m.Id, Name: m.Name, SlotsNow: m.Slots, FirstSlotsNow: m.FirstSlots}
		id, _ := ring.ParseMemberID(m.Id)
		to := planned.Members[id]
		row.Zone, row.Weight, row.State = to.Zone, uint32(to.Weight), stateOfMember(to)
		if row.State == stateJoined && !state.Members[id].Placed {
			row.State = stateJoining
		}
		next[m.Id] = row
		out = append(out, row)
	}
	for _, owners := range placement.Slots {
		for slot, id := range owners {
			row := next[id.String()]
			if row == nil {
				continue
			}
			row.SlotsNext++
			if slot == 0 {
				row.FirstSlotsNext++
			}
		}
	}
	return out
}

// planWarnings are what a person should know before committing.
func planWarnings(state, planned *cluster.State, placement ring.Placement, alive map[ring.MemberID]cluster.Liveness) []string {
	var out []string
	up := func(id ring.MemberID) bool { return alive[id] == cluster.Alive }
	if n := len(state.Moves); n > 0 {
		out = append(out, fmt.Sprintf("%d moves are under way: what is planned begins where they end", n))
	}
	gets, gives := make(map[ring.MemberID]bool), make(map[ring.MemberID]bool)
	for _, m := range placement.Moves {
		gets[m.To], gives[m.From] = true, true
	}
	rows := make([]cluster.Member, 0, len(planned.Members))
	for _, m := range planned.Members {
		rows = append(rows, m)
	}
	slices.SortFunc(rows, func(a, b cluster.Member) int { return a.ID.Compare(b.ID) })
	for _, m := range rows {
		switch before := state.Members[m.ID]; {
		case m.Gone && !before.Gone && up(m.ID):
			out = append(out, fmt.Sprintf("member %s is up: as one that leaves it would hand over what it has, removed it is shut out and others rebuild its slots", m.Name))
		case m.Gone || up(m.ID):
		case gets[m.ID]:
			out = append(out, fmt.Sprintf("member %s is to get slots, and is not seen: its moves wait for it", m.Name))
		case gives[m.ID]:
			out = append(out, fmt.Sprintf("member %s is to hand over slots, and is not seen: its moves wait for it; if it is gone for good, ringctl remove %s", m.Name, m.Name))
		}
	}
	if n := fewOwnersUp(state.Ring, up); n > 0 {
		out = append(out, fmt.Sprintf("%d partitions have fewer than %d owners that are up", n, state.Ring.Replicas()))
	}
	if len(placement.Moves) == 0 {
		return out
	}
	few := 0
	for _, owners := range placement.Slots {
		if slices.ContainsFunc(owners, func(id ring.MemberID) bool { return !up(id) }) {
			few++
		}
	}
	if few > 0 {
		out = append(out, fmt.Sprintf("%d partitions would have fewer than %d owners that are up", few, state.Ring.Replicas()))
	}
	return out
}

func fewOwnersUp(r *ring.Ring, up func(ring.MemberID) bool) int {
	n := 0
	for p := range r.Partitions() {
		if slices.ContainsFunc(r.Owners(ring.PartitionID(p)), func(id ring.MemberID) bool { return !up(id) }) {
			n++
		}
	}
	return n
}

// Commit implements ringdv1.AdminServer.
func (s *Admin) Commit(ctx context.Context, r *ringdv1.CommitRequest) (*ringdv1.CommitResponse, error) {
	state, err := s.state()
	if err != nil {
		return nil, err
	}
	revision := state.Revision
	if r.Revision != nil { // earlier clients name the epoch only
		revision = r.GetRevision()
	}
	epoch := ring.Epoch{Generation: r.GetEpoch().GetGeneration(), Number: r.GetEpoch().GetNumber()}
	changed, err := s.backend.Commit(ctx, epoch, revision, r.AcceptDataLoss)
	if err != nil {
		return nil, statusOf(err)
	}
	now := s.backend.State()
	out := &ringdv1.CommitResponse{Epoch: epochTo(now.Ring.Epoch()), Changed: changed}
	if changed {
		out.Moves = uint32(now.LastMove - state.LastMove)
	}
	return out, nil
}
