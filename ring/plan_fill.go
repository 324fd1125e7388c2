package ring

// unit is 1, of numbers that are not whole, in all that compares placements: they
// have to come out the same on every machine, which floating point does not
// promise.
const unit = 1 << 12

// spread completes a placement, and makes it a better one of those that move no
// more.
type spread struct {
	*assignment
	goal []int // by member: the slots that it has in the end
	// rate has, at a*M+b, what a partition that a and b share counts, in units:
	// the less the more slots they have, so that even means by weight.
	rate []int
	// first has for each partition the owner of its first slot. One that stays
	// there is it; else it is one of the new ones.
	first  []int
	firsts []int // by member: how often it is first
}

func newSpread(a *assignment, goal []int) *spread {
	m := len(goal)
	s := &spread{assignment: a, goal: goal, rate: make([]int, m*m), first: make([]int, a.partitions), firsts: make([]int, m)}
	mean := max(1, a.partitions*a.replicas/m)
	for i := range goal {
		for j := range goal {
			s.rate[i*m+j] = unit * mean * mean / (max(1, goal[i]) * max(1, goal[j]))
		}
	}
	for p, was := range a.was {
		s.first[p] = -1
		if was[0] >= 0 && a.has(p, was[0]) {
			s.first[p] = was[0]
			s.firsts[was[0]]++
		}
	}
	return s
}

// fill gives the slots that do not stay, as far as it gets. First slots go to
// whom the consistent library proposes, as far as the shares allow, else to whom
// lacks most of them; the others, one round at a time, to whom shares least with
// the owners so far, relative to what it has left to take.
func (s *spread) fill() {
	proposed := propose(s.members, s.partitions)
	left := s.firstsLeft()
	for p, m := range proposed {
		if s.first[p] < 0 && left[m] > 0 && s.wants(p, m) {
			left[m]--
			s.giveFirst(p, m)
		}
	}
	for p := range s.first {
		if s.first[p] >= 0 {
			continue
		}
		best := -1
		for m := range left {
			if left[m] > 0 && (best < 0 || left[m] > left[best]) && s.wants(p, m) {
				best = m
			}
		}
		if best >= 0 {
			left[best]--
			s.giveFirst(p, best)
		}
	}
	for range s.replicas {
		for p := range s.owners {
			if len(s.owners[p]) == s.replicas {
				continue
			}
			if m := s.fittest(p); m >= 0 {
				s.give(p, m)
			}
		}
	}
}

func (s *spread) giveFirst(p, m int) {
	s.give(p, m)
	s.first[p] = m
	s.firsts[m]++
}

// firstsLeft is how many first slots each member lacks.
func (s *spread) firstsLeft() []int {
	shares := make([]share, len(s.goal))
	for m, n := range s.goal {
		shares[m] = share{n, s.replicas}
	}
	left := rounded(shares, s.partitions)
	for m := range left {
		left[m] -= s.firsts[m]
	}
	return left
}

// wants reports whether m lacks slots and may have one of p. One whose slot of p
// was chosen to move does not get it back.
func (s *spread) wants(p, m int) bool {
	return s.load[m] < s.goal[m] && s.isNew(p, m) && s.takes(p, m)
}

// fittest is who spreads best as one more owner of p; -1 if nobody can be.
func (s *spread) fittest(p int) int {
	m := len(s.goal)
	best, bestCost := -1, 0
	for i := range m {
		if !s.wants(p, i) {
			continue
		}
		cost := -unit * (s.goal[i] - s.load[i]) * s.partitions * s.replicas * s.replicas / (s.goal[i] * m * m)
		for _, o := range s.owners[p] {
			cost += s.rate[o*m+i] * s.shared[o*m+i]
		}
		if best < 0 || cost < bestCost {
			best, bestCost = i, cost
		}
	}
	return best
}

// repair gives the slots that fill could not, because everyone with room owns
// the partition already or is in a wrong zone: new owners of other partitions
// pass slots on. That there is a way follows from the flow, which found the goals
// with the same slots staying.
func (s *spread) repair() error {
	n := newNetwork(s.assignment, s.goal, s.goal)
	n.fixed = true
	if err := n.complete(); err != nil {
		return err
	}
	clear(s.firsts)
	for p, owners := range s.owners {
		if m := s.first[p]; m < 0 || !s.has(p, m) {
			s.first[p] = s.neediest(p, owners, start)
		}
		s.firsts[s.first[p]]++
	}
	return nil
}

// neediest is who of the new owners of p has the fewest first slots for its goal,
// other than one of them; or who was first before, if that is an owner.
func (s *spread) neediest(p int, owners []int, other int) int {
	best := -1
	for _, m := range owners {
		switch {
		case m == other:
		case m == s.was[p][0]:
			return m
		case s.isNew(p, m) && (best < 0 || s.firsts[m]*s.replicas-s.goal[m] < s.firsts[best]*s.replicas-s.goal[best]):
			best = m
		}
	}
	return best
}
