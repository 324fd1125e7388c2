package cluster

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// mustAgree has commands agreed on, through h.
func mustAgree(t *testing.T, h *host, cs ...Command) {
	t.Helper()
	for _, c := range cs {
		// While a leader gives way to another, a command's fate is not known; none
		// of those here does harm if it is tried again.
		for ctx := within(t); ; {
			err := h.node.Apply(ctx, c)
			if err == nil {
				break
			}
			if replica.KindOf(err) != replica.KindUnknown || !sleep(ctx, retryEvery) {
				t.Fatal(err)
			}
		}
	}
}

// owned has members that all vote, of which the first three own all slots.
func owned(t *testing.T, f *fakeNet, n int) []*host {
	t.Helper()
	hosts := newCluster(t, f, n)
	s := hosts[0].node.State()
	c := CommitPlan{Epoch: s.Ring.Epoch(), Revision: s.Revision}
	for range s.Ring.Partitions() {
		c.Slots = append(c.Slots, []ring.MemberID{hosts[0].node.ID(), hosts[1].node.ID(), hosts[2].node.ID()})
	}
	mustAgree(t, hosts[0], Command{CommitPlan: &c})
	return hosts
}

// handOver has one change staged and committed, and a member's slots moved to
// another, as far as the state goes.
func handOver(t *testing.T, h *host, change Change, from, to ring.MemberID) {
	t.Helper()
	mustAgree(t, h, Command{Stage: &Stage{map[ring.MemberID]Change{from: change}}})
	s := h.node.State()
	var moves []PlannedMove
	for p := range s.Ring.Partitions() {
		if slot, ok := s.Ring.SlotOf(ring.PartitionID(p), from); ok {
			moves = append(moves, PlannedMove{ring.PartitionID(p), slot, from, to})
		}
	}
	mustAgree(t, h, movesOf(s, false, moves...))
	var numbers []uint64
	for _, m := range h.node.State().Moves {
		numbers = append(numbers, m.Number)
	}
	mustAgree(t, h, finish(numbers...))
}

func leaderOf(t *testing.T, hosts []*host) *host {
	t.Helper()
	for _, h := range hosts {
		if id, ok := h.node.leads(); ok && id == h.node.ID() {
			return h
		}
	}
	t.Fatal("no member leads")
	return nil
}

func rolesAre(h *host, what string, ok func(map[ring.MemberID]string) bool) {
	h.t.Helper()
	h.until(what, func() bool { return ok(h.node.Roles()) })
}

// TestLeaderLeaves: it keeps its vote until it is out, leaves the lead to another,
// which takes it out of the log, and ends saying that it left.
func TestLeaderLeaves(t *testing.T) {
	t.Parallel()
	hosts := owned(t, newFakeNet(), 4)
	leader := leaderOf(t, hosts)
	id := leader.node.ID()
	other := follower(t, hosts)
	if !slices.Contains(leader.node.State().Ring.Members(), id) {
		t.Fatal("the leader owns nothing to give away")
	}
	handOver(t, leader, Change{Leave: true}, id, hosts[3].node.ID())
	if got := leader.node.Roles()[id]; got != "leader" {
		t.Errorf("a leader that is leaving is a %s", got)
	}
	mustAgree(t, leader, Command{RemoveMember: &RemoveMember{id}})
	select {
	case err := <-leader.node.Failed():
		if !errors.Is(err, ErrLeft) {
			t.Errorf("it ended with %v", err)
		}
	case <-within(t).Done():
		t.Fatalf("it does not end; roles %v", leader.node.Roles())
	}
	rolesAre(other, "the one that left is out of the log", func(roles map[ring.MemberID]string) bool {
		_, in := roles[id]
		return !in && len(roles) == 3
	})
	leader.stop()
	mustSay(t, leader.try(), "left this cluster", "another name")
	bt := replica.NewBucketType("after", 1)
	mustAgree(t, other, Command{CreateBucketType: &bt})
}

// TestGoneMemberHasNoVote: of three voters one is lost and given up, and then
// another is lost: the two that are left, one of them new, are a majority.
func TestGoneMemberHasNoVote(t *testing.T) {
	t.Parallel()
	f := newFakeNet()
	hosts := owned(t, f, 3)
	gone := follower(t, hosts)
	id := gone.node.ID()
	gone.stop()
	var left []*host
	for _, h := range hosts {
		if h != gone {
			left = append(left, h)
		}
	}
	fresh := newHost(t, f, "fresh")
	fresh.start(joining(left[0].addr))
	fresh.started()
	mustAgree(t, left[0], Command{Stage: &Stage{map[ring.MemberID]Change{fresh.node.ID(): {Join: true}}}})
	handOver(t, left[0], Change{Remove: true}, id, fresh.node.ID())
	if s := left[0].node.State(); !s.Removed[id] || s.Left[id] {
		t.Errorf("removed %v, left %v", s.Removed, s.Left)
	}
	rolesAre(left[0], "the new one votes in the place of the one that is gone", func(roles map[ring.MemberID]string) bool {
		_, in := roles[id]
		return !in && roles[fresh.node.ID()] == "voter"
	})
	left[1].stop()
	bt := replica.NewBucketType("after", 1)
	mustAgree(t, fresh, Command{CreateBucketType: &bt})
	mustSay(t, gone.try(joining(fresh.addr)), "was removed", "another name")
}

// TestGivenUpThoughAlive: it is told, and ends.
func TestGivenUpThoughAlive(t *testing.T) {
	t.Parallel()
	f := newFakeNet()
	hosts := owned(t, f, 4)
	var h *host
	for _, m := range hosts[:3] {
		if id, _ := m.node.leads(); id != m.node.ID() {
			h = m
		}
	}
	id := h.node.ID()
	mustAgree(t, hosts[3], Command{Stage: &Stage{map[ring.MemberID]Change{id: {Remove: true}}}})
	s := hosts[3].node.State()
	var moves []PlannedMove
	for p := range s.Ring.Partitions() {
		slot, _ := s.Ring.SlotOf(ring.PartitionID(p), id)
		moves = append(moves, PlannedMove{ring.PartitionID(p), slot, id, hosts[3].node.ID()})
	}
	mustAgree(t, hosts[3], movesOf(s, false, moves...))
	// Its slots are not rebuilt yet: it is out all the same.
	a, err := h.node.ask(within(t), hosts[3].addr, callState, question{})
	mustSay(t, err, "was removed")
	if a.State != nil {
		t.Error("it is still told the state")
	}
	select {
	case err := <-h.node.Failed():
		if !errors.Is(err, ErrRemoved) {
			t.Errorf("it ended with %v", err)
		}
	case <-within(t).Done():
		t.Fatal("it does not end")
	}
	rolesAre(hosts[3], "it is out of the log", func(roles map[ring.MemberID]string) bool {
		_, in := roles[id]
		return !in && len(roles) == 3
	})
}

// TestFlagsThatDontCount: once a member has slots, a start with another weight or
// zone changes nothing, and says so.
func TestFlagsThatDontCount(t *testing.T) {
	t.Parallel()
	hosts := owned(t, newFakeNet(), 3)
	h := hosts[2]
	h.stop()
	var log bytes.Buffer
	h.start(func(c *Config) {
		c.Weight, c.Zone = 7, "east"
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	h.started()
	id := h.node.ID()
	if m := h.node.State().Members[id]; m.Weight != 1 || m.Zone != "" {
		t.Errorf("it is %+v", m)
	}
	h.stop()
	if !strings.Contains(log.String(), "ringctl set-zone "+h.name) {
		t.Errorf("it was not said:\n%s", log.String())
	}
}
