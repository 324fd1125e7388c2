package ring_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/buraksezer/consistent"
	"github.com/cespare/xxhash/v2"

	"github.com/ringd/ringd/ring"
)

func BenchmarkPlan4096x100(b *testing.B) {
	zoned := func(i int) string { return fmt.Sprint("z", i%5) }
	ms := members(101)
	for i := range ms {
		ms[i].Zone, ms[i].Weight = zoned(i), 1+i%4
	}
	for name, c := range map[string]struct {
		before, now []ring.Member
	}{
		"Fresh":      {nil, members(100)},
		"FreshZones": {nil, ms[:100]},
		"Join":       {members(100), members(101)},
		"JoinZones":  {ms[:100], ms},
		"LeaveZones": {ms, ms[:100]},
		"Rezone":     {members(100), ms[:100]},
	} {
		b.Run(name, func(b *testing.B) {
			r := empty(b, 4096, 3)
			if c.before != nil {
				r = after(b, r, c.before)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ring.Plan(r, c.now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// after is the ring after r whose slots are given to members.
func after(t testing.TB, r *ring.Ring, ms []ring.Member) *ring.Ring {
	t.Helper()
	p, err := ring.Plan(r, ms)
	if err != nil {
		t.Fatal(err)
	}
	next, err := r.WithSlots(ring.Epoch{Generation: r.Epoch().Generation + 1}, p.Slots)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

var consistentTable sync.Once

// BenchmarkConsistent prints once how the planner compares to the consistent
// library alone, whose GetClosestN gives a partition its replicas: three, at the
// library's default load.
func BenchmarkConsistent(b *testing.B) {
	consistentTable.Do(func() {
		for _, q := range []int{256, 4096} {
			// A log of a benchmark is cut after ten lines.
			fmt.Printf("Q=%d, N=3. imbalance: the fullest member over the mean; moves: of the least possible when one joins;\n"+
				"work: of a failed member, the part that one other gets\n%s\n", q, compare(b, q))
		}
	})
	r, ms := empty(b, 256, 3), members(10)
	b.Run("Library256x10", func(b *testing.B) {
		for b.Loop() {
			closest(b, 256, ms)
		}
	})
	b.Run("Plan256x10", func(b *testing.B) {
		for b.Loop() {
			if _, err := ring.Plan(r, ms); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// compare is the table for rings of q partitions.
func compare(t testing.TB, q int) string {
	var out strings.Builder
	fmt.Fprintln(&out, "members | imbalance      | moves          | work, if even")
	fmt.Fprintln(&out, "        | library  ringd | library  ringd | library  ringd  even")
	for _, n := range []int{5, 10, 20, 50} {
		ms := members(n + 1)
		r := after(t, empty(t, q, 3), ms[:n])
		ours, err := ring.Plan(r, ms)
		if err != nil {
			t.Fatal(err)
		}
		slots := make([][]ring.MemberID, q)
		for p := range slots {
			slots[p] = r.Owners(ring.PartitionID(p))
		}
		theirs := closest(t, q, ms[:n])
		least := float64(ours.Least)
		fmt.Fprintf(&out, "%7d | %6.1f%% %5.1f%% | %6.2fx %5.2fx | %6.1f%% %5.1f%% %4.1f%%\n", n,
			100*imbalance(ms[:n], theirs), 100*imbalance(ms[:n], slots),
			float64(changed(theirs, closest(t, q, ms)))/least, float64(changed(slots, ours.Slots))/least,
			100*worstWork(ms[:n], theirs), 100*worstWork(ms[:n], slots), 100/float64(n-1))
	}
	return out.String()
}

type tableHasher struct{}

func (tableHasher) Sum64(b []byte) uint64 { return xxhash.Sum64(b) }

// closest are the three members that the library gives each partition.
func closest(t testing.TB, q int, ms []ring.Member) [][]ring.MemberID {
	t.Helper()
	var named []consistent.Member
	for _, m := range ms {
		named = append(named, m.ID)
	}
	c := consistent.New(named, consistent.Config{Hasher: tableHasher{}, PartitionCount: q})
	out := make([][]ring.MemberID, q)
	for p := range out {
		owners, err := c.GetClosestNForPartition(p, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range owners {
			out[p] = append(out[p], o.(ring.MemberID))
		}
	}
	return out
}

// imbalance is by what part the fullest member has more than the mean.
func imbalance(ms []ring.Member, slots [][]ring.MemberID) float64 {
	count, total, most := make(map[ring.MemberID]int), 0, 0
	for _, owners := range slots {
		for _, id := range owners {
			count[id]++
			total++
			most = max(most, count[id])
		}
	}
	return float64(most)*float64(len(ms))/float64(total) - 1
}

// changed is how many owners of partitions are new.
func changed(before, after [][]ring.MemberID) int {
	n := 0
	for p, owners := range after {
		for _, id := range owners {
			if !slices.Contains(before[p], id) {
				n++
			}
		}
	}
	return n
}

// worstWork is the greatest part of a failed member's work that one other gets,
// when those who share a partition with it take its work there in equal parts.
func worstWork(ms []ring.Member, slots [][]ring.MemberID) float64 {
	worst := 0.0
	for _, m := range ms {
		with, total := make(map[ring.MemberID]int), 0
		for _, owners := range slots {
			if !slices.Contains(owners, m.ID) {
				continue
			}
			for _, o := range owners {
				if o != m.ID {
					with[o]++
					total++
				}
			}
		}
		for _, n := range with {
			worst = max(worst, float64(n)/float64(total))
		}
	}
	return worst
}
