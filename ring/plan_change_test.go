package ring_test

import (
	"flag"
	"fmt"
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
