package ring

import (
	"math"
	"math/rand/v2"
	"slices"
)

// pairs counts the partitions that two members share.
type pairs struct {
	n      int
	counts []int
}

func newPairs(n int) *pairs { return &pairs{n, make([]int, n*n)} }

func (s *pairs) of(a, b int) int { return s.counts[a*s.n+b] }

func (s *pairs) add(a, b, by int) {
	s.counts[a*s.n+b] += by
	s.counts[b*s.n+a] += by
}

// spreadTries is how many exchanges are tried for each new owner: beyond it little
// gets better.
const spreadTries = 40

// spread exchanges new owners of partitions with each other, which costs nothing,
// where members thereby share their partitions with others more evenly. What is
// tried is drawn from a generator of a fixed seed.
func (f *flow) spread() {
	type newcomer struct{ p, member int }
	var all []newcomer
	shared := newPairs(len(f.nodes))
	for p, owners := range f.owners {
		for i, u := range owners {
			if f.present == nil || f.isNew(p, u) == 1 {
				all = append(all, newcomer{p, u})
			}
			for _, v := range owners[:i] {
				shared.add(u, v, 1)
			}
		}
	}
	if len(all) < 2 {
		return
	}
	random := rand.New(rand.NewPCG(f.ring.Seed(), uint64(len(all))))
	for range spreadTries * len(all) {
		a, b := &all[random.IntN(len(all))], &all[random.IntN(len(all))]
		if a.p == b.p || a.member == b.member || !f.mayExchange(a.p, a.member, b.member) || !f.mayExchange(b.p, b.member, a.member) {
			continue
		}
		if f.gain(shared, a.p, a.member, b.member)+f.gain(shared, b.p, b.member, a.member) >= 0 {
			continue
		}
		f.exchange(shared, a.p, a.member, b.member)
		f.exchange(shared, b.p, b.member, a.member)
		a.member, b.member = b.member, a.member
	}
}

// mayExchange says that u's slot of p may be v's at the same cost.
func (f *flow) mayExchange(p, u, v int) bool {
	cost, ok := f.cost(p, u, v)
	return ok && cost == 0
}

// gain is by how much the sum of the squares of what members share, relative to
// their weights, grows if v takes u's place in p; about, if two gains are added.
func (f *flow) gain(shared *pairs, p, u, v int) float64 {
	sum := 0.0
	for _, o := range f.owners[p] {
		if o == u {
			continue
		}
		sum += float64(2*shared.of(o, v)+1)/f.expected(o, v) - float64(2*shared.of(o, u)-1)/f.expected(o, u)
	}
	return sum
}

// expected is in proportion to the partitions that two members would share.
func (f *flow) expected(a, b int) float64 {
	return math.Max(1, f.nodes[a].share) * math.Max(1, f.nodes[b].share)
}

func (f *flow) exchange(shared *pairs, p, u, v int) {
	for i, o := range f.owners[p] {
		if o == u {
			f.owners[p][i] = v
			continue
		}
		shared.add(o, u, -1)
		shared.add(o, v, 1)
	}
}

// slots puts the owners of every partition in order: those that stay where they
// are, and the new ones into what is free, so that first slots even out.
func (f *flow) slots() [][]MemberID {
	firsts := f.firsts()
	out := make([][]MemberID, len(f.owners))
	for p, owners := range f.owners {
		row := make([]int, f.ring.Replicas())
		var free []int
		for slot := range row {
			row[slot] = -1
			if f.present != nil && slices.Contains(owners, f.present[p][slot]) {
				row[slot] = f.present[p][slot]
			} else {
				free = append(free, slot)
			}
		}
		var newcomers []int
		for _, u := range owners {
			if !slices.Contains(row, u) {
				newcomers = append(newcomers, u)
			}
		}
		slices.Sort(newcomers)
		if first := slices.Index(newcomers, firsts[p]); first > 0 && free[0] == 0 {
			newcomers[0], newcomers[first] = newcomers[first], newcomers[0]
		}
		for i, slot := range free {
			row[slot] = newcomers[i]
		}
		for _, u := range row {
			out[p] = append(out[p], f.nodes[u].id)
		}
	}
	return out
}

// firsts chooses who of its new owners gets the first slot of a partition, where
// that is free: the consistent library's proposal if it can be, and then, along
// shortest paths, so that members have their share of first slots.
func (f *flow) firsts() []int {
	first := make([]int, len(f.owners))
	choice := make([][]int, len(f.owners))
	count := make([]int, len(f.nodes))
	members := make([]Member, 0, len(f.nodes))
	for _, n := range f.nodes {
		if n.zone >= 0 {
			members = append(members, Member{ID: n.id, Weight: n.weight})
		}
	}
	proposed := propose(members, len(f.owners))
	for p, owners := range f.owners {
		first[p] = -1
		if f.present != nil && slices.Contains(owners, f.present[p][0]) {
			first[p] = f.present[p][0]
			count[first[p]]++
			continue
		}
		for _, u := range owners {
			if f.present == nil || f.isNew(p, u) == 1 {
				choice[p] = append(choice[p], u)
			}
		}
		slices.Sort(choice[p])
		first[p] = choice[p][0]
		if slices.Contains(choice[p], proposed[p]) {
			first[p] = proposed[p]
		}
		count[first[p]]++
	}
	over := func(u int) float64 { return float64(count[u]) - float64(f.nodes[u].count)/float64(f.ring.Replicas()) }
	for range len(f.owners) * f.ring.Replicas() {
		if !f.evenFirsts(first, choice, count, over) {
			break
		}
	}
	return first
}

// evenFirsts passes one first slot on from a member that has more than its share to
// one that has less, by more than one in all; false if it can't.
func (f *flow) evenFirsts(first []int, choice [][]int, count []int, over func(int) float64) bool {
	order := make([]int, 0, len(f.nodes))
	for u := range f.nodes {
		if over(u) > 0 {
			order = append(order, u)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch d := over(b) - over(a); {
		case d > 0:
			return 1
		case d < 0:
			return -1
		}
		return 0
	})
	held := make([][]int, len(f.nodes)) // partitions by their first owner, with a choice
	for p := range first {
		if len(choice[p]) > 1 {
			held[first[p]] = append(held[first[p]], p)
		}
	}
	for _, source := range order {
		type step struct{ from, p int }
		via := map[int]step{source: {-1, -1}}
		queue := []int{source}
		best := -1
		for len(queue) > 0 {
			u := queue[0]
			queue = queue[1:]
			for _, p := range held[u] {
				for _, v := range choice[p] {
					if _, seen := via[v]; seen {
						continue
					}
					via[v] = step{u, p}
					queue = append(queue, v)
					if over(source)-over(v) > 1+1e-9 && (best < 0 || over(v) < over(best)) {
						best = v
					}
				}
			}
		}
		if best < 0 {
			continue
		}
		count[source]--
		count[best]++
		for v := best; v != source; {
			s := via[v]
			first[s.p] = v
			v = s.from
		}
		return true
	}
	return false
}
