package member

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/ring"
)

// elasticEvery is how often a member looks how far its own joining or leaving is:
// each takes one command or two, and then moves.
const elasticEvery = 250 * time.Millisecond

// elasticTry bounds one attempt to have something agreed on.
const elasticTry = 5 * time.Second

// elasticStep is what a member does next to join or to leave by itself.
type elasticStep uint8

const (
	// elasticWait: nothing, for a reason or because moves are under way.
	elasticWait elasticStep = iota
	elasticStage
	elasticCommit
	// elasticOver: what is wanted has come about.
	elasticOver
)

// nextElastic returns the next step of a member that wants to join or to leave, and
// why it is to wait. It commits only what members staged by themselves: whatever a
// person staged is for a person to commit.
func nextElastic(s *cluster.State, self ring.MemberID, want cluster.Change) (elasticStep, string) {
	m, ok := s.Members[self]
	switch {
	case !ok || m.Gone:
		return elasticOver, ""
	case want.Join && (m.Placed || m.Leaving):
		return elasticOver, ""
	case want.Leave && m.Leaving:
		return elasticWait, ""
	case !s.Ring.HasOwners():
		return elasticWait, "the partitions have no owners yet, and the first plan is for a person: ringctl plan, ringctl commit"
	case !s.Settings.Elastic:
		return elasticWait, fmt.Sprintf("the setting elastic is off: ringctl %s %s, ringctl plan, ringctl commit, or ringctl settings set elastic true", verb(want), m.Name)
	}
	var others []string
	for id, c := range s.Staged {
		if !c.Own {
			others = append(others, s.Members[id].Name)
		}
	}
	if len(others) > 0 {
		slices.Sort(others)
		return elasticWait, fmt.Sprintf("a person has staged changes of %s: ringctl commit, or ringctl abort", strings.Join(others, ", "))
	}
	if staged := s.Staged[self]; (want.Join && staged.Join) || (want.Leave && staged.Leave) {
		return elasticCommit, ""
	}
	if err := possible(s, cluster.Stage{Changes: map[ring.MemberID]cluster.Change{self: want}}); err != nil {
		return elasticWait, err.Error()
	}
	return elasticStage, ""
}

func verb(want cluster.Change) string {
	if want.Leave {
		return "leave"
	}
	return "join"
}

// possible says why a change can't be planned, nil if it can: staged, it would be in
// the way of others.
func possible(s *cluster.State, change cluster.Stage) error {
	next, err := s.Apply(cluster.Command{Stage: &change})
	if err == nil {
		next, err = next.Planned()
	}
	if err == nil {
		_, err = ring.Plan(next.Ring, next.Candidates())
	}
	return err
}

// byItself brings about what this member wants, until it is so or ctx ends. Why it
// has to wait it says once for each reason; it returns the last.
func (m *Member) byItself(ctx context.Context, want cluster.Change) (why string) {
	self, said, begun := m.dir.ID(), "", false
	want.Own = true
	ticker := time.NewTicker(elasticEvery)
	defer ticker.Stop()
	for {
		state := m.node.State()
		leaving := state.Members[self].Leaving
		if begun && !leaving && !state.Removed[self] {
			return "it was turned back: ringctl cancel"
		}
		begun = begun || leaving
		step, wait := nextElastic(state, self, want)
		why = wait
		var err error
		try, cancel := context.WithTimeout(ctx, elasticTry)
		switch step {
		case elasticOver:
			cancel()
			return ""
		case elasticStage:
			err = m.node.Apply(try, cluster.Command{Stage: &cluster.Stage{Changes: map[ring.MemberID]cluster.Change{self: want}}})
		case elasticCommit:
			_, err = m.node.Commit(try, state.Ring.Epoch(), state.Revision, false)
		}
		cancel()
		if err != nil {
			why = err.Error()
		}
		if why != "" && why != said && ctx.Err() == nil {
			m.config.Logger.Info("this member can't "+verb(want)+" by itself yet: it waits", "name", m.config.Name, "reason", why)
			said = why
		}
		if err == nil && step != elasticWait {
			continue
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return why
		}
	}
}

// joinByItself takes a share of the partitions.
func (m *Member) joinByItself(ctx context.Context) {
	m.byItself(ctx, cluster.Change{Join: true})
	if state := m.node.State(); state.Members[m.dir.ID()].Placed {
		m.config.Logger.Info("this member has joined: its share of the partitions is its own, or on its way", "name", m.config.Name, "moves", len(state.Moves))
	}
}

// Drain has the member leave the cluster, and returns nil once it is out. It serves
// meanwhile. An error says what it still has: if it may not leave by itself, at once;
// else once ctx ends or somebody turns it back. A leave that was committed goes on
// after the member's next start.
func (m *Member) Drain(ctx context.Context) error {
	m.endJoining()
	state, want := m.node.State(), cluster.Change{Leave: true}
	_, why := nextElastic(state, m.dir.ID(), want)
	if why == "" || (state.Settings.Elastic && state.Ring.HasOwners()) {
		why = m.byItself(ctx, want)
	}
	state = m.node.State()
	if state.Removed[m.dir.ID()] {
		return nil
	}
	slots := 0
	for p := range state.Ring.Partitions() {
		if slices.Contains(state.Ring.Owners(ring.PartitionID(p)), m.dir.ID()) {
			slots++
		}
	}
	text := fmt.Sprintf("this member has not left: %d slots are still its own", slots)
	switch c, staged := state.Staged[m.dir.ID()]; {
	case state.Members[m.dir.ID()].Leaving:
		text += "; it goes on leaving when it is started again (ringctl cancel keeps it)"
	case staged && c.Leave:
		text += "; that it leaves stays staged (ringctl abort drops it)"
	}
	if why != "" {
		text += ": " + why
	}
	return errors.New(text)
}

// Left reports whether the member is out of the cluster.
func (m *Member) Left() bool { return m.node.State().Removed[m.dir.ID()] }
