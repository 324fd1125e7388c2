package ring

import (
	"errors"
	"fmt"
	"slices"
)

// Member is a candidate for slots.
type Member struct {
	ID   MemberID
	Zone string
	// Weight is the share of slots relative to the others'. At least 1.
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
	// Moves from the ring that was planned from, by partition. Those of one
	// partition are in an order in which they may be made one after the other: the
	// owners in between are distinct, and cover as many zones as can be.
	Moves []Move
	// Least is a bound that no placement can go below: so many slots have to move
	// for every member to have its share, zones aside.
	Least int
	// ZonesNow and ZonesNext are the fewest zones that the owners of a partition
	// cover, before and after. Zones of members that are none any more don't count.
	ZonesNow, ZonesNext int
	// Notes say what could not be honoured.
	Notes []string
}

// Plan gives the slots of r to members. It is a pure function: the same ring and
// members, in whatever order, give the same placement. In this order of importance:
// the owners of a partition are distinct members; they cover as many zones as there
// are, up to N; every member's slots are within one of its weight's share, no more
// than one of each partition; as few slots move as these allow, and an owner that
// stays keeps its slot; new first slots even out, and partitions that members share
// are spread, so that the work of a failed one falls on all.
//
// It is a minimum-cost flow from partitions through their zones to members, solved
// by successive shortest paths (Ahuja, Magnanti and Orlin 1993, section 9.7) that
// begin at the present placement: see flow.
func Plan(r *Ring, members []Member) (Placement, error) {
	members = slices.SortedFunc(slices.Values(members), func(a, b Member) int { return a.ID.Compare(b.ID) })
	if err := checkMembers(members, r.Replicas()); err != nil {
		return Placement{}, err
	}
	f := newFlow(r, members)
	if err := f.solve(); err != nil {
		return Placement{}, err
	}
	f.spread()
	out := Placement{
		Slots: f.slots(), Least: f.least(), ZonesNow: f.zonesNow, ZonesNext: f.covered(), Notes: f.notes(),
	}
	for p, owners := range out.Slots {
		out.Moves = append(out.Moves, f.moves(p, owners)...)
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
	}
	if len(members) < replicas {
		return fmt.Errorf("there are %d members, and each partition needs %d: %d more have to join", len(members), replicas, replicas-len(members))
	}
	return nil
}

// shares splits the slots of all partitions by weight. Nobody gets more than one of
// each partition; what is above that goes to the others.
func shares(partitions, replicas int, weights []int) []float64 {
	out := make([]float64, len(weights))
	full := make([]bool, len(weights))
	left := float64(partitions * replicas)
	for {
		sum := 0
		for i, w := range weights {
			if !full[i] {
				sum += w
			}
		}
		again := false
		for i, w := range weights {
			if full[i] {
				continue
			}
			out[i] = left * float64(w) / float64(sum)
			if out[i] > float64(partitions) {
				out[i], full[i], again = float64(partitions), true, true
			}
		}
		if !again {
			return out
		}
		left = float64(partitions * replicas)
		for i := range full {
			if full[i] {
				left -= float64(partitions)
			}
		}
	}
}

// moves are those that turn the owners that p has into next.
func (f *flow) moves(p int, next []MemberID) []Move {
	now := f.ring.Owners(PartitionID(p))
	var todo []Move
	for slot, id := range next {
		var from MemberID
		if now != nil {
			from = now[slot]
		}
		if from != id {
			todo = append(todo, Move{PartitionID(p), slot, from, id})
		}
	}
	if now == nil || len(todo) < 2 {
		return todo
	}
	now = slices.Clone(now)
	var out []Move
	for len(todo) > 0 {
		best, most := 0, -1
		for i, m := range todo {
			was := now[m.Slot]
			now[m.Slot] = m.To
			if zones := f.zonesOf(now); zones > most {
				best, most = i, zones
			}
			now[m.Slot] = was
		}
		m := todo[best]
		now[m.Slot] = m.To
		out = append(out, m)
		todo = slices.Delete(todo, best, best+1)
	}
	return out
}

// zonesOf counts the zones that members cover.
func (f *flow) zonesOf(ids []MemberID) int {
	seen := make(map[int]bool)
	for _, id := range ids {
		if i, ok := f.index[id]; ok && f.nodes[i].zone >= 0 {
			seen[f.nodes[i].zone] = true
		}
	}
	return len(seen)
}

// notes say whose slots are not within one of their share, which zones may forbid.
func (f *flow) notes() []string {
	var out []string
	for _, n := range f.nodes {
		if n.count < n.least || n.count > n.most {
			out = append(out, fmt.Sprintf("member %v gets %d slots, and its share is %.1f: the zones of the others allow no better", n.id, n.count, n.share))
		}
	}
	return out
}
