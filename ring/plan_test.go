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
		zones, weights := rapid.IntRange(1, 8).Draw(t, "zones"), rapid.SampledFrom([]int{1, 5, 1000, ring.WeightMax}).Draw(t, "weights")
		for i := range ms {
			ms[i].Zone = fmt.Sprint(rapid.IntRange(1, zones).Draw(t, "zone"))
			ms[i].Weight = rapid.IntRange(1, weights).Draw(t, "weight")
		}
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
// alike, or, with zones, with all of other zones, so that its failure falls on all.
func TestPlanSpreads(t *testing.T) {
	for _, zones := range []int{1, 3, 5} {
		r, ms := empty(t, 256, 3), members(15)
		for i := range ms {
			ms[i].Zone = fmt.Sprint(i % zones)
		}
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
		others := 15 - 1
		if zones > 1 {
			others = 15 - 15/zones
		}
		even := float64(256*3*2) / 15 / float64(others)
		for _, a := range ms {
			for _, b := range ms {
				got := float64(shared[[2]ring.MemberID{a.ID, b.ID}])
				if a.ID != b.ID && (zones == 1 || a.Zone != b.Zone) && (got < even*0.7 || got > even*1.3) {
					t.Errorf("%d zones: %v and %v share %v partitions, an even share is %v", zones, a.ID, b.ID, got, even)
				}
			}
		}
	}
}

// TestPlanSpreadsByWeight: of a member's partitions, one of twice the weight
// shares twice as many.
func TestPlanSpreadsByWeight(t *testing.T) {
	ms := members(12)
	for i := range ms {
		ms[i].Weight = 1 + i%2
	}
	r := after(t, empty(t, 1024, 3), ms)
	light, heavy := 0, 0 // shared with the first, which is light
	for p := range r.Partitions() {
		owners := r.Owners(ring.PartitionID(p))
		if !slices.Contains(owners, ms[0].ID) {
			continue
		}
		for i, m := range ms[1:] {
			if slices.Contains(owners, m.ID) {
				if i%2 == 0 {
					heavy++
				} else {
					light++
				}
			}
		}
	}
	if ratio := float64(heavy) / 6 / (float64(light) / 5); ratio < 1.8 || ratio > 2.3 {
		t.Errorf("shared with six heavy ones %d, with five light ones %d", heavy, light)
	}
}

// TestPlanStaysEven: after members came and went, each time with the least moves,
// first slots and shared partitions are about as even as in a fresh placement.
func TestPlanStaysEven(t *testing.T) {
	for _, n := range []int{5, 10, 20} {
		all := members(n + 6)
		r := empty(t, 1024, 3)
		for _, ms := range [][]ring.Member{all[:n], all[:n+1], all[:n+2], all[1 : n+2], all[2 : n+2], all[5 : n+5], all[5 : n+6]} {
			r = after(t, r, ms)
			first, slots := make(map[ring.MemberID]int), make([][]ring.MemberID, 1024)
			for p := range slots {
				slots[p] = r.Owners(ring.PartitionID(p))
				first[slots[p][0]]++
			}
			for _, m := range ms {
				if share := 1024.0 / float64(len(ms)); float64(first[m.ID]) < share-2 || float64(first[m.ID]) > share+2 {
					t.Errorf("%d members, first %d: %v is first %d times, its share is %.1f", len(ms), n, m.ID, first[m.ID], share)
				}
			}
			if worst := worstWork(ms, slots) * float64(len(ms)-1); worst > 1.25 {
				t.Errorf("%d members, first %d: a failed member's work falls on one other at %.2f of an even share", len(ms), n, worst)
			}
		}
	}
}

// TestPlanNotes: one zone of three has one small member, which therefore owns a
// slot of each partition.
func TestPlanNotes(t *testing.T) {
	ms := members(9)
	for i := range ms {
		ms[i].Zone, ms[i].Weight = []string{"a", "b"}[i%2], 4
	}
	ms[8].Zone, ms[8].Weight = "c", 1
	p, err := ring.Plan(empty(t, 64, 3), ms)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`member %v, zone "c", gets 64 slots, 58.2 more than its weight's share: the owners of a partition are to cover 3 zones`, ms[8].ID)
	if len(p.Notes) != 9 || !slices.Contains(p.Notes, want) || p.ZonesBefore != 0 || p.ZonesAfter != 3 {
		t.Errorf("zones %d, then %d; notes %q", p.ZonesBefore, p.ZonesAfter, p.Notes)
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
