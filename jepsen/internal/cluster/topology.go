package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

const (
	// askWithin bounds one question to a member: one that is cut off answers nothing.
	askWithin = 3 * time.Second
	// askEvery is the time between two questions.
	askEvery = 100 * time.Millisecond
)

// pause lets time pass between two questions.
func pause(ctx context.Context) error {
	t := time.NewTimer(askEvery)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Wait asks again and again until there is no error, or ctx ends: then it says what
// the last whole answer was.
func Wait(ctx context.Context, what string, ask func(context.Context) error) error {
	last := errors.New("nobody has answered yet")
	for {
		try, stop := context.WithTimeout(ctx, askWithin)
		err := ask(try)
		stop()
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("waiting for %s: %w (%w)", what, last, err)
		}
	}
}

// commitFirst gives the members the partitions, once all are known.
func (c *Cluster) commitFirst(ctx context.Context) error {
	members := c.Members()
	admin := members[0].Admin()
	return Wait(ctx, "all members to be known and the first ring to be committed", func(ctx context.Context) error {
		s, err := admin.Status(ctx, &ringdv1.StatusRequest{})
		if err != nil {
			return err
		}
		if len(s.Members) < len(members) {
			return fmt.Errorf("%d of %d members", len(s.Members), len(members))
		}
		_, err = admin.Commit(ctx, &ringdv1.CommitRequest{Epoch: s.Epoch})
		return err
	})
}

// Change is one that Commit stages.
func Change(m *Member, action ringdv1.MemberChange_Action) *ringdv1.MemberChange {
	return &ringdv1.MemberChange{Member: m.Name, Action: action}
}

// Commit stages changes and carries them out, through any members that can. One
// such commit is made at a time. It returns when the slots begin to move.
func (c *Cluster) Commit(ctx context.Context, rng *rand.Rand, changes ...*ringdv1.MemberChange) error {
	c.changes.Lock()
	defer c.changes.Unlock()
	// What is staged is agreed on: staging it again changes nothing.
	return Wait(ctx, fmt.Sprintf("%v to be committed", changes), func(ctx context.Context) error {
		m, err := c.anyone(rng)
		if err != nil {
			return err
		}
		admin := m.Admin()
		if done, err := carriedOut(ctx, admin, changes); err != nil || done {
			return err
		}
		if _, err := admin.StageChange(ctx, &ringdv1.StageChangeRequest{Changes: changes}); err != nil {
			return fmt.Errorf("staging through %s: %w", m.Name, err)
		}
		plan, err := admin.Plan(ctx, &ringdv1.PlanRequest{})
		if err != nil {
			return err
		}
		if plan.Blocked != "" {
			return fmt.Errorf("%s says that the commit is blocked: %s", m.Name, plan.Blocked)
		}
		if len(plan.Staged) == 0 {
			return fmt.Errorf("%s knows of nothing staged yet", m.Name)
		}
		_, err = admin.Commit(ctx, &ringdv1.CommitRequest{Epoch: plan.Epoch, Revision: &plan.Revision})
		if err != nil {
			return fmt.Errorf("committing through %s: %w", m.Name, err)
		}
		return nil
	})
}

// carriedOut reports whether a commit whose answer was lost was made.
func carriedOut(ctx context.Context, admin ringdv1.AdminClient, changes []*ringdv1.MemberChange) (bool, error) {
	s, err := admin.Status(ctx, &ringdv1.StatusRequest{})
	if err != nil {
		return false, err
	}
	states := make(map[string]string)
	for _, m := range s.Members {
		states[m.Name] = m.State
	}
	for _, ch := range changes {
		state, known := states[ch.Member]
		done := map[ringdv1.MemberChange_Action]bool{
			ringdv1.MemberChange_JOIN:   state == "joined",
			ringdv1.MemberChange_LEAVE:  !known || state == "leaving",
			ringdv1.MemberChange_REMOVE: !known || state == "gone",
		}
		if !done[ch.Action] {
			return false, nil
		}
	}
	return true, nil
}

// Abort drops what is staged, so that the end of the run finds nothing half done.
func (c *Cluster) Abort(ctx context.Context, rng *rand.Rand) error {
	c.changes.Lock()
	defer c.changes.Unlock()
	return Wait(ctx, "what is staged to be dropped", func(ctx context.Context) error {
		m, err := c.anyone(rng)
		if err != nil {
			return err
		}
		plan, err := m.Admin().Plan(ctx, &ringdv1.PlanRequest{})
		if err != nil || len(plan.Staged) == 0 {
			return err
		}
		_, err = m.Admin().Abort(ctx, &ringdv1.AbortRequest{})
		return err
	})
}

// RemoveAtOnce takes out a member that has no slots, without a plan. It is refused, and
// tried again, as long as the member keeps hints.
func (c *Cluster) RemoveAtOnce(ctx context.Context, rng *rand.Rand, m *Member) error {
	asked := false
	return Wait(ctx, m.Name+" to be removed at once", func(ctx context.Context) error {
		by, err := c.anyone(rng)
		if err != nil {
			return err
		}
		if by == m {
			return errors.New("one that goes is not asked")
		}
		if s, err := by.Admin().Status(ctx, &ringdv1.StatusRequest{}); err != nil {
			return err
		} else if asked && !slices.ContainsFunc(s.Members, func(o *ringdv1.Member) bool { return o.Name == m.Name }) {
			return nil // the answer was lost
		}
		asked = true
		_, err = by.Admin().RemoveMember(ctx, &ringdv1.RemoveMemberRequest{Member: m.Name})
		return err
	})
}

// anyone is a member to ask: which one, is chance.
func (c *Cluster) anyone(rng *rand.Rand) (*Member, error) {
	var up []*Member
	for _, m := range c.Members() {
		if m.Running() {
			up = append(up, m)
		}
	}
	if len(up) == 0 {
		return nil, errors.New("no member runs")
	}
	return up[rng.IntN(len(up))], nil
}

// Settled waits until no slot moves any more, as all members that run see it.
func (c *Cluster) Settled(ctx context.Context) error {
	return Wait(ctx, "all moves to be done", func(ctx context.Context) error {
		return c.each(ctx, func(ctx context.Context, m *Member, s *ringdv1.StatusResponse) error {
			if n := len(s.Moves.GetActive()); n > 0 {
				return fmt.Errorf("%s sees %d of %d done", m.Name, s.Moves.GetDone(), s.Moves.GetTotal())
			}
			return nil
		})
	})
}

// each asks all members that run for their status.
func (c *Cluster) each(ctx context.Context, look func(context.Context, *Member, *ringdv1.StatusResponse) error) error {
	for _, m := range c.Members() {
		if !m.Running() {
			continue
		}
		s, err := m.Admin().Status(ctx, &ringdv1.StatusRequest{})
		if err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		if err := look(ctx, m, s); err != nil {
			return err
		}
	}
	return nil
}
