package ring_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/ringd/ringd/ring"
)

var (
	planRuns = flag.Int("plan.runs", 60, "random histories of changes that are planned")
	planSeed = flag.Uint64("plan.seed", 1, "the first one's seed")
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

// A history is a ring, its members, and what happens to them.
type history struct {
	rand *rand.Rand
	ring *ring.Ring
	ms   []ring.Member
	born int
}

func newHistory(t testing.TB, seed uint64, partitions, replicas, members int) *history {
	h := &history{rand: rand.New(rand.NewPCG(seed, 7)), ring: empty(t, partitions, replicas)}
	zones, weights := h.rand.IntN(3), h.rand.IntN(2)
	for range members {
		h.join([]int{1, replicas, 12}[zones], []int{1, 8}[weights])
	}
	return h
}

func (h *history) join(zones, weights int) {
	m := ring.Member{ID: memberID(h.born), Weight: 1 + h.rand.IntN(weights)}
	if z := h.rand.IntN(zones); z > 0 {
		m.Zone = fmt.Sprint("z", z)
	}
	h.ms = append(h.ms, m)
	h.born++
}

// change makes one thing happen, or several.
func (h *history) change() (what string) {
	for {
		i := h.rand.IntN(len(h.ms))
		switch h.rand.IntN(6) {
		case 0, 1:
			h.join(4, 4)
			what += "join "
		case 2, 3:
			if len(h.ms) > h.ring.Replicas() {
				h.ms = slices.Delete(h.ms, i, i+1)
				what += "leave "
			}
		case 4:
			h.ms[i].Weight = 1 + h.rand.IntN(5)
			what += "weight "
		case 5:
			h.ms[i].Zone = fmt.Sprint("z", h.rand.IntN(5))
			what += "zone "
		}
		if what != "" && h.rand.IntN(3) > 0 {
			return what
		}
	}
}

func (h *history) commit(t testing.TB, p ring.Placement) {
	next, err := h.ring.WithSlots(ring.Epoch{Generation: 1, Number: h.ring.Epoch().Number + 1}, p.Slots)
	if err != nil {
		t.Fatal(err)
	}
	h.ring = next
}

// TestPlanHistories plans random changes, one after the other.
func TestPlanHistories(t *testing.T) {
	counted, more := 0, 0
	for run := range *planRuns {
		seed := *planSeed + uint64(run)
		random := rand.New(rand.NewPCG(seed, 1))
		replicas := []int{1, 2, 3, 3, 3, 4, 5}[random.IntN(7)]
		members := replicas + random.IntN([]int{3, 12, 100 - replicas}[random.IntN(3)])
		partitions := 8 << random.IntN(6)
		if run%20 == 0 {
			partitions = 8 << random.IntN(10)
		}
		h := newHistory(t, seed, partitions, replicas, members)
		what := "first"
		for step := range 5 {
			p, err := ring.Plan(h.ring, h.ms)
			if err != nil {
				t.Fatalf("seed %d, step %d, %s: %v", seed, step, what, err)
			}
			least, bind, err := checkPlan(h.ring, h.ms, p)
			if err != nil {
				t.Fatalf("seed %d, step %d, %s: %d partitions, %d replicas, %d members: %v", seed, step, what, partitions, replicas, len(h.ms), err)
			}
			if p.Least < least {
				t.Fatalf("seed %d, step %d, %s: %d moves, below the least by counting, %d", seed, step, what, p.Least, least)
			}
			if _, zones := zonesOf(h.ms); zones == 1 && !bind {
				counted++
				if p.Least != least { // counting does not know that owners are distinct
					more++
					bs, _, _ := bounds(h.ring, h.ms)
					if least, ok := leastByFlow(h.ring, h.ms, bs); !ok || least != p.Least {
						t.Fatalf("seed %d, step %d, %s: %d moves, by the textbook %d (%v)", seed, step, what, p.Least, least, ok)
					}
				}
			}
			shuffled := slices.Clone(h.ms)
			h.rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			if again, err := ring.Plan(h.ring, shuffled); err != nil || !reflect.DeepEqual(p, again) {
				t.Fatalf("seed %d, step %d: another order of members, another placement: %v", seed, step, err)
			}
			h.commit(t, p)
			if p, err = ring.Plan(h.ring, h.ms); err != nil || len(p.Moves) != 0 {
				t.Fatalf("seed %d, step %d: planned once more, %d moves: %v", seed, step, len(p.Moves), err)
			}
			what = h.change()
		}
	}
	if counted > 20 && more*20 > counted {
		t.Errorf("%d plans without zones, of which %d have more moves than by counting", counted, more)
	}
}

// TestPlanLeast holds the number of moves against a textbook flow, on rings where
// that takes no time.
func TestPlanLeast(t *testing.T) {
	more := 0
	for run := range 2 * *planRuns {
		seed := *planSeed + uint64(run)
		random := rand.New(rand.NewPCG(seed, 2))
		replicas := 1 + random.IntN(4)
		h := newHistory(t, seed, 8<<random.IntN(3), replicas, replicas+random.IntN(8))
		for step := range 5 {
			p, err := ring.Plan(h.ring, h.ms)
			if err != nil {
				t.Fatal(err)
			}
			bs, _, _ := bounds(h.ring, h.ms)
			least, ok := leastByFlow(h.ring, h.ms, bs)
			if !ok || least != p.Least {
				t.Fatalf("seed %d, step %d: %d moves, by the textbook %d (%v)", seed, step, p.Least, least, ok)
			}
			if least > leastByCounting(h.ring, h.ms, bs) {
				more++
			}
			h.commit(t, p)
			h.change()
		}
	}
	if more == 0 {
		t.Error("in no run did zones cost a move: the runs are too tame")
	}
}

// TestPlanSmallest holds the number of moves against all placements that there
// are, on rings small enough.
func TestPlanSmallest(t *testing.T) {
	for run := range *planRuns {
		seed := *planSeed + uint64(run)
		random := rand.New(rand.NewPCG(seed, 3))
		replicas := 2 + random.IntN(2)
		h := newHistory(t, seed, 8, replicas, 3+random.IntN(3))
		for step := range 4 {
			if len(h.ms) > 5 {
				h.ms = h.ms[:5]
			}
			p, err := ring.Plan(h.ring, h.ms)
			if err != nil {
				t.Fatal(err)
			}
			bs, _, _ := bounds(h.ring, h.ms)
			if least, ok := leastByExhaustion(h.ring, h.ms, bs); !ok || least != p.Least {
				t.Fatalf("seed %d, step %d: %d moves, at best %d (%v)", seed, step, p.Least, least, ok)
			}
			h.commit(t, p)
			h.change()
		}
	}
}
