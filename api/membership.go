package api

import (
	"cmp"
	"context"
	"slices"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// States of a member as clients see them.
const (
	stateNew     = "new"
	stateJoined  = "joined"
	stateLeaving = "leaving"
	stateGone    = "gone"
	// stateJoining, in a plan, is one that is brought in.
	stateJoining = "joining"
)

func stateOfMember(m cluster.Member) string {
	switch {
	case m.Gone:
		return stateGone
	case m.Leaving:
		return stateLeaving
	case m.Placed:
		return stateJoined
	}
	return stateNew
}

// memberOf finds a member by its name or its id.
func memberOf(state *cluster.State, nameOrID string) (cluster.Member, error) {
	if nameOrID == "" {
		return cluster.Member{}, replica.Invalid("member", "name one")
	}
	if m, ok := state.MemberNamed(nameOrID); ok {
		return m, nil
	}
	if id, err := ring.ParseMemberID(nameOrID); err == nil {
		if m, ok := state.Members[id]; ok {
			return m, nil
		}
	}
	return cluster.Member{}, replica.Errorf(replica.KindNotFound, "there is no member %q: ringctl members names those that there are", nameOrID)
}

// StageChange implements ringdv1.AdminServer.
func (s *Admin) StageChange(ctx context.Context, r *ringdv1.StageChangeRequest) (*ringdv1.StageChangeResponse, error) {
	state, err := s.state()
	if err != nil {
		return nil, err
	}
	c := cluster.Stage{Changes: make(map[ring.MemberID]cluster.Change)}
	for _, change := range r.Changes {
		m, err := memberOf(state, change.GetMember())
		if err != nil {
			return nil, statusOf(err)
		}
		if _, twice := c.Changes[m.ID]; twice {
			return nil, statusOf(replica.Invalid("changes", "member %s is named twice", m.Name))
		}
		if c.Changes[m.ID], err = changeFrom(change); err != nil {
			return nil, statusOf(err)
		}
	}
	if err := s.backend.Apply(ctx, cluster.Command{Stage: &c}); err != nil {
		return nil, statusOf(err)
	}
	return &ringdv1.StageChangeResponse{Staged: stagedTo(s.backend.State())}, nil
}

func changeFrom(c *ringdv1.MemberChange) (cluster.Change, error) {
	out := cluster.Change{Zone: c.Zone}
	switch c.GetAction() {
	case ringdv1.MemberChange_ACTION_UNSPECIFIED:
	case ringdv1.MemberChange_JOIN:
		out.Join = true
	case ringdv1.MemberChange_LEAVE:
		out.Leave = true
	case ringdv1.MemberChange_REMOVE:
		out.Remove = true
	default:
		return out, replica.Invalid("action", "is %d: this ringd does not know it", c.GetAction())
	}
	if c.Weight != nil {
		// 0 stands for none in the agreed state.
		if out.Weight = int(c.GetWeight()); out.Weight == 0 {
			return out, replica.Invalid("weight", "is 0: use 1 or more, or let the member leave")
		}
	}
	return out, nil
}

// stagedTo are the staged changes, by the members' names.
func stagedTo(state *cluster.State) []*ringdv1.MemberChange {
	var out []*ringdv1.MemberChange
	for id, c := range state.Staged {
		row := &ringdv1.MemberChange{Member: nameOf(state, id), Zone: c.Zone}
		switch {
		case c.Join:
			row.Action = ringdv1.MemberChange_JOIN
		case c.Leave:
			row.Action = ringdv1.MemberChange_LEAVE
		case c.Remove:
			row.Action = ringdv1.MemberChange_REMOVE
		}
		if c.Weight != 0 {
			weight := uint32(c.Weight)
			row.Weight = &weight
		}
		out = append(out, row)
	}
	slices.SortFunc(out, func(a, b *ringdv1.MemberChange) int { return cmp.Compare(a.Member, b.Member) })
	return out
}

// Abort implements ringdv1.AdminServer.
func (s *Admin) Abort(ctx context.Context, _ *ringdv1.AbortRequest) (*ringdv1.AbortResponse, error) {
	if _, err := s.state(); err != nil {
		return nil, err
	}
	if err := s.backend.Apply(ctx, cluster.Command{Unstage: &cluster.Unstage{}}); err != nil {
		return nil, statusOf(err)
	}
	return &ringdv1.AbortResponse{}, nil
}

// Cancel implements ringdv1.AdminServer.
func (s *Admin) Cancel(ctx context.Context, _ *ringdv1.CancelRequest) (*ringdv1.CancelResponse, error) {
	state, err := s.state()
	if err != nil {
		return nil, err
	}
	if err := s.backend.Apply(ctx, cluster.Command{CancelMoves: &cluster.CancelMoves{}}); err != nil {
		return nil, statusOf(err)
	}
	// Those that come to their end at the same time count as turned back: nobody
	// can tell them apart.
	left := len(s.backend.State().Moves)
	return &ringdv1.CancelResponse{Cancelled: uint32(max(0, len(state.Moves)-left)), Left: uint32(left)}, nil
}

// RemoveMember implements ringdv1.AdminServer.
func (s *Admin) RemoveMember(ctx context.Context, r *ringdv1.RemoveMemberRequest) (*ringdv1.RemoveMemberResponse, error) {
	state, err := s.state()
	if err != nil {
		return nil, err
	}
	m, err := memberOf(state, r.Member)
	if err == nil {
		err = s.backend.Apply(ctx, cluster.Command{RemoveMember: &cluster.RemoveMember{ID: m.ID}})
	}
	if err != nil {
		return nil, statusOf(err)
	}
	return &ringdv1.RemoveMemberResponse{}, nil
}

// movesTo is nil if no move is under way.
func movesTo(state *cluster.State) *ringdv1.Moves {
	if len(state.Moves) == 0 {
		return nil
	}
	out := &ringdv1.Moves{Total: uint32(state.MovesTotal), Done: uint32(state.MovesTotal - len(state.Moves))}
	for _, m := range state.Active() {
		out.Active = append(out.Active, &ringdv1.Move{
			Number: m.Number, Partition: uint32(m.Partition), Slot: uint32(m.Slot),
			From: nameOf(state, m.From), To: nameOf(state, m.To), Rebuild: m.Rebuild,
		})
	}
	return out
}
