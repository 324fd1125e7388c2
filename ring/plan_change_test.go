package ring_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringd/ringd/ring"
)

// drawMembers changes members at random: some come, some go, weights and zones
// change.
func drawMembers(t *rapid.T, ms []ring.Member, least, zones int) []ring.Member {
	ms = slices.Clone(ms)
	next := 0
	for _, m := range ms {
		for memberID(next) != m.ID {
			next++
		}
		next++
	}
	for range rapid.IntRange(0, 8).Draw(t, "come") {
		ms = append(ms, ring.Member{
			ID: memberID(next), Weight: rapid.IntRange(1, 4).Draw(t, "weight"),
			Zone: fmt.Sprint(rapid.IntRange(1, zones).Draw(t, "zone")),
		})
		next++
	}
	for range rapid.IntRange(0, 3).Draw(t, "go") {
		if len(ms) > least {
			i := rapid.IntRange(0, len(ms)-1).Draw(t, "who")
			ms = slices.Delete(ms, i, i+1)
		}
	}
	if len(ms) > 0 && rapid.Bool().Draw(t, "changes") {
		m := &ms[rapid.IntRange(0, len(ms)-1).Draw(t, "which")]
		m.Weight = rapid.IntRange(1, 4).Draw(t, "its weight")
		m.Zone = fmt.Sprint(rapid.IntRange(1, zones).Draw(t, "its zone"))
	}
	return ms
}

// shareOf is a member's share, found by bisecting what a unit of weight gets: a
// computation of its own.
func shareOf(partitions, replicas int, ms []ring.Member, m ring.Member) float64 {
	low, high := 0.0, float64(partitions*replicas)
	for range 200 {
		mid, sum := (low+high)/2, 0.0
		for _, o := range ms {
			sum += math.Min(float64(partitions), mid*float64(o.Weight))
		}
		if sum < float64(partitions*replicas) {
			low = mid
		} else {
			high = mid
		}
	}
	return math.Min(float64(partitions), high*float64(m.Weight))
}

func zonesCovered(ms []ring.Member, owners []ring.MemberID) int {
	zones := make(map[string]bool)
	for _, m := range ms {
		if slices.Contains(owners, m.ID) {
			zones[m.Zone] = true
		}
	}
	return len(zones)
}

// checkChange holds a placement to what Plan promises; zones bind if there is more
// than one.
func checkChange(r *ring.Ring, ms []ring.Member, p ring.Placement) (*ring.Ring, error) {
	next, err := r.WithSlots(ring.Epoch{Generation: 1, Number: r.Epoch().Number + 1}, p.Slots)
	if err != nil {
		return nil, err
	}
	zones := make(map[string]bool)
	for _, m := range ms {
		zones[m.Zone] = true
	}
	have, had := make(map[ring.MemberID]int), make(map[ring.MemberID]int)
	moves := 0
	for i := range r.Partitions() {
		id := ring.PartitionID(i)
		owners, before := next.Owners(id), r.Owners(id)
		if got, want := zonesCovered(ms, owners), min(r.Replicas(), len(zones)); got < want {
			return nil, fmt.Errorf("partition %d covers %d zones of %d", i, got, want)
		}
		for slot, owner := range owners {
			have[owner]++
			if before == nil {
				continue
			}
			had[before[slot]]++
			if before[slot] != owner {
				moves++
				if slices.Contains(before, owner) {
					return nil, fmt.Errorf("an owner of partition %d that stays went to slot %d", i, slot)
				}
			}
		}
	}
	least, under := 0, 0
	for _, m := range ms {
		share := shareOf(r.Partitions(), r.Replicas(), ms, m)
		low, high := int(math.Floor(share+1e-6)), int(math.Ceil(share-1e-6))
		if len(zones) == 1 && (have[m.ID] < low || have[m.ID] > high) {
			return nil, fmt.Errorf("member %v has %d slots, its share is %.2f", m.ID, have[m.ID], share)
		}
		least += max(0, had[m.ID]-high)
		under += max(0, low-had[m.ID])
	}
	for id, n := range had {
		if !slices.ContainsFunc(ms, func(m ring.Member) bool { return m.ID == id }) {
			least += n
		}
	}
	if least = max(least, under); len(zones) == 1 && r.HasOwners() && p.Least != least {
		return nil, fmt.Errorf("%d slots have to move, not %d", least, p.Least)
	}
	// Where few members own most of everything, the counts alone don't tell: one
	// that has too little owns all partitions already that another could give.
	if len(zones) == 1 && r.HasOwners() && moves != least {
		if exact := fewestMoves(r, ms); moves != exact {
			return nil, fmt.Errorf("%d slots move, %d are enough", moves, exact)
		}
	}
	return next, checkOrder(r, ms, p)
}

// fewestMoves is a minimum-cost flow from every partition over members to their
// shares, from nothing, by the textbook: zones aside.
func fewestMoves(r *ring.Ring, ms []ring.Member) int {
	type arc struct{ from, to, room, cost int }
	const must = 1 << 20
	var arcs []arc
	q := r.Partitions()
	source, sink := q+len(ms), q+len(ms)+1
	add := func(from, to, room, cost int) {
		arcs = append(arcs, arc{from, to, room, cost}, arc{to, from, 0, -cost})
	}
	for p := range q {
		add(source, p, r.Replicas(), 0)
		for i, m := range ms {
			cost := 1
			if slices.Contains(r.Owners(ring.PartitionID(p)), m.ID) {
				cost = 0
			}
			add(p, q+i, 1, cost)
		}
	}
	for i, m := range ms {
		share := shareOf(q, r.Replicas(), ms, m)
		low, high := int(math.Floor(share+1e-6)), int(math.Ceil(share-1e-6))
		add(q+i, sink, low, -must)
		add(q+i, sink, high-low, 0)
	}
	total := 0
	for range q * r.Replicas() {
		dist, via := make([]int, sink+1), make([]int, sink+1)
		for i := range dist {
			dist[i] = math.MaxInt / 2
		}
		dist[source] = 0
		for again := true; again; {
			again = false
			for i, a := range arcs {
				if a.room > 0 && dist[a.from] < math.MaxInt/2 && dist[a.from]+a.cost < dist[a.to] {
					dist[a.to], via[a.to], again = dist[a.from]+a.cost, i, true
				}
			}
		}
		for v := sink; v != source; v = arcs[via[v]].from {
			arcs[via[v]].room--
			arcs[via[v]^1].room++
			total += arcs[via[v]].cost
		}
	}
	// What is left of the cost, of which all that must be is a multiple, are moves.
	return (total%must + must) % must
}

// checkOrder makes the moves one after the other.
func checkOrder(r *ring.Ring, ms []ring.Member, p ring.Placement) error {
	if !r.HasOwners() {
		return nil
	}
	now := make([][]ring.MemberID, r.Partitions())
	for i := range now {
		now[i] = slices.Clone(r.Owners(ring.PartitionID(i)))
	}
	for _, m := range p.Moves {
		owners := now[m.Partition]
		before, after := zonesCovered(ms, owners), zonesCovered(ms, p.Slots[m.Partition])
		if owners[m.Slot] != m.From || slices.Contains(owners, m.To) {
			return fmt.Errorf("%+v does not fit %v", m, owners)
		}
		owners[m.Slot] = m.To
		if got := zonesCovered(ms, owners); got < min(before, after)-1 {
			return fmt.Errorf("in between, partition %d covers %d zones, %d before and %d in the end", m.Partition, got, before, after)
		}
	}
	for i := range now {
		if !slices.Equal(now[i], p.Slots[i]) {
			return fmt.Errorf("the moves lead to %v, not %v", now[i], p.Slots[i])
		}
	}
	return nil
}

// TestPlanChanges: random sequences of changes, with and without zones.
func TestPlanChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		partitions := 1 << rapid.IntRange(3, 8).Draw(t, "log2 partitions")
		replicas := rapid.IntRange(1, 4).Draw(t, "replicas")
		zones := rapid.SampledFrom([]int{1, 1, 2, 3, 5}).Draw(t, "zones")
		r, err := ring.New(ring.Config{Seed: 7, Partitions: partitions, Replicas: replicas})
		if err != nil {
			t.Fatal(err)
		}
		var ms []ring.Member
		for range 4 {
			if ms = drawMembers(t, ms, replicas, zones); len(ms) < replicas {
				continue
			}
			p, err := ring.Plan(r, rapid.Permutation(ms).Draw(t, "order"))
			if err != nil {
				t.Fatal(err)
			}
			if r, err = checkChange(r, ms, p); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestPlanChangesLarge: the same at the sizes that clusters have.
func TestPlanChangesLarge(t *testing.T) {
	r := empty(t, 1024, 3)
	random := rand.New(rand.NewPCG(1, 2))
	ms := members(40)
	for range 12 {
		p, err := ring.Plan(r, ms)
		if err != nil {
			t.Fatal(err)
		}
		if r, err = checkChange(r, ms, p); err != nil {
			t.Fatal(err)
		}
		ms = slices.Clone(ms)
		switch i := random.IntN(len(ms)); random.IntN(3) {
		case 0:
			ms = slices.Delete(ms, i, i+1)
		case 1:
			ms[i].Weight = 1 + random.IntN(4)
		case 2:
			ms = append(ms, ring.Member{ID: memberID(1000 + random.IntN(1000)), Weight: 1})
		}
	}
}

// TestPlanSmallIsBest: on rings small enough, no placement that covers the zones
// and balances as well moves fewer slots.
func TestPlanSmallIsBest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		replicas := rapid.IntRange(2, 3).Draw(t, "replicas")
		zones := rapid.IntRange(1, 3).Draw(t, "zones")
		r, err := ring.New(ring.Config{Seed: 3, Partitions: 8, Replicas: replicas})
		if err != nil {
			t.Fatal(err)
		}
		draw := func(n int) []ring.Member {
			ms := members(n)
			for i := range ms {
				ms[i].Zone = fmt.Sprint(rapid.IntRange(1, zones).Draw(t, "zone"))
			}
			return ms
		}
		p, err := ring.Plan(r, draw(rapid.IntRange(replicas, 5).Draw(t, "members")))
		if err != nil {
			t.Fatal(err)
		}
		if r, err = r.WithSlots(ring.Epoch{Generation: 1, Number: 1}, p.Slots); err != nil {
			t.Fatal(err)
		}
		ms := draw(rapid.IntRange(replicas, 5).Draw(t, "members then"))
		if p, err = ring.Plan(r, ms); err != nil {
			t.Fatal(err)
		}
		if _, err := checkChange(r, ms, p); err != nil {
			t.Fatal(err)
		}
		got := outcome{len(p.Moves), 0}
		counts := make([]int, len(ms))
		for _, owners := range p.Slots {
			for _, id := range owners {
				counts[slices.IndexFunc(ms, func(m ring.Member) bool { return m.ID == id })]++
			}
		}
		got.off = offBalance(counts, 8*replicas)
		if want := best(r, ms); got != want {
			t.Fatalf("%+v, and %+v can be had", got, want)
		}
	})
}

// outcome is what placements are compared by: off the balance first, then moves.
type outcome struct{ moves, off int }

func offBalance(counts []int, total int) int {
	off := 0
	for _, c := range counts {
		share := float64(total) / float64(len(counts))
		off += max(0, c-int(math.Ceil(min(8, share))), int(math.Floor(min(8, share)))-c)
	}
	return off
}

// best goes through all placements, partition by partition, keeping for each set of
// counts the fewest moves. (All weights are one.)
func best(r *ring.Ring, ms []ring.Member) outcome {
	zones := make(map[string]bool)
	for _, m := range ms {
		zones[m.Zone] = true
	}
	at := map[[5]int]int{{}: 0}
	for p := range r.Partitions() {
		before := r.Owners(ring.PartitionID(p))
		next := make(map[[5]int]int)
		for set := range 1 << len(ms) {
			var owners []ring.MemberID
			moves := 0
			for i, m := range ms {
				if set&(1<<i) != 0 {
					owners = append(owners, m.ID)
					if !slices.Contains(before, m.ID) {
						moves++
					}
				}
			}
			if len(owners) != r.Replicas() || zonesCovered(ms, owners) < min(r.Replicas(), len(zones)) {
				continue
			}
			for counts, n := range at {
				for i := range ms {
					counts[i] += set >> i & 1
				}
				if old, ok := next[counts]; !ok || n+moves < old {
					next[counts] = n + moves
				}
			}
		}
		at = next
	}
	out := outcome{off: math.MaxInt}
	for counts, n := range at {
		off := offBalance(counts[:len(ms)], r.Partitions()*r.Replicas())
		if off < out.off || (off == out.off && n < out.moves) {
			out = outcome{n, off}
		}
	}
	return out
}
