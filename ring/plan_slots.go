package ring

import "slices"

// slots orders the owners of each partition: who stays keeps its slot, and the
// slots with a new owner are given, one after the other, so that each member's
// slots of that number are its N-th part as near as can be. It begins with
// the first owners that were chosen.
func (s *spread) slots() [][]int {
	out := make([][]int, s.partitions)
	for p, was := range s.was {
		out[p] = slices.Repeat([]int{-1}, s.replicas)
		for slot, m := range was {
			if m >= 0 && s.has(p, m) {
				out[p][slot] = m
			}
		}
	}
	for slot := range s.replicas {
		e := newEvening(s, out, slot)
		e.begin(out, slot)
		e.even()
		for p, m := range e.holder {
			out[p][slot] = m
		}
	}
	return out
}

// evening gives one slot of each partition to one of the new owners that have
// none yet: a matching whose sum of squared differences from the shares is least
// (semi-matching: Harvey, Ladner, Lovász, Tamir 2006).
type evening struct {
	*spread
	holder []int   // by partition
	open   [][]int // by partition: who may hold it; nil if the holder stays
	held   [][]int // by member: the open partitions that it holds
	over   []int   // by member: N times what it holds, less its goal
}

func newEvening(s *spread, out [][]int, slot int) *evening {
	e := &evening{spread: s, holder: make([]int, len(out)), open: make([][]int, len(out)), held: make([][]int, len(s.goal)), over: make([]int, len(s.goal))}
	for m, n := range s.goal {
		e.over[m] = -n
	}
	for p, owners := range out {
		e.holder[p] = owners[slot]
		if e.holder[p] >= 0 {
			e.over[e.holder[p]] += s.replicas
			continue
		}
		for _, m := range s.owners[p] {
			if !slices.Contains(owners, m) {
				e.open[p] = append(e.open[p], m)
			}
		}
		slices.Sort(e.open[p])
	}
	return e
}

// begin gives the slots to the first owners chosen, or to who lacks them most.
func (e *evening) begin(out [][]int, slot int) {
	for p, open := range e.open {
		if open == nil {
			continue
		}
		best := open[0]
		for _, m := range open {
			if e.over[m] < e.over[best] {
				best = m
			}
		}
		if slot == 0 && slices.Contains(open, e.first[p]) {
			best = e.first[p]
		}
		e.hold(p, best)
	}
}

func (e *evening) hold(p, m int) {
	if h := e.holder[p]; h >= 0 {
		e.held[h] = without(e.held[h], p)
		e.over[h] -= e.replicas
	}
	e.holder[p] = m
	e.held[m] = append(e.held[m], p)
	e.over[m] += e.replicas
}

// even passes slots on, along paths, from members to such that have less by more
// than a slot, until there are none. Each lessens the sum of squares.
func (e *evening) even() {
	for again := true; again; {
		again = false
		for m := range e.goal {
			for e.pass(m) {
				again = true
			}
		}
	}
}

// pass looks, breadth first, for who has least of all to whom m can pass a slot,
// if that evens out.
func (e *evening) pass(m int) bool {
	via := make([]int, len(e.goal)) // the partition at which one gets its slot
	for i := range via {
		via[i] = -1
	}
	queue, best := []int{m}, m
	for len(queue) > 0 {
		from := queue[0]
		queue = queue[1:]
		for _, p := range e.held[from] {
			for _, to := range e.open[p] {
				if to == m || via[to] >= 0 {
					continue
				}
				via[to] = p
				queue = append(queue, to)
				if e.over[to] < e.over[best] {
					best = to
				}
			}
		}
	}
	if e.over[m]-e.over[best] <= e.replicas {
		return false
	}
	for best != m {
		p := via[best]
		from := e.holder[p]
		e.hold(p, best)
		best = from
	}
	return true
}

// orderSetsMax bounds the sets of changes that a search for their order looks at:
// all that there are of ten. Of more it may not find the best order.
const orderSetsMax = 1 << 10

// order lists the slots of a partition whose owner changes, in an order in which
// they may change one after the other, so that at no time fewer zones are covered
// than could be.
func (pr *problem) order(was, next []int) []int {
	var changes []int
	for slot, m := range next {
		if was[slot] != m {
			changes = append(changes, slot)
		}
	}
	for least := min(pr.cover(was), pr.cover(next)); least > 0; least-- {
		seen := make(map[int]bool)
		if out, ok := pr.orderFrom(slices.Clone(was), next, changes, least, 0, seen); ok {
			return out
		}
	}
	return changes
}

// orderFrom goes through the orders of the changes that are not in done, a set
// of slots, keeping least zones; seen has the sets that lead nowhere.
func (pr *problem) orderFrom(now, next, changes []int, least, done int, seen map[int]bool) ([]int, bool) {
	if seen[done] || len(seen) > orderSetsMax {
		return nil, false
	}
	seen[done] = true
	finished := true
	for _, slot := range changes {
		if done&(1<<slot) != 0 {
			continue
		}
		finished = false
		before := now[slot]
		now[slot] = next[slot]
		if pr.cover(now) >= least {
			if rest, ok := pr.orderFrom(now, next, changes, least, done|1<<slot, seen); ok {
				return append([]int{slot}, rest...), true
			}
		}
		now[slot] = before
	}
	return nil, finished
}
