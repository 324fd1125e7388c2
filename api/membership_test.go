package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// agreed is a member whose commands are agreed on at once, of a cluster of which a,
// b and c own all slots, and whose plans give what is to be given away to d.
type agreed struct {
	Backend
	state *cluster.State
	dead  map[string]bool
	few   bool // too few members for any plan
}

func idOf(name string) ring.MemberID { return ring.MemberID{15: name[0]} }

func newAgreed(t *testing.T) *agreed {
	t.Helper()
	r, err := ring.New(ring.Config{Seed: 1, Partitions: 8, Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	a := &agreed{dead: make(map[string]bool), state: &cluster.State{
		Format: 3, ClusterID: "c", Version: 1, Secret: make([]byte, 32), Ring: r, Settings: cluster.DefaultSettings(),
		Members:     make(map[ring.MemberID]cluster.Member),
		BucketTypes: map[string]replica.BucketType{"default": replica.NewBucketType("default", 3)},
	}}
	var slots [][]ring.MemberID
	for range r.Partitions() {
		slots = append(slots, []ring.MemberID{idOf("a"), idOf("b"), idOf("c")})
	}
	add := func(name string, role cluster.Role) {
		a.apply(t, cluster.Command{AddMember: &cluster.AddMember{Member: cluster.Member{ID: idOf(name), Name: name, GRPC: "h:1", Weight: 1, Role: role, Wire: 3, Capabilities: cluster.CapabilitiesOf(3)}}})
	}
	for _, name := range []string{"a", "b", "c"} {
		add(name, cluster.RoleStorage)
	}
	a.apply(t, cluster.Command{CommitPlan: &cluster.CommitPlan{Slots: slots}})
	add("d", cluster.RoleStorage)
	add("g", cluster.RoleGateway)
	return a
}

func (a *agreed) apply(t *testing.T, c cluster.Command) {
	t.Helper()
	if err := a.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func (a *agreed) State() *cluster.State { return a.state }

func (a *agreed) Apply(_ context.Context, c cluster.Command) error {
	next, err := a.state.Apply(c)
	a.state = next
	return err
}

func (a *agreed) Liveness() map[ring.MemberID]cluster.Liveness {
	out := make(map[ring.MemberID]cluster.Liveness)
	for id, m := range a.state.Members {
		if !a.dead[m.Name] {
			out[id] = cluster.Alive
		}
	}
	return out
}

func (a *agreed) Roles() map[ring.MemberID]string { return nil }
func (a *agreed) Self() Self                      { return Self{ID: idOf("a"), StartCommitted: true} }
func (a *agreed) Disk() Disk                      { return Disk{} }

func (a *agreed) Plan() (*cluster.State, ring.Placement, error) {
	if a.few {
		return a.state, ring.Placement{}, replica.Errorf(replica.KindPrecondition, "1 more have to join")
	}
	planned, err := a.state.Planned()
	if err != nil {
		return a.state, ring.Placement{}, err
	}
	able := make(map[ring.MemberID]bool)
	for _, m := range planned.Candidates() {
		able[m.ID] = true
	}
	out := ring.Placement{Least: 8, ZonesBefore: 1, ZonesAfter: 2, Notes: []string{"for " + idOf("a").String()}}
	for p := range planned.Ring.Partitions() {
		row := slices.Clone(planned.Ring.Owners(ring.PartitionID(p)))
		for slot, from := range row {
			if !able[from] {
				row[slot] = idOf("d")
				out.Moves = append(out.Moves, ring.Move{Partition: ring.PartitionID(p), Slot: slot, From: from, To: idOf("d")})
			}
		}
		out.Slots = append(out.Slots, row)
	}
	return a.state, out, nil
}

func (a *agreed) Commit(ctx context.Context, epoch ring.Epoch, revision uint64, accept bool) (bool, error) {
	_, p, err := a.Plan()
	if err != nil {
		return false, err
	}
	c := a.state.CommitOf(p, accept)
	c.Epoch, c.Revision = epoch, revision
	return true, a.Apply(ctx, cluster.Command{CommitPlan: &c})
}

func staging(changes ...*ringdv1.MemberChange) *ringdv1.StageChangeRequest {
	return &ringdv1.StageChangeRequest{Changes: changes}
}

func TestReplaceThroughTheAPI(t *testing.T) {
	a := newAgreed(t)
	s, ctx := NewAdmin(a), t.Context()
	staged, err := s.StageChange(ctx, staging(
		&ringdv1.MemberChange{Member: "a", Action: ringdv1.MemberChange_LEAVE},
		&ringdv1.MemberChange{Member: idOf("d").String(), Action: ringdv1.MemberChange_JOIN, Weight: new(uint32(2)), Zone: new("east")},
	))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(staged.Staged); !strings.Contains(got, `member:"a"`) || !strings.Contains(got, `member:"d"`) || !strings.Contains(got, "weight:2") {
		t.Errorf("staged: %s", got)
	}
	a.dead["b"] = true
	p, err := s.Plan(ctx, &ringdv1.PlanRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if p.Moves != 8 || p.Least != 8 || p.Rebuilds != 0 || p.ZonesNow != 1 || p.ZonesNext != 2 || p.Blocked != "" || p.DataLoss != "" || p.Notes[0] != "for a" || p.Revision != 2 {
		t.Errorf("the plan: %v", p)
	}
	if r := p.Rows[0]; r.State != "leaving" || r.SlotsNow != 8 || r.SlotsNext != 0 || r.FirstSlotsNow != 8 {
		t.Errorf("the one that leaves: %v", r)
	}
	if r := p.Rows[3]; r.State != "joining" || r.SlotsNow != 0 || r.SlotsNext != 8 || r.Zone != "east" || r.Weight != 2 {
		t.Errorf("the one that joins: %v", r)
	}
	if got := strings.Join(p.Warnings, "\n"); !strings.Contains(got, "8 partitions have fewer than 3 owners") || !strings.Contains(got, "8 partitions would have") {
		t.Errorf("warnings:\n%s", got)
	}
	a.dead["b"] = false
	r, err := s.Commit(ctx, &ringdv1.CommitRequest{Epoch: p.Epoch, Revision: &p.Revision})
	if err != nil || !r.Changed || r.Moves != 8 {
		t.Fatalf("commit: %v, %v", r, err)
	}
	if _, err := s.Commit(ctx, &ringdv1.CommitRequest{Epoch: p.Epoch, Revision: &p.Revision}); status.Code(err) != codes.Aborted {
		t.Errorf("the same plan again: %v", err)
	}
	a.apply(t, cluster.Command{FinishMoves: &cluster.FinishMoves{Numbers: []uint64{1, 2, 3}}})
	st, err := s.Status(ctx, &ringdv1.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if m := st.Moves; m.Total != 8 || m.Done != 3 || len(m.Active) != 5 || m.Active[0].Number != 4 || m.Active[0].From != "a" || m.Active[0].To != "d" {
		t.Errorf("moves: %v", m)
	}
	if st.Members[0].State != "leaving" || st.Members[3].State != "joined" {
		t.Errorf("members: %v", st.Members)
	}
	c, err := s.Cancel(ctx, &ringdv1.CancelRequest{})
	if err != nil || c.Cancelled != 5 || c.Left != 0 {
		t.Errorf("cancel: %v, %v", c, err)
	}
	if st, err = s.Status(ctx, &ringdv1.StatusRequest{}); err != nil || st.Moves != nil || st.Members[0].State != "joined" {
		t.Errorf("after cancel: %v, %v", st, err)
	}
}

func TestRemoveThroughTheAPI(t *testing.T) {
	a := newAgreed(t)
	s, ctx := NewAdmin(a), t.Context()
	once := replica.NewBucketType("once", 1)
	a.apply(t, cluster.Command{CreateBucketType: &once})
	if _, err := s.StageChange(ctx, staging(
		&ringdv1.MemberChange{Member: "a", Action: ringdv1.MemberChange_REMOVE},
		&ringdv1.MemberChange{Member: "d", Action: ringdv1.MemberChange_JOIN},
	)); err != nil {
		t.Fatal(err)
	}
	p, err := s.Plan(ctx, &ringdv1.PlanRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if p.Blocked != "" || p.Rebuilds != 8 || !strings.Contains(p.DataLoss, "n=1 may be lost with a") || !strings.Contains(fmt.Sprint(p.Warnings), "member a is up") || p.Rows[0].State != "gone" {
		t.Errorf("the plan: %v", p)
	}
	request := &ringdv1.CommitRequest{Epoch: p.Epoch, Revision: &p.Revision}
	if _, err := s.Commit(ctx, request); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("writes that may be lost: %v", err)
	}
	request.AcceptDataLoss = true
	if _, err := s.Commit(ctx, request); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RemoveMember(ctx, &ringdv1.RemoveMemberRequest{Member: "g"}); err != nil {
		t.Errorf("removing a gateway: %v", err)
	}
	if _, err := s.RemoveMember(ctx, &ringdv1.RemoveMemberRequest{Member: "b"}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("removing one with slots: %v", err)
	}
}

func TestMembershipRefuses(t *testing.T) {
	a := newAgreed(t)
	s, ctx := NewAdmin(a), t.Context()
	stage := func(changes ...*ringdv1.MemberChange) func() error {
		return func() error { _, err := s.StageChange(ctx, staging(changes...)); return err }
	}
	for name, c := range map[string]struct {
		do   func() error
		code codes.Code
		want string
	}{
		"no change":      {stage(), codes.InvalidArgument, "changes"},
		"no member":      {stage(&ringdv1.MemberChange{}), codes.InvalidArgument, "member"},
		"unknown":        {stage(&ringdv1.MemberChange{Member: "z"}), codes.NotFound, "ringctl members"},
		"says nothing":   {stage(&ringdv1.MemberChange{Member: "a"}), codes.InvalidArgument, "says nothing"},
		"twice":          {stage(&ringdv1.MemberChange{Member: "a"}, &ringdv1.MemberChange{Member: idOf("a").String(), Weight: new(uint32(2))}), codes.InvalidArgument, "named twice"},
		"no weight":      {stage(&ringdv1.MemberChange{Member: "a", Weight: new(uint32(0))}), codes.InvalidArgument, "weight"},
		"unknown action": {stage(&ringdv1.MemberChange{Member: "a", Action: 9}), codes.InvalidArgument, "action"},
		"abort":          {func() error { _, err := s.Abort(ctx, &ringdv1.AbortRequest{}); return err }, codes.FailedPrecondition, "nothing is staged"},
		"cancel":         {func() error { _, err := s.Cancel(ctx, &ringdv1.CancelRequest{}); return err }, codes.FailedPrecondition, "no move"},
		"remove nobody":  {func() error { _, err := s.RemoveMember(ctx, &ringdv1.RemoveMemberRequest{}); return err }, codes.InvalidArgument, "member"},
	} {
		if err := c.do(); status.Code(err) != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	a.few = true
	p, err := s.Plan(ctx, &ringdv1.PlanRequest{})
	if err != nil || p.Blocked != "1 more have to join" || p.Rows[0].SlotsNext != 8 {
		t.Errorf("a plan that can't be made: %v, %v", p, err)
	}
}
