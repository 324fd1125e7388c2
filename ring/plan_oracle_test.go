package ring_test

import (
	"math"

	"github.com/ringd/ringd/ring"
)

// What follows says independently of the planner what it promises: other
// algorithms, in floating point, or exhaustive.

// bound is the least and the most slots of a member.
type bound struct{ lo, hi int }

func within(share float64, partitions int) bound {
	const eps = 1e-9
	return bound{max(0, int(math.Ceil(share-1-eps))), min(partitions, int(math.Floor(share+1+eps)))}
}

// zonesOf numbers the zones of members.
func zonesOf(ms []ring.Member) (of []int, zones int) {
	index := make(map[string]int)
	for _, m := range ms {
		if _, ok := index[m.Zone]; !ok {
			index[m.Zone] = len(index)
		}
		of = append(of, index[m.Zone])
	}
	return of, len(index)
}

// level finds, by bisection, the shares min(Q, level * weight) that add up to
// total, where the sum of each zone is not above most or below least.
func level(ms []ring.Member, partitions, total int, least, most float64) []float64 {
	zone, zones := zonesOf(ms)
	at := func(l float64) (out []float64, sum float64) {
		sums := make([]float64, zones)
		for i, m := range ms {
			out = append(out, min(float64(partitions), l*float64(m.Weight)))
			sums[zone[i]] += out[i]
		}
		for _, s := range sums {
			sum += min(max(s, least), most)
		}
		return out, sum
	}
	solve := func(f func(float64) float64, want float64) float64 {
		lo, hi := 0.0, 2*float64(total)*float64(len(ms))
		for range 200 {
			if mid := (lo + hi) / 2; f(mid) < want {
				lo = mid
			} else {
				hi = mid
			}
		}
		return hi
	}
	out, _ := at(solve(func(l float64) float64 { _, sum := at(l); return sum }, float64(total)))
	for z := range zones {
		sumAt := func(l float64) float64 {
			sum := 0.0
			for i, m := range ms {
				if zone[i] == z {
					sum += min(float64(partitions), l*float64(m.Weight))
				}
			}
			return sum
		}
		sum := 0.0
		for i := range ms {
			if zone[i] == z {
				sum += out[i]
			}
		}
		if clamped := min(max(sum, least), most); math.Abs(clamped-sum) > 1e-9 {
			l := solve(sumAt, clamped)
			for i, m := range ms {
				if zone[i] == z {
					out[i] = min(float64(partitions), l*float64(m.Weight))
				}
			}
		}
	}
	return out
}

// bounds are those of (3), and whether zones bind.
func bounds(r *ring.Ring, ms []ring.Member) (out []bound, plain []float64, bind bool) {
	q, n := r.Partitions(), r.Replicas()
	zone, zones := zonesOf(ms)
	least, most := 0, q*n
	if n < zones {
		most = q
	} else {
		least = q
	}
	plain = level(ms, q, q*n, 0, float64(q*n))
	for _, s := range plain {
		out = append(out, within(s, q))
	}
	lo, hi := make([]int, zones), make([]int, zones)
	for i, b := range out {
		lo[zone[i]] += b.lo
		hi[zone[i]] += b.hi
	}
	low, high := 0, 0
	for z := range zones {
		bind = bind || lo[z] > most || hi[z] < least
		low += max(lo[z], least)
		high += min(hi[z], most)
	}
	if bind = bind || low > q*n || high < q*n; !bind {
		return out, plain, false
	}
	out = nil
	for _, s := range level(ms, q, q*n, float64(least), float64(most)) {
		out = append(out, within(s, q))
	}
	return out, plain, true
}

// have is how many slots each member has.
func have(r *ring.Ring, ms []ring.Member) []int {
	index := make(map[ring.MemberID]int)
	for i, m := range ms {
		index[m.ID] = i
	}
	out := make([]int, len(ms))
	for p := range r.Partitions() {
		for _, id := range r.Owners(ring.PartitionID(p)) {
			if i, ok := index[id]; ok {
				out[i]++
			}
		}
	}
	return out
}

// leastByCounting is a lower bound of the moves from the numbers of slots alone:
// a member keeps at most what it may have, and if all that is kept, and the
// least of those who have less, is too much, so much less is kept.
func leastByCounting(r *ring.Ring, ms []ring.Member, bs []bound) int {
	kept, sum, total := 0, 0, r.Partitions()*r.Replicas()
	for i, n := range have(r, ms) {
		kept += min(n, bs[i].hi)
		sum += min(max(n, bs[i].lo), bs[i].hi)
	}
	return total - kept + max(0, sum-total)
}

// leastByExhaustion goes through the owners that each partition could have, one
// partition after the other, and remembers for all numbers of slots of the
// members that can come out how many owners can have stayed at the most.
func leastByExhaustion(r *ring.Ring, ms []ring.Member, bs []bound) (least int, ok bool) {
	q, n := r.Partitions(), r.Replicas()
	zone, zones := zonesOf(ms)
	var sets []uint
	for set := range uint(1) << len(ms) {
		count, covered := 0, make(map[int]bool)
		for i := range ms {
			if set&(1<<i) != 0 {
				count++
				covered[zone[i]] = true
			}
		}
		if count == n && len(covered) == min(n, zones) {
			sets = append(sets, set)
		}
	}
	type loads [6]int8
	kept := map[loads]int{{}: 0}
	for p := range q {
		next := make(map[loads]int)
		for before, k := range kept {
			for _, set := range sets {
				after, stay := before, k
				over := false
				for i, m := range ms {
					if set&(1<<i) == 0 {
						continue
					}
					after[i]++
					over = over || int(after[i]) > bs[i].hi
					if r.HasOwners() && r.IsOwner(ring.PartitionID(p), n, m.ID) {
						stay++
					}
				}
				if best, seen := next[after]; !over && (!seen || stay > best) {
					next[after] = stay
				}
			}
		}
		kept = next
	}
	best := -1
	for l, k := range kept {
		fits := true
		for i, b := range bs {
			fits = fits && int(l[i]) >= b.lo
		}
		if fits {
			best = max(best, k)
		}
	}
	return q*n - best, best >= 0
}
