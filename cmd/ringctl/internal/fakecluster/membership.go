package fakecluster

import (
	"context"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

// Membership is what members answer about who belongs to the cluster.
type Membership struct {
	// Change, if set, changes what is said of members.
	Change func(all []*ringdv1.Member)
	// Plan, if set, is what a plan says besides what is staged.
	Plan *ringdv1.PlanResponse
	// Moves are what one Status of the first member after the other says, the last
	// for ever; those after a commit begin anew.
	Moves []*ringdv1.Moves
}

// SetMembership sets what members answer.
func (c *Cluster) SetMembership(m Membership) { c.membership.Store(&m) }

// Staged is what is staged now.
func (c *Cluster) Staged() []*ringdv1.MemberChange {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.mu.staged)
}

// Removed are the ids of members that were taken out.
func (c *Cluster) Removed() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.mu.removed)
}

// Commits are the requests that were carried out.
func (c *Cluster) Commits() []*ringdv1.CommitRequest {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.mu.commits)
}

func (c *Cluster) member(nameOrID string) (*ringdv1.Member, error) {
	for _, m := range c.members() {
		if m.Name == nameOrID || m.Id == nameOrID {
			return m, nil
		}
	}
	return nil, statusOf(Refuse(codes.NotFound, "there is no member "+nameOrID))
}

func (a *admin) StageChange(_ context.Context, r *ringdv1.StageChangeRequest) (*ringdv1.StageChangeResponse, error) {
	for _, c := range r.Changes {
		if _, err := a.c.member(c.Member); err != nil {
			return nil, err
		}
		if c.Weight != nil && c.GetWeight() < 1 {
			return nil, statusOf(invalid("weight", "is 0"))
		}
	}
	a.c.mu.Lock()
	defer a.c.mu.Unlock()
	for _, c := range r.Changes {
		a.c.mu.staged = append(a.c.mu.staged, proto.CloneOf(c))
	}
	a.c.mu.revision++
	return &ringdv1.StageChangeResponse{Staged: slices.Clone(a.c.mu.staged)}, nil
}

func (a *admin) Abort(context.Context, *ringdv1.AbortRequest) (*ringdv1.AbortResponse, error) {
	a.c.mu.Lock()
	defer a.c.mu.Unlock()
	if len(a.c.mu.staged) == 0 {
		return nil, statusOf(Refuse(codes.FailedPrecondition, "nothing is staged"))
	}
	a.c.mu.staged = nil
	a.c.mu.revision++
	return &ringdv1.AbortResponse{}, nil
}

// moves is what the next Status says.
func (a *admin) moves() *ringdv1.Moves {
	a.c.mu.Lock()
	defer a.c.mu.Unlock()
	m := a.c.membership.Load()
	if m == nil || len(m.Moves) == 0 {
		return nil
	}
	at := min(a.c.mu.statuses, len(m.Moves)-1)
	if a.self == 0 {
		a.c.mu.statuses++
	}
	return m.Moves[at]
}

func (a *admin) Cancel(context.Context, *ringdv1.CancelRequest) (*ringdv1.CancelResponse, error) {
	now := a.moves()
	if now == nil {
		return nil, statusOf(Refuse(codes.FailedPrecondition, "no move is under way that can be turned back"))
	}
	out := new(ringdv1.CancelResponse)
	for _, m := range now.Active {
		if m.Rebuild {
			out.Left++
		} else {
			out.Cancelled++
		}
	}
	return out, nil
}

func (a *admin) RemoveMember(_ context.Context, r *ringdv1.RemoveMemberRequest) (*ringdv1.RemoveMemberResponse, error) {
	m, err := a.c.member(r.Member)
	if err != nil {
		return nil, err
	}
	if m.Slots > 0 {
		return nil, statusOf(Refuse(codes.FailedPrecondition, "it owns slots"))
	}
	a.c.mu.Lock()
	defer a.c.mu.Unlock()
	a.c.mu.removed = append(a.c.mu.removed, m.Id)
	return &ringdv1.RemoveMemberResponse{}, nil
}
