package ring

import (
	"cmp"
	"slices"
)

const (
	// improveWork bounds the exchanges that are looked at, at three slots per
	// partition: a quarter of a second. The placement that fill made is near what can be had, so
	// this is as good as no bound, but for many members with many slots each.
	improveWork = 1 << 21
	// improveLooksMin is how many are looked at for a slot in any case: fewer find
	// next to nothing.
	improveLooksMin = 32
)

// improve exchanges owners of two partitions as long as that makes the placement
// better and moves no more: a new owner x of p and an owner y of q, which may be
// one that would have stayed if another then stays instead. Slots per member
// don't change. (Local search by 2-exchange: Papadimitriou and Steiglitz,
// Combinatorial Optimization, chapter 19.)
//
// Better is, first, members that have fewer or more first slots than their
// share, rounded, by less; then, that pairs of members share partitions in
// proportion to their slots: the least sum of squares over these, each by the
// square.
func (s *spread) improve() {
	if s.replicas == 1 || len(s.goal) == s.replicas {
		return // nothing is shared, or everything
	}
	fresh := 0
	for p, owners := range s.owners {
		for _, m := range owners {
			if s.isNew(p, m) {
				fresh++
			}
		}
	}
	if fresh == 0 {
		return
	}
	work := improveWork * 3 / s.replicas
	looks := max(improveLooksMin, work/fresh/2)
	for better := true; better; {
		better = false
		for p := range s.owners {
			for _, x := range slices.Clone(s.owners[p]) {
				if !s.isNew(p, x) || !s.has(p, x) {
					continue
				}
				if work -= len(s.goal) + looks; work < 0 {
					return
				}
				if s.exchange(p, x, looks) {
					better = true
				}
			}
		}
	}
}

// exchange makes the best exchange of x in p of so many that it looks at: with the
// members that suit p best, at two of them or more. It reports whether there was
// one.
func (s *spread) exchange(p, x, looks int) bool {
	type candidate struct{ member, gain int }
	var candidates []candidate
	for y := range s.goal {
		if !s.has(p, y) && s.swaps(p, x, y) {
			candidates = append(candidates, candidate{y, s.change(p, x, y)})
		}
	}
	slices.SortFunc(candidates, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.gain, b.gain), cmp.Compare(a.member, b.member))
	})
	tries := min(len(candidates), max(2, looks*len(s.goal)/(s.partitions*s.replicas)))
	best, bestGain, with := -1, 0, -1
	for _, c := range candidates[:tries] {
		y := c.member
		at := s.at[y]
		for i := range min(len(at), looks/tries) {
			q := at[(i+p)%len(at)]
			if s.has(q, x) || s.moves(p, x, y)+s.moves(q, y, x) != 0 || !s.swaps(q, y, x) {
				continue
			}
			if gain := c.gain + s.change(q, y, x); gain < bestGain {
				best, bestGain, with = q, gain, y
			}
		}
	}
	if best < 0 {
		return false
	}
	// The two changes may bear on each other, where the same members own both.
	gain := s.change(p, x, with)
	s.replace(p, x, with)
	if gain += s.change(best, with, x); gain >= 0 {
		s.replace(p, with, x)
		return false
	}
	s.replace(best, with, x)
	return true
}

// moves is by how many moves more in takes the slot of out in p.
func (s *spread) moves(p, out, in int) int {
	n := 0
	if s.isNew(p, in) {
		n++
	}
	if s.isNew(p, out) {
		n--
	}
	return n
}

// change is by how much the placement gets worse when in takes the slot of out
// in p.
func (s *spread) change(p, out, in int) int {
	m := len(s.goal)
	c := 0
	for _, o := range s.owners[p] {
		if o != out {
			c += s.rate[o*m+in]*(2*s.shared[o*m+in]+1) - s.rate[o*m+out]*(2*s.shared[o*m+out]-1)
		}
	}
	if from, to := s.first[p], s.firstAfter(p, out, in); from != to {
		c += s.firstCost(to, s.firsts[to]+1) - s.firstCost(to, s.firsts[to])
		c += s.firstCost(from, s.firsts[from]-1) - s.firstCost(from, s.firsts[from])
	}
	return c
}

// firstCost is what n first slots of m cost: nothing if they are its share,
// rounded; else the square of the difference, each more than what an exchange
// can gain in sharing.
func (s *spread) firstCost(m, n int) int {
	lo := s.goal[m] / s.replicas
	hi := (s.goal[m] + s.replicas - 1) / s.replicas
	off := max(lo-n, n-hi, 0)
	mean := s.partitions * s.replicas * s.replicas / (len(s.goal) * len(s.goal))
	return off * off * unit * 8 * s.replicas * (mean + 2)
}

// firstAfter is who has the first slot of p once in has taken the slot of out.
func (s *spread) firstAfter(p, out, in int) int {
	if in == s.was[p][0] {
		return in
	}
	if s.first[p] != out {
		return s.first[p]
	}
	if !s.isNew(p, in) {
		return s.neediest(p, s.owners[p], out)
	}
	if m := s.neediest(p, s.owners[p], out); m >= 0 && s.firsts[m]*s.replicas-s.goal[m] < s.firsts[in]*s.replicas-s.goal[in] {
		return m
	}
	return in
}

func (s *spread) replace(p, out, in int) {
	first := s.firstAfter(p, out, in)
	s.firsts[s.first[p]]--
	s.firsts[first]++
	s.first[p] = first
	s.take(p, out)
	s.give(p, in)
}
