package ring

import (
	"cmp"
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
	// Moves from the ring that was planned from, by partition and slot.
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
// members, in whatever order, give the same placement. The owners of a partition
// are distinct members; every member's slots are within one of Q*N/M, its first
// slots within one of Q/M; and partitions that a member shares are spread over
// the others, so that the work of a failed one falls on all.
//
// The first slots follow the proposal of the consistent library where the bounds
// allow. Weights and zones are not honoured yet, which the notes say; nor does
// the placement stay close to the present one.
func Plan(r *Ring, members []Member) (Placement, error) {
	members = slices.SortedFunc(slices.Values(members), func(a, b Member) int { return a.ID.Compare(b.ID) })
	if err := checkMembers(members, r.Replicas()); err != nil {
		return Placement{}, err
	}
	a := newAssignment(r.Partitions(), r.Replicas(), members)
	a.firstSlots(members)
	a.fill()
	if err := a.repair(); err != nil {
		return Placement{}, err
	}
	out := Placement{Slots: make([][]MemberID, r.Partitions())}
	for p, owners := range a.owners {
		for slot, m := range owners {
			id := members[m].ID
			out.Slots[p] = append(out.Slots[p], id)
			var from MemberID
			if now := r.Owners(PartitionID(p)); now != nil {
				from = now[slot]
			}
			if from != id {
				out.Moves = append(out.Moves, Move{PartitionID(p), slot, from, id})
			}
		}
	}
	out.Notes = notes(members)
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

func notes(members []Member) []string {
	var out []string
	for _, m := range members[1:] {
		if m.Weight != members[0].Weight {
			out = append(out, "weights differ, but are not honoured yet: all members get the same share")
			break
		}
	}
	for _, m := range members {
		if m.Zone != "" {
			out = append(out, "zones are named, but not honoured yet: a partition's owners may be in one zone")
			break
		}
	}
	return out
}

// assignment is a placement in the making. Members are indexes.
type assignment struct {
	replicas int
	owners   [][]int // by partition; the first slot first
	// target is the number of slots that each member gets, left what remains of
	// it. The targets add up to all slots, so that none is left over.
	target, left []int
	// shared[a][b] is the number of partitions that a and b both own.
	shared [][]int
}

func newAssignment(partitions, replicas int, members []Member) *assignment {
	a := &assignment{replicas: replicas, owners: make([][]int, partitions), shared: make([][]int, len(members))}
	for i := range a.shared {
		a.shared[i] = make([]int, len(members))
	}
	return a
}

// firstSlots gives every member its share of first slots: as the consistent
// library proposes, as far as the shares allow, the rest to whom has most left.
// Then the shares of all slots are fixed.
func (a *assignment) firstSlots(members []Member) {
	q, m := len(a.owners), len(members)
	proposed := propose(members, q)
	wanted := make([]int, m)
	for _, i := range proposed {
		wanted[i]++
	}
	share := shares(q, m, wanted)
	left := slices.Clone(share)
	var open []int
	for p, i := range proposed {
		if left[i] == 0 {
			open = append(open, p)
			continue
		}
		left[i]--
		a.owners[p] = append(a.owners[p], i)
	}
	for _, p := range open {
		best := -1
		for i := range left {
			if left[i] > 0 && (best < 0 || left[i] > left[best]) {
				best = i
			}
		}
		left[best]--
		a.owners[p] = append(a.owners[p], best)
	}
	a.target = shares(q*a.replicas, m, share)
	a.left = slices.Clone(a.target)
	for i := range a.left {
		a.left[i] -= share[i]
	}
}

// shares splits total evenly over n: those that come first by wanted get the
// one more that some have to take.
func shares(total, n int, wanted []int) []int {
	order := make([]int, n)
	out := make([]int, n)
	for i := range order {
		order[i], out[i] = i, total/n
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(wanted[b], wanted[a]) })
	for _, i := range order[:total%n] {
		out[i]++
	}
	return out
}

// fill gives the other slots, one round at a time, to whom shares least with
// the partition's owners so far, relative to what it has left to take.
func (a *assignment) fill() {
	for round := 1; round < a.replicas; round++ {
		for p := range a.owners {
			best, bestCost := -1, 0.0
			for m := range a.left {
				if a.left[m] == 0 || slices.Contains(a.owners[p], m) {
					continue
				}
				cost := 0.0
				for _, o := range a.owners[p] {
					cost += float64(a.shared[o][m])
				}
				cost -= float64(a.left[m]) * float64(a.replicas) / float64(len(a.left))
				if best < 0 || cost < bestCost {
					best, bestCost = m, cost
				}
			}
			if best >= 0 {
				a.give(p, best)
			}
		}
	}
}

func (a *assignment) give(p, m int) {
	for _, o := range a.owners[p] {
		a.shared[o][m]++
		a.shared[m][o]++
	}
	a.owners[p] = append(a.owners[p], m)
	a.left[m]--
}

// repair fills the slots that fill could not, because everyone with room owned
// the partition already: along an augmenting path, on which members pass slots
// of other partitions on. Each path fills one slot more, so it ends.
//
// A path is always there, because the whole is a flow that can be met (max-flow
// min-cut; Ford and Fulkerson 1956). Take any s members S, with k = s-(M-N). For
// k <= 0 a partition finds all that it needs outside of S. Else it needs at least
// k-1 of S beside a first owner in S, k without one: kQ, less the first slots F
// of S, in all. S has room for its targets T, less F. And T >= kQ, since the
// other N-k members' targets are at most Q each, of QN. So the room is enough.
// (No target is below its first slots: who has one more of these is the first to
// get one more of all.)
func (a *assignment) repair() error {
	for p := range a.owners {
		for len(a.owners[p]) < a.replicas {
			if !a.augment(p) {
				return fmt.Errorf("ring: no placement of %d partitions with %d slots on %d members was found", len(a.owners), a.replicas, len(a.left))
			}
		}
	}
	return nil
}

// augment looks, breadth first, for a member with room from which slots can be
// passed back to p.
func (a *assignment) augment(p int) bool {
	// via[m]: m takes a slot of this partition from, or, for the first of a
	// path, instead of, another.
	type step struct{ partition, slot, from int }
	via := make(map[int]step)
	var queue []int
	for m := range a.left {
		if !slices.Contains(a.owners[p], m) {
			via[m] = step{p, len(a.owners[p]), -1}
			queue = append(queue, m)
		}
	}
	for len(queue) > 0 {
		m := queue[0]
		queue = queue[1:]
		if a.left[m] > 0 {
			a.left[m]--
			for {
				s := via[m]
				if s.from < 0 {
					a.owners[p] = append(a.owners[p], m)
					return true
				}
				a.owners[s.partition][s.slot] = m
				m = s.from
			}
		}
		// m is full: it may pass a slot, not a first one, to who has none there.
		for q, owners := range a.owners {
			slot := slices.Index(owners, m)
			if q == p || slot < 1 {
				continue
			}
			for to := range a.left {
				if _, seen := via[to]; !seen && !slices.Contains(owners, to) {
					via[to] = step{q, slot, m}
					queue = append(queue, to)
				}
			}
		}
	}
	return false
}
