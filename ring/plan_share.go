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
// Zones bind beyond that. With more zones than slots, a partition has at most one
// owner per zone, so a zone can hold Q; with fewer, it has one in every zone, so a
// zone has to hold Q. Whatever satisfies these bounds can be placed: put all
// slots in a row, by zone and member, and give the k-th to partition k mod Q (the
// wrap-around rule: McNaughton 1959, theorem 3.1). Each member, and each zone that
// holds at most Q, then has at most one slot of a partition, and each zone that
// holds at least Q at least one.
//
// If no numbers within one of the shares satisfy them, a zone on the wrong side of
// Q is set to Q, split by weight, and the rest over the others likewise.
func (pr *problem) split() {
	total := pr.partitions * pr.replicas
	free := make([]int, len(pr.members))
	for i := range free {
		free[i] = i
	}
	pr.plain = make([]share, len(free))
	pr.fillUp(pr.plain, free, total)
	pr.shares = slices.Clone(pr.plain)
	if pr.aim() {
		return
	}
	// All zones that are set to Q are on one side of it, and each time that the
	// others get more, or less, of the rest, this can but add to them.
	for again := true; again; {
		again = false
		for z, s := range pr.zoneShares(free) {
			over := s.num - pr.partitions*s.den
			if s.den == 0 || pr.replicas < pr.zones && over <= 0 || pr.replicas >= pr.zones && over >= 0 {
				continue
			}
			again = true
			pr.fillUp(pr.shares, pr.in(z), pr.partitions)
			total -= pr.partitions
			free = slices.DeleteFunc(free, func(m int) bool { return pr.zone[m] == z })
		}
		pr.fillUp(pr.shares, free, total)
	}
	pr.aim() // the shares themselves satisfy the bounds, so whole numbers do
}

// aim sets targets within one of the shares that satisfy the bounds of zones, as
// near to the shares as those allow; it reports whether there are such. It adds
// to the least ones where most is lacking, which is best where bounds are on sets
// of which one contains the other or not a part of it (greedy: Federgruen and
// Groenevelt 1986).
func (pr *problem) aim() bool {
	total := pr.partitions * pr.replicas
	least, most := 0, total // of a zone
	if pr.replicas < pr.zones {
		most = pr.partitions
	} else {
		least = pr.partitions
	}
	pr.target = make([]int, len(pr.members))
	held := make([]int, pr.zones)
	for m, s := range pr.shares {
		lo, _ := s.bounds(pr.partitions)
		pr.target[m] = lo
		held[pr.zone[m]] += lo
		total -= lo
	}
	raise := func(may func(zone int) bool) bool {
		best, bestLack := -1, 0
		for m, s := range pr.shares {
			if _, hi := s.bounds(pr.partitions); pr.target[m] == hi || !may(pr.zone[m]) {
				continue
			}
			if lack := (s.num - pr.target[m]*s.den) << 20 / s.den; best < 0 || lack > bestLack {
				best, bestLack = m, lack
			}
		}
		if best < 0 {
			return false
		}
		pr.target[best]++
		held[pr.zone[best]]++
		total--
		return true
	}
	for z := range held {
		for held[z] < least {
			if !raise(func(zone int) bool { return zone == z }) {
				return false
			}
		}
		if held[z] > most {
			return false
		}
	}
	for total > 0 {
		if !raise(func(zone int) bool { return held[zone] < most }) {
			return false
		}
	}
	return total == 0
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

// rounded rounds each share, all of one denominator, down or up, by largest
// remainder, to total in all.
func rounded(shares []share, total int) []int {
	out, order := make([]int, len(shares)), make([]int, 0, len(shares))
	for i, s := range shares {
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
