package ring

import (
	"cmp"
	"fmt"
	"slices"
)

// share is an exact number of slots, num/den.
type share struct{ num, den int }

// bounds are the least and the most slots within one of s; a member can own at
// most one slot of each partition.
func (s share) bounds(partitions int) (lo, hi int) {
	return max(0, (s.num+s.den-1)/s.den-1), min(partitions, s.num/s.den+1)
}

// split sets the shares: of all slots by weight, at most Q each, the excess going
// to the others by weight (water-filling: Boyd and Vandenberghe, Convex
// Optimization, example 5.2).
//
// Zones bind beyond that. With more zones than slots, a partition has one owner
// per zone, so a zone can hold Q; with fewer, it has one in every zone, so a zone
// has to hold Q. A zone on the wrong side of Q is set to Q, split by weight, and
// the rest over the others likewise. Whatever satisfies these bounds can be
// placed: put all slots in a row, by zone and member, and give the k-th to
// partition k mod Q (the wrap-around rule: McNaughton 1959, theorem 3.1). Each
// member, and each zone that holds at most Q, then has at most one slot of a
// partition, and each zone that holds at least Q at least one.
func (pr *problem) split() {
	total := pr.partitions * pr.replicas
	all := make([]int, len(pr.members))
	for i := range all {
		all[i] = i
	}
	pr.plain = make([]share, len(all))
	pr.shares = make([]share, len(all))
	pr.target = make([]int, len(all))
	pr.fillUp(pr.plain, all, total)

	free, bound := all, make([]bool, pr.zones)
	for {
		pr.fillUp(pr.shares, free, total)
		again := false
		for z, s := range pr.zoneShares(free) {
			over := s.num - pr.partitions*s.den
			if s.den == 0 || pr.replicas < pr.zones && over <= 0 || pr.replicas >= pr.zones && over >= 0 {
				continue
			}
			bound[z], again = true, true
			members := pr.in(z)
			pr.fillUp(pr.shares, members, pr.partitions)
			pr.round(members, pr.partitions)
			total -= pr.partitions
		}
		if !again {
			break
		}
		free = slices.DeleteFunc(slices.Clone(all), func(m int) bool { return bound[pr.zone[m]] })
	}
	if len(free) == 0 {
		return
	}
	sums := pr.zoneShares(free)
	for z, n := range rounded(sums, total) {
		if sums[z].den > 0 {
			pr.round(pr.in(z), n)
		}
	}
}

// in lists the members of zone z.
func (pr *problem) in(z int) []int {
	var out []int
	for m := range pr.zone {
		if pr.zone[m] == z {
			out = append(out, m)
		}
	}
	return out
}

// fillUp sets out, for the given members, to their shares of total, all with one
// denominator.
func (pr *problem) fillUp(out []share, members []int, total int) {
	full := make([]bool, len(out))
	for {
		rest, weight := total, 0
		for _, m := range members {
			if full[m] {
				rest -= pr.partitions
			} else {
				weight += pr.members[m].Weight
			}
		}
		again := false
		for _, m := range members {
			switch w := pr.members[m].Weight; {
			case full[m]:
				out[m] = share{pr.partitions * max(weight, 1), max(weight, 1)}
			case rest*w > pr.partitions*weight:
				full[m], again = true, true
			default:
				out[m] = share{rest * w, weight}
			}
		}
		if !again {
			return
		}
	}
}

// zoneShares adds up the shares of members, which have one denominator; a zone
// without any has none.
func (pr *problem) zoneShares(members []int) []share {
	out := make([]share, pr.zones)
	for _, m := range members {
		s := &out[pr.zone[m]]
		s.num, s.den = s.num+pr.shares[m].num, pr.shares[m].den
	}
	return out
}

// round sets the targets of members, total in all.
func (pr *problem) round(members []int, total int) {
	of := make([]share, len(members))
	for i, m := range members {
		of[i] = pr.shares[m]
	}
	for i, n := range rounded(of, total) {
		pr.target[members[i]] = n
	}
}

// rounded rounds each share down or up, by largest remainder, to total in all.
func rounded(shares []share, total int) []int {
	out, order := make([]int, len(shares)), make([]int, 0, len(shares))
	for i, s := range shares {
		if s.den == 0 {
			continue
		}
		out[i] = s.num / s.den
		total -= out[i]
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(shares[b].num%shares[b].den, shares[a].num%shares[a].den)
	})
	for _, i := range order[:total] {
		out[i]++
	}
	return out
}

// notes name the members that zones keep from their weight's share.
func (pr *problem) notes(load []int) []string {
	var out []string
	for m, s := range pr.plain {
		off := load[m]*s.den - s.num
		side := "more"
		if off < 0 {
			off, side = -off, "fewer"
		}
		if off > s.den {
			out = append(out, fmt.Sprintf("member %v, zone %q, gets %d slots, %.1f %s than its weight's share: the owners of a partition are to cover %d zones",
				pr.members[m].ID, pr.members[m].Zone, load[m], float64(off)/float64(s.den), side, min(pr.replicas, pr.zones)))
		}
	}
	return out
}
