package ring

import "slices"

// problem is what Plan was asked, with members, in the order of their ids, and
// zones as indexes.
type problem struct {
	partitions, replicas int
	members              []Member
	zone                 []int // by member
	zones                int
	// spare is the number of owners of a partition that may be in the zone of
	// another: N less the zones that they have to cover.
	spare int
	// was has the present owners by partition and slot; -1 is one that is not
	// among the members, or none.
	was [][]int
	// shares that zones leave to the members, and plain ones, of weights alone.
	shares, plain []share
	target        []int // the shares, rounded so that they can be met
}

func newProblem(r *Ring, members []Member) *problem {
	pr := &problem{partitions: r.Partitions(), replicas: r.Replicas(), members: members, zone: make([]int, len(members))}
	var names []string
	index := make(map[MemberID]int, len(members))
	for i, m := range members {
		index[m.ID] = i
		names = append(names, m.Zone)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for i, m := range members {
		pr.zone[i], _ = slices.BinarySearch(names, m.Zone)
	}
	pr.zones = len(names)
	pr.spare = max(0, pr.replicas-pr.zones)
	pr.was = make([][]int, pr.partitions)
	for p := range pr.was {
		pr.was[p] = slices.Repeat([]int{-1}, pr.replicas)
		for slot, id := range r.Owners(PartitionID(p)) {
			if m, ok := index[id]; ok {
				pr.was[p][slot] = m
			}
		}
	}
	pr.split()
	return pr
}

// crowded is the number of owners that are in the zone of another before them.
// N owners cover min(N, zones) zones just when it is at most spare; and fewer
// owners, with at most spare, can be completed to such N.
func (pr *problem) crowded(owners []int) int {
	n := 0
	for i, a := range owners {
		for _, b := range owners[:i] {
			if pr.zone[a] == pr.zone[b] {
				n++
				break
			}
		}
	}
	return n
}

// cover is the number of zones of owners, of which -1 has none.
func (pr *problem) cover(owners []int) int {
	n := 0
	for i, a := range owners {
		if a >= 0 && !slices.ContainsFunc(owners[:i], func(b int) bool { return b >= 0 && pr.zone[a] == pr.zone[b] }) {
			n++
		}
	}
	return n
}

// assignment is a placement in the making.
type assignment struct {
	*problem
	owners [][]int // by partition, in no particular order
	at     [][]int // by member: its partitions, in no particular order
	load   []int   // by member: the number of its slots
	// shared has, at a*M+b, the number of partitions that a and b both own.
	shared []int
}

func newAssignment(pr *problem) *assignment {
	m := len(pr.members)
	a := &assignment{problem: pr, owners: make([][]int, pr.partitions), at: make([][]int, m), load: make([]int, m), shared: make([]int, m*m)}
	for p := range a.owners {
		a.owners[p] = make([]int, 0, pr.replicas)
	}
	return a
}

func (a *assignment) has(p, m int) bool { return slices.Contains(a.owners[p], m) }

// isNew reports whether m would be, or is, a new owner of p.
func (pr *problem) isNew(p, m int) bool { return !slices.Contains(pr.was[p], m) }

func (a *assignment) give(p, m int) {
	a.share(p, m, 1)
	a.owners[p] = append(a.owners[p], m)
	a.at[m] = append(a.at[m], p)
	a.load[m]++
}

func (a *assignment) take(p, m int) {
	a.owners[p] = without(a.owners[p], m)
	a.at[m] = without(a.at[m], p)
	a.load[m]--
	a.share(p, m, -1)
}

// share counts m among the owners of p, or, with -1, no longer.
func (a *assignment) share(p, m, by int) {
	for _, o := range a.owners[p] {
		a.shared[o*len(a.load)+m] += by
		a.shared[m*len(a.load)+o] += by
	}
}

// without removes the one v of s, in which order does not matter.
func without(s []int, v int) []int {
	i := slices.Index(s, v)
	s[i] = s[len(s)-1]
	return s[:len(s)-1]
}

// takes reports whether m may become one more owner of p, as to (1) and (2).
func (a *assignment) takes(p, m int) bool {
	if len(a.owners[p]) == a.replicas || a.has(p, m) {
		return false
	}
	crowded := a.crowded(a.owners[p])
	return crowded < a.spare || !slices.ContainsFunc(a.owners[p], func(o int) bool { return a.zone[o] == a.zone[m] })
}

// swaps reports whether in, which does not own p, may take the slot of out,
// which does, as to (2).
func (a *assignment) swaps(p, out, in int) bool {
	if a.zones == 1 || a.zone[in] == a.zone[out] {
		return true
	}
	leaves, joins := 0, 0 // owners of the zones of out and in
	for _, o := range a.owners[p] {
		if a.zone[o] == a.zone[out] {
			leaves++
		}
		if a.zone[o] == a.zone[in] {
			joins++
		}
	}
	return joins == 0 || leaves > 1 || a.crowded(a.owners[p]) < a.spare
}
