package ring_test

import (
	"fmt"
	"math"
	"reflect"
	"slices"

	"github.com/ringd/ringd/ring"
)

// checkPlan holds a placement against all that Plan promises, but that the moves
// are the least possible: it returns the least by counting, and whether zones
// bind.
func checkPlan(r *ring.Ring, ms []ring.Member, p ring.Placement) (counted int, bind bool, err error) {
	next, err := r.WithSlots(ring.Epoch{Generation: r.Epoch().Generation + 1}, p.Slots)
	if err != nil {
		return 0, false, err // (1): Check refuses owners that are not distinct
	}
	n := r.Replicas()
	zone := make(map[ring.MemberID]string)
	for _, m := range ms {
		zone[m.ID] = m.Zone
	}
	_, zones := zonesOf(ms)
	covered, coveredBefore := n, n
	for i := range r.Partitions() {
		covered = min(covered, zonesCovered(next.Owners(ring.PartitionID(i)), zone))
		coveredBefore = min(coveredBefore, zonesCovered(r.Owners(ring.PartitionID(i)), zone))
	}
	if covered != min(n, zones) || covered != p.ZonesAfter || coveredBefore != p.ZonesBefore {
		return 0, false, fmt.Errorf("%d zones covered, %d before; the placement says %d, %d before; there are %d", covered, coveredBefore, p.ZonesAfter, p.ZonesBefore, zones)
	}
	bs, plain, bind := bounds(r, ms)
	notes := 0
	for i, got := range have(next, ms) {
		if got < bs[i].lo || got > bs[i].hi {
			return 0, false, fmt.Errorf("member %v has %d slots, want %d to %d (zones bind: %v)", ms[i], got, bs[i].lo, bs[i].hi, bind)
		}
		if math.Abs(float64(got)-plain[i]) > 1+1e-9 {
			notes++
		}
	}
	if notes != len(p.Notes) || notes > 0 && !bind {
		return 0, false, fmt.Errorf("%d members are off their weight's share, the notes are %q", notes, p.Notes)
	}
	if err := checkMoves(r, zone, p); err != nil {
		return 0, false, err
	}
	return leastByCounting(r, ms, bs), bind, nil
}

func zonesCovered(owners []ring.MemberID, zone map[ring.MemberID]string) int {
	covered := make(map[string]bool)
	for _, id := range owners {
		if z, ok := zone[id]; ok {
			covered[z] = true
		}
	}
	return len(covered)
}

// checkMoves makes the moves one by one: nothing else changes, who stays is in its
// slot, owners are distinct all the time, and cover zones as well as in any order.
func checkMoves(r *ring.Ring, zone map[ring.MemberID]string, p ring.Placement) error {
	if len(p.Moves) != p.Least {
		return fmt.Errorf("%d moves, the least is said to be %d", len(p.Moves), p.Least)
	}
	if !slices.IsSortedFunc(p.Moves, func(a, b ring.Move) int { return int(a.Partition) - int(b.Partition) }) {
		return fmt.Errorf("moves are not by partition")
	}
	now := make([][]ring.MemberID, r.Partitions())
	for i := range now {
		if now[i] = slices.Clone(r.Owners(ring.PartitionID(i))); now[i] == nil {
			now[i] = make([]ring.MemberID, r.Replicas())
		}
	}
	for _, m := range p.Moves {
		owners := now[m.Partition]
		if owners[m.Slot] != m.From || slices.Contains(owners, m.To) {
			return fmt.Errorf("move %v, where the owners are %v", m, owners)
		}
		if _, ok := zone[m.To]; !ok || slices.Contains(r.Owners(m.Partition), m.To) {
			return fmt.Errorf("move %v to who is no member, or owned another slot: %v", m, r.Owners(m.Partition))
		}
		owners[m.Slot] = m.To
	}
	if !reflect.DeepEqual(now, p.Slots) {
		return fmt.Errorf("the moves do not lead to the slots")
	}
	for rest := p.Moves; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Partition == rest[0].Partition {
			n++
		}
		before := r.Owners(rest[0].Partition)
		if before == nil {
			before = make([]ring.MemberID, r.Replicas())
		}
		want := min(zonesCovered(before, zone), zonesCovered(p.Slots[rest[0].Partition], zone))
		if got := leastCovered(before, rest[:n], zone); got < want && n <= 6 && got < bestCovered(before, nil, rest[:n], zone) {
			return fmt.Errorf("moves %v cover %d zones on their way, and need not", rest[:n], got)
		}
		rest = rest[n:]
	}
	return nil
}

// leastCovered is the least number of zones covered before, between and after the
// moves of a partition.
func leastCovered(owners []ring.MemberID, moves []ring.Move, zone map[ring.MemberID]string) int {
	owners = slices.Clone(owners)
	least := zonesCovered(owners, zone)
	for _, m := range moves {
		owners[m.Slot] = m.To
		least = min(least, zonesCovered(owners, zone))
	}
	return least
}

// bestCovered goes through all orders of the moves after the first ones.
func bestCovered(owners []ring.MemberID, first, rest []ring.Move, zone map[ring.MemberID]string) int {
	if len(rest) == 0 {
		return leastCovered(owners, first, zone)
	}
	best := 0
	for i, m := range rest {
		best = max(best, bestCovered(owners, append(slices.Clone(first), m), slices.Delete(slices.Clone(rest), i, i+1), zone))
	}
	return best
}
