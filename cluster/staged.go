package cluster

import (
	"cmp"
	"maps"
	"slices"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// Change is what the next commit does with one member. At most one of Join, Leave
// and Remove is set.
type Change struct {
	// Join gives slots to a member that has none.
	Join bool `json:"join,omitempty"`
	// Leave moves all slots of a member to others.
	Leave bool `json:"leave,omitempty"`
	// Remove is for a member that is gone for good: others rebuild its slots.
	Remove bool `json:"remove,omitempty"`
	// Weight and Zone, if set, replace the member's.
	Weight int     `json:"weight,omitempty"`
	Zone   *string `json:"zone,omitempty"`
	// Own: the member staged it by itself, and nobody else anything of it. Members
	// commit by themselves only what members staged by themselves.
	Own bool `json:"own,omitempty"`
}

// Stage adds changes to those that the next commit carries out.
type Stage struct {
	Changes map[ring.MemberID]Change `json:"changes"`
}

// Unstage drops all staged changes.
type Unstage struct{}

// stage takes the changes of all members, or of none.
func (s *State) stage(c Stage) error {
	if len(c.Changes) == 0 {
		return replica.Invalid("changes", "there are none")
	}
	if s.Staged == nil {
		s.Staged = make(map[ring.MemberID]Change)
	}
	for _, id := range slices.SortedFunc(maps.Keys(c.Changes), ring.MemberID.Compare) {
		m, ok := s.Members[id]
		if !ok {
			return replica.Errorf(replica.KindNotFound, "member %v is not in this cluster", id)
		}
		before, staged := s.Staged[id]
		next, err := before.with(m, c.Changes[id])
		if err != nil {
			return err
		}
		if s.Ring.HasOwners() && !m.Placed && !next.Join && (next.Weight != 0 || next.Zone != nil) {
			return replica.Errorf(replica.KindPrecondition, "member %s has not joined, so that its own --weight and --zone count: stage ringctl join %s first, or start it with others", m.Name, m.Name)
		}
		next.Own = c.Changes[id].Own && (before.Own || !staged)
		s.Staged[id] = next
	}
	s.Revision++
	return nil
}

// with returns c and one change more of the same member.
func (c Change) with(m Member, more Change) (Change, error) {
	refuse := func(why string) (Change, error) {
		return c, replica.Errorf(replica.KindPrecondition, "member %s %s", m.Name, why)
	}
	next := Change{Join: c.Join || more.Join, Leave: c.Leave || more.Leave, Remove: c.Remove || more.Remove, Weight: cmp.Or(more.Weight, c.Weight), Zone: cmp.Or(more.Zone, c.Zone)}
	switch {
	case more == Change{}:
		return c, replica.Invalid("changes", "that of member %s says nothing", m.Name)
	case m.Role != RoleStorage:
		return refuse("is a gateway: it owns no slots, and comes and goes without a plan")
	case m.Gone:
		return refuse("was given up: it can't come back")
	case m.Leaving && !more.Remove:
		return refuse("is leaving: ringctl cancel keeps it")
	case more.Join && m.Placed:
		return refuse("has joined already")
	case (next.Join && next.Leave) || (next.Join && next.Remove) || (next.Leave && next.Remove):
		return refuse("can do only one of joining, leaving and being removed: ringctl abort drops what is staged")
	case more.Weight < 0 || more.Weight > memberWeightMax:
		return c, replica.Invalid("weight", "is %d: use 1 to %d", more.Weight, memberWeightMax)
	case more.Zone != nil && len(*more.Zone) > memberZoneBytesMax:
		return c, replica.Invalid("zone", "has %d bytes: use at most %d", len(*more.Zone), memberZoneBytesMax)
	}
	return next, nil
}

func (s *State) unstage() error {
	if len(s.Staged) == 0 {
		return replica.Errorf(replica.KindPrecondition, "nothing is staged")
	}
	s.Staged = nil
	s.Revision++
	return nil
}

// carryOut makes the staged changes of members. Before there are owners, every
// storage member joins.
func (s *State) carryOut() {
	for id, c := range s.Staged {
		m, ok := s.Members[id]
		if !ok {
			continue
		}
		m.Placed = m.Placed || c.Join
		m.Leaving, m.Gone = (m.Leaving || c.Leave) && !c.Remove, m.Gone || c.Remove
		m.Weight = cmp.Or(c.Weight, m.Weight)
		if c.Zone != nil {
			m.Zone = *c.Zone
		}
		s.Members[id] = m
	}
	s.Staged = nil
	if s.Ring.HasOwners() {
		return
	}
	for id, m := range s.Members {
		m.Placed = m.Role == RoleStorage && !m.Leaving && !m.Gone
		s.Members[id] = m
	}
}

// placed are the members that a plan may give slots to, in the order of their ids.
func (s *State) placed() []Member {
	var out []Member
	for _, m := range s.Members {
		if m.Placed && !m.Leaving && !m.Gone {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b Member) int { return a.ID.Compare(b.ID) })
	return out
}

// retire takes a member out, so that it is told when it comes back.
func (s *State) retire(id ring.MemberID) {
	m := s.Members[id]
	_, staged := s.Staged[id]
	if staged || (m.Placed && !m.Leaving && !m.Gone) {
		s.Revision++
	}
	delete(s.Members, id)
	delete(s.Staged, id)
	if s.Removed == nil {
		s.Removed = make(map[ring.MemberID]bool)
	}
	s.Removed[id] = true
	if m.Leaving {
		if s.Left == nil {
			s.Left = make(map[ring.MemberID]bool)
		}
		s.Left[id] = true
	}
}

// IsOut reports whether a member was removed or given up: nobody listens to it.
func (s *State) IsOut(id ring.MemberID) bool { return s.Removed[id] || s.Members[id].Gone }
