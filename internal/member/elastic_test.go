package member

import (
	"strings"
	"testing"

	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/ring"
)

// elasticState has members 1 to 4, of whom the first three own everything.
func elasticState(t *testing.T) (*cluster.State, []ring.MemberID) {
	t.Helper()
	r, err := ring.New(ring.Config{Seed: 1, Partitions: 8, Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	var ids []ring.MemberID
	s := &cluster.State{Members: make(map[ring.MemberID]cluster.Member), Settings: cluster.DefaultSettings()}
	for i := range byte(4) {
		id := ring.MemberID{i + 1}
		ids = append(ids, id)
		s.Members[id] = cluster.Member{
			ID: id, Name: string('a' + rune(i)), GRPC: "h:1", Weight: 1, Role: cluster.RoleStorage, Placed: i < 3,
			Wire: 3, Capabilities: cluster.CapabilitiesOf(3),
		}
	}
	slots := make([][]ring.MemberID, r.Partitions())
	for p := range slots {
		slots[p] = ids[:3]
	}
	if s.Ring, err = r.WithSlots(ring.Epoch{Generation: 1, Number: 1}, slots); err != nil {
		t.Fatal(err)
	}
	s.Settings.Elastic = true
	return s, ids
}

func TestNextElastic(t *testing.T) {
	join, leave := cluster.Change{Join: true, Own: true}, cluster.Change{Leave: true, Own: true}
	set := func(s *cluster.State, id ring.MemberID, change func(*cluster.Member)) {
		m := s.Members[id]
		change(&m)
		s.Members[id] = m
	}
	for name, c := range map[string]struct {
		who    int
		want   cluster.Change
		change func(s *cluster.State, ids []ring.MemberID)
		step   elasticStep
		says   string
	}{
		"joins":                   {3, join, nil, elasticStage, ""},
		"has joined":              {0, join, nil, elasticOver, ""},
		"elastic is off":          {3, join, func(s *cluster.State, _ []ring.MemberID) { s.Settings.Elastic = false }, elasticWait, "ringctl join d"},
		"leaving, elastic is off": {0, leave, func(s *cluster.State, _ []ring.MemberID) { s.Settings.Elastic = false }, elasticWait, "ringctl leave a"},
		"staged its own": {3, join, func(s *cluster.State, ids []ring.MemberID) {
			s.Staged = map[ring.MemberID]cluster.Change{ids[3]: join}
		}, elasticCommit, ""},
		"another joins by itself, too": {3, join, func(s *cluster.State, ids []ring.MemberID) {
			s.Staged = map[ring.MemberID]cluster.Change{ids[3]: join, ids[2]: {Weight: 2, Own: true}}
		}, elasticCommit, ""},
		"a person has staged something": {3, join, func(s *cluster.State, ids []ring.MemberID) {
			s.Staged = map[ring.MemberID]cluster.Change{ids[3]: join, ids[1]: {Weight: 2}}
		}, elasticWait, "changes of b"},
		"a person has staged its joining": {3, join, func(s *cluster.State, ids []ring.MemberID) {
			s.Staged = map[ring.MemberID]cluster.Change{ids[3]: {Join: true}}
		}, elasticWait, "changes of d"},
		"too few would be left": {0, leave, nil, elasticWait, "3"},
		"leaves": {0, leave, func(s *cluster.State, ids []ring.MemberID) {
			set(s, ids[3], func(m *cluster.Member) { m.Placed = true })
		}, elasticStage, ""},
		"is leaving": {0, leave, func(s *cluster.State, ids []ring.MemberID) {
			set(s, ids[0], func(m *cluster.Member) { m.Leaving = true })
		}, elasticWait, ""},
		"is out": {0, leave, func(s *cluster.State, ids []ring.MemberID) { delete(s.Members, ids[0]) }, elasticOver, ""},
		"no owners yet": {3, join, func(s *cluster.State, _ []ring.MemberID) {
			r, err := ring.New(ring.Config{Seed: 1, Partitions: 8, Replicas: 3})
			if err != nil {
				t.Fatal(err)
			}
			s.Ring = r
		}, elasticWait, "no owners"},
	} {
		t.Run(name, func(t *testing.T) {
			s, ids := elasticState(t)
			if c.change != nil {
				c.change(s, ids)
			}
			step, why := nextElastic(s, ids[c.who], c.want)
			if step != c.step || !strings.Contains(why, c.says) || (why == "") != (c.says == "") {
				t.Errorf("step %d, because %q; want %d, because of %q", step, why, c.step, c.says)
			}
		})
	}
}

// TestOwnChanges: what a person adds to what a member staged makes it the person's.
func TestOwnChanges(t *testing.T) {
	s, ids := elasticState(t)
	for _, c := range []struct {
		change cluster.Change
		own    bool
	}{
		{cluster.Change{Join: true, Own: true}, true},
		{cluster.Change{Join: true, Own: true}, true},
		{cluster.Change{Weight: 2}, false},
		{cluster.Change{Join: true, Own: true}, false},
	} {
		next, err := s.Apply(cluster.Command{Stage: &cluster.Stage{Changes: map[ring.MemberID]cluster.Change{ids[3]: c.change}}})
		if err != nil {
			t.Fatal(err)
		}
		if s = next; s.Staged[ids[3]].Own != c.own {
			t.Errorf("after %+v: own %v", c.change, s.Staged[ids[3]].Own)
		}
	}
}
