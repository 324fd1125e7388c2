package ring

import (
	"errors"
	"fmt"
	"slices"
)

// WeightMax bounds a member's weight, so that shares are exact in 64 bits.
const WeightMax = 1 << 20

// Member is a candidate for slots.
type Member struct {
	ID MemberID
	// Zone is what fails together. Members that name none are in one zone.
	Zone string
	// Weight is the share of slots relative to the others'. 1 to WeightMax.
	Weight int
}

// Move is a slot that changes its owner. From is zero for a slot that had none.
type Move struct {
	Partition PartitionID
	Slot      int
	From, To  MemberID
}

// Placement is the outcome of Plan: a value to show, to compare and to commit.
type Placement struct {
	// Slots has for each partition its N owners, for WithSlots.
	Slots [][]MemberID
	// Moves from the ring that was planned from, by partition. Those of a
	// partition are in an order in which they may be made one after the other:
	// the owners stay distinct, and cover, wherever an order exists for it, as
	// many zones as the worse of before and after.
	Moves []Move
	// Least is the number of moves without which no placement keeps the bounds:
	// the cost of the flow. There are as many Moves.
	Least int
	// ZonesBefore and ZonesAfter are the least number of zones that the owners
	// of a partition cover. Owners that are not among the members count for
	// none.
	ZonesBefore, ZonesAfter int
	// Notes say what could not be honoured.
	Notes []string
}

// Plan gives the slots of r to members. It is a pure function: the same ring and
// members, in whatever order, give the same placement. In this order:
//
//  1. The N owners of a partition are distinct members.
//  2. They cover min(N, zones) zones.
//  3. Every member's slots are within one of its weight's share, which is at most
//     Q; where (2) leaves it another share, they are within one of that, and a
//     note says so.
//  4. As few slots move as (1) to (3) allow, and an owner that stays in a
//     partition stays in its slot.
//  5. First slots that get a new owner even out, and the partitions that a member
//     shares spread over the others, so that the work of a failed one falls on
//     all.
//
// Which slots stay is a min-cost flow (network), for (1) to (4). What is open
// then goes to whom it spreads best (fill), with the proposal of the consistent
// library preferred for first slots, and is improved by exchanges that cost no
// move (spread).
func Plan(r *Ring, members []Member) (Placement, error) {
	members = slices.SortedFunc(slices.Values(members), func(a, b Member) int { return a.ID.Compare(b.ID) })
	if err := checkMembers(members, r.Replicas()); err != nil {
		return Placement{}, err
	}
	pr := newProblem(r, members)
	stays, err := pr.stays(r.HasOwners())
	if err != nil {
		return Placement{}, err
	}
	s := newSpread(stays.assignment, stays.goal)
	s.fill()
	if err := s.repair(); err != nil {
		return Placement{}, err
	}
	s.improve()
	slots := s.slots()
	out := pr.placement(r, slots)
	out.Least = stays.least
	out.Notes = pr.notes(s.load)
	if err := pr.check(s.assignment, out); err != nil {
		return Placement{}, err
	}
	return out, nil
}

func checkMembers(members []Member, replicas int) error {
	for i, m := range members {
		if m.ID.IsZero() {
			return errors.New("a member has no id")
		}
		if i > 0 && members[i-1].ID == m.ID {
			return fmt.Errorf("member %v is named twice", m.ID)
		}
		if m.Weight < 1 {
			return fmt.Errorf("member %v has weight %d: use 1 or more", m.ID, m.Weight)
		}
		if m.Weight > WeightMax {
			return fmt.Errorf("member %v has weight %d: use %d or less", m.ID, m.Weight, WeightMax)
		}
	}
	if len(members) < replicas {
		return fmt.Errorf("there are %d members, and each partition needs %d: %d more have to join", len(members), replicas, replicas-len(members))
	}
	return nil
}

// placement names the members of slots, and what changes from r.
func (pr *problem) placement(r *Ring, slots [][]int) Placement {
	out := Placement{Slots: make([][]MemberID, len(slots)), ZonesBefore: pr.replicas, ZonesAfter: pr.replicas}
	for p, owners := range slots {
		out.Slots[p] = make([]MemberID, len(owners))
		for slot, m := range owners {
			out.Slots[p][slot] = pr.members[m].ID
		}
		now := r.Owners(PartitionID(p))
		for _, slot := range pr.order(pr.was[p], owners) {
			var from MemberID
			if now != nil {
				from = now[slot]
			}
			out.Moves = append(out.Moves, Move{PartitionID(p), slot, from, out.Slots[p][slot]})
		}
		out.ZonesBefore = min(out.ZonesBefore, pr.cover(pr.was[p]))
		out.ZonesAfter = min(out.ZonesAfter, pr.cover(owners))
	}
	return out
}

// check returns an error if the placement does not keep what Plan promises. It
// finds mistakes of the planner before anybody acts on them.
func (pr *problem) check(a *assignment, out Placement) error {
	for p, owners := range a.owners {
		if len(owners) != pr.replicas || pr.crowded(owners) > pr.spare {
			return fmt.Errorf("ring: planned owners of partition %d are %d, and cover %d zones", p, len(owners), pr.cover(owners))
		}
	}
	for m, s := range pr.shares {
		if lo, hi := s.bounds(pr.partitions); a.load[m] < lo || a.load[m] > hi {
			return fmt.Errorf("ring: planned %d slots for member %v, instead of %d to %d", a.load[m], pr.members[m].ID, lo, hi)
		}
	}
	if len(out.Moves) != out.Least {
		return fmt.Errorf("ring: planned %d moves, where %d are enough", len(out.Moves), out.Least)
	}
	return nil
}
