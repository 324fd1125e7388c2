package ring_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringd/ringd/ring"
)

func members(n int) []ring.Member {
	out := make([]ring.Member, n)
	for i := range out {
		out[i] = ring.Member{ID: memberID(i), Weight: 1}
	}
	return out
}

func memberID(i int) ring.MemberID {
	r := rand.New(rand.NewPCG(uint64(i), 42))
	var id ring.MemberID
	for j := range id {
		id[j] = byte(r.Uint32())
	}
	return id
}

func empty(t testing.TB, partitions, replicas int) *ring.Ring {
	t.Helper()
	r, err := ring.New(ring.Config{Seed: 1, Partitions: partitions, Replicas: replicas})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// checkFresh holds a placement of a ring without owners against what Plan
// promises, first slots included.
func checkFresh(r *ring.Ring, ms []ring.Member, p ring.Placement) error {
	if _, _, err := checkPlan(r, ms, p); err != nil {
		return err
	}
	first := make(map[ring.MemberID]int)
	slots := make(map[ring.MemberID]int)
	for _, owners := range p.Slots {
		first[owners[0]]++
		for _, id := range owners {
			slots[id]++
		}
	}
	_, shares, bind := bounds(r, ms)
	for i, m := range ms {
		share := shares[i]
		if bind {
			share = float64(slots[m.ID])
		}
		if b := within(share/float64(r.Replicas()), r.Partitions()); first[m.ID] < b.lo || first[m.ID] > b.hi {
			return fmt.Errorf("member %v is first %d times, want %d to %d", m.ID, first[m.ID], b.lo, b.hi)
		}
	}
	return nil
}

func TestPlanProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		partitions := 1 << rapid.IntRange(3, 8).Draw(t, "log2 partitions")
		replicas := rapid.IntRange(1, 6).Draw(t, "replicas")
		ms := members(rapid.IntRange(replicas, 40).Draw(t, "members"))
		r, err := ring.New(ring.Config{Seed: 1, Partitions: partitions, Replicas: replicas})
		if err != nil {
			t.Fatal(err)
		}
		placement, err := ring.Plan(r, ms)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkFresh(r, ms, placement); err != nil {
			t.Fatal(err)
		}
		shuffled := rapid.Permutation(ms).Draw(t, "order")
		again, err := ring.Plan(r, shuffled)
		if err != nil || !reflect.DeepEqual(placement, again) {
			t.Fatalf("another order of members, another placement: %v", err)
		}
	})
}

// TestPlanSmall goes through all small shapes, where the bounds are tightest.
func TestPlanSmall(t *testing.T) {
	for _, partitions := range []int{8, 16, 32} {
		for replicas := 1; replicas <= 7; replicas++ {
			for n := replicas; n <= 20; n++ {
				r, ms := empty(t, partitions, replicas), members(n)
				p, err := ring.Plan(r, ms)
				if err == nil {
					err = checkFresh(r, ms, p)
				}
				if err != nil {
					t.Errorf("%d partitions, %d replicas, %d members: %v", partitions, replicas, n, err)
				}
			}
		}
	}
}

func TestPlanLargest(t *testing.T) {
	for _, replicas := range []int{1, 3, ring.ReplicasMax} {
		for _, n := range []int{replicas + 1, 100} {
			r, ms := empty(t, ring.PartitionsMax, replicas), members(n)
			p, err := ring.Plan(r, ms)
			if err == nil {
				err = checkFresh(r, ms, p)
			}
			if err != nil {
				t.Errorf("%d replicas, %d members: %v", replicas, n, err)
			}
		}
	}
}

// TestPlanSpreads: the partitions of a member are shared with all others about
// alike, so that its failure falls on all.
func TestPlanSpreads(t *testing.T) {
	r, ms := empty(t, 256, 3), members(10)
	p, err := ring.Plan(r, ms)
	if err != nil {
		t.Fatal(err)
	}
	shared := make(map[[2]ring.MemberID]int)
	for _, owners := range p.Slots {
		for _, a := range owners {
			for _, b := range owners {
				shared[[2]ring.MemberID{a, b}]++
			}
		}
	}
	even := 256 * 3 * 2 / 10 / 9
	for _, a := range ms {
		for _, b := range ms {
			if got := shared[[2]ring.MemberID{a.ID, b.ID}]; a.ID != b.ID && (got < even/2 || got > even*3/2) {
				t.Errorf("%v and %v share %d partitions, an even share is %d", a.ID, b.ID, got, even)
			}
		}
	}
}

func TestPlanRefuses(t *testing.T) {
	ms := members(3)
	for name, c := range map[string]struct {
		members []ring.Member
		want    string
	}{
		"too few":   {ms[:2], "there are 2 members, and each partition needs 3: 1 more have to join"},
		"twice":     {append(slices.Clone(ms), ms[0]), fmt.Sprintf("member %v is named twice", ms[0].ID)},
		"no weight": {append(slices.Clone(ms), ring.Member{ID: memberID(7)}), fmt.Sprintf("member %v has weight 0: use 1 or more", memberID(7))},
		"heavy":     {append(slices.Clone(ms), ring.Member{ID: memberID(7), Weight: ring.WeightMax + 1}), fmt.Sprintf("member %v has weight 1048577: use 1048576 or less", memberID(7))},
		"no id":     {append(slices.Clone(ms), ring.Member{Weight: 1}), "a member has no id"},
	} {
		if _, err := ring.Plan(empty(t, 8, 3), c.members); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPlanAgainMovesNothing(t *testing.T) {
	r, ms := empty(t, 64, 3), members(5)
	p, err := ring.Plan(r, ms)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Moves) != 64*3 {
		t.Fatalf("%d moves from nothing", len(p.Moves))
	}
	next, err := r.WithSlots(ring.Epoch{Generation: 1, Number: 1}, p.Slots)
	if err != nil {
		t.Fatal(err)
	}
	if p, err = ring.Plan(next, ms); err != nil || len(p.Moves) != 0 {
		t.Fatalf("%v, moves %v", err, p.Moves)
	}
}
