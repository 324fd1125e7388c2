package ring

import (
	"cmp"
	"fmt"
	"slices"
)

// network is the min-cost flow of slots: from partitions, N units each, through
// their zones to members, each arc with an upper bound, and a cost of 1 where the
// member is a new owner of the partition.
//
//	partition -> (partition, zone)  1: an owner that covers the zone
//	partition -> spare of it        N - zones, or 0; and on to (partition, zone)
//	(partition, zone) -> member     1
//	member -> end                   lo
//	member -> pool -> end           hi - lo; and of all members together, what is
//	                                left when each has lo
//
// There are only upper bounds: a flow of all Q*N units has to meet the lower ones
// too. It is found by successive shortest paths (Ahuja, Magnanti, Orlin: Network
// Flows, section 9.7). What stays of the present placement costs nothing, so
// any part of it that keeps the bounds is a cheapest flow of its size to start
// from, and only the rest is searched for.
//
// Members stand for the whole network in the search: between two of them there are
// as many arcs as partitions at which one could take over the slot of the other,
// of a cost from -1 to 1, and it is enough to count them. A path that is the
// shortest, and of these one with the fewest arcs, passes no node of the
// network twice, or it could be cut short; so all its exchanges are possible
// together, whichever partitions are chosen for them.
type network struct {
	*assignment
	lo, hi []int
	pool   int // what is left of it
	// fixed holds the owners that stay, and no others of before, and makes all
	// costs 0.
	fixed bool
	arcs  [][3]int32 // at from*M+to, by cost+1: how many partitions
	best  []int8     // at from*M+to: the least cost of an arc, noArc for none
	// search fills these, by member, the pool last: the length of the shortest
	// path, and what is before on it.
	dist, via []int
}

const (
	noArc = 2
	start = -1
	// perCost orders paths by cost, then by arcs. No path has so many arcs.
	perCost  = 1 << 24
	infinite = 1 << 50
)

func newNetwork(a *assignment, lo, hi []int) *network {
	m := len(a.members)
	n := &network{
		assignment: a, lo: lo, hi: hi, pool: a.partitions * a.replicas,
		arcs: make([][3]int32, m*m), best: slices.Repeat([]int8{noArc}, m*m), dist: make([]int, m+1), via: make([]int, m+1),
	}
	for i := range lo {
		n.pool -= lo[i] + max(0, a.load[i]-lo[i])
	}
	return n
}

// flow is what stays, and what the least number of moves brings about.
type flow struct {
	*assignment       // the owners that stay
	goal        []int // slots of each member, with which the rest can be given
	least       int
}

// stays finds what stays. Without owners there is nothing to find: by (1) to
// (3) any placement of all slots will do, and the rounded shares allow one.
func (pr *problem) stays(owned bool) (flow, error) {
	a := newAssignment(pr)
	if !owned {
		return flow{a, pr.target, pr.partitions * pr.replicas}, nil
	}
	lo, hi := make([]int, len(pr.members)), make([]int, len(pr.members))
	for m, s := range pr.shares {
		lo[m], hi[m] = s.bounds(pr.partitions)
	}
	n := newNetwork(a, lo, hi)
	for _, l := range pr.lottery() {
		if n.room(l.member) && a.takes(l.partition, l.member) {
			n.add(l.partition, l.member)
		}
	}
	if err := n.complete(); err != nil {
		return flow{}, err
	}
	out := flow{newAssignment(pr), slices.Clone(a.load), 0}
	for p, owners := range a.owners {
		for _, m := range owners {
			if pr.isNew(p, m) {
				out.least++
			} else {
				out.give(p, m)
			}
		}
	}
	return out, nil
}

// lot is an owner of a partition, and its place in the lottery.
type lot struct {
	partition, member int
	rank              uint64
}

// lottery lists the present owners in an order in which those at the end, who are
// the first to lose a slot, have not much to do with each other: else who joins
// would share its partitions with few, and most of all with who joined before.
func (pr *problem) lottery() []lot {
	var out []lot
	for p, was := range pr.was {
		for _, m := range was {
			if m >= 0 {
				out = append(out, lot{p, m, rendezvous(PartitionID(p), pr.members[m].ID)})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b lot) int { return cmp.Compare(a.rank, b.rank) })
	return out
}

// room reports whether m may get one slot more without passing another on.
func (n *network) room(m int) bool {
	return n.load[m] < n.lo[m] || n.load[m] < n.hi[m] && n.pool > 0
}

func (n *network) add(p, m int) {
	if n.load[m] >= n.lo[m] {
		n.pool--
	}
	n.give(p, m)
}

func (n *network) remove(p, m int) {
	n.take(p, m)
	if n.load[m] >= n.lo[m] {
		n.pool++
	}
}

// complete gives every slot that has no owner yet, each along a shortest path.
func (n *network) complete() error {
	counted := false
	for p := range n.owners {
		for len(n.owners[p]) < n.replicas {
			if !counted {
				for q := range n.owners {
					n.count(q, 1)
				}
				counted = true
			}
			if !n.augment(p) {
				return fmt.Errorf("ring: no placement of %d partitions with %d slots on %d members was found", n.partitions, n.replicas, len(n.members))
			}
		}
	}
	return nil
}

// may reports whether p's arc to m can change.
func (n *network) may(p, m int) bool { return !n.fixed || n.isNew(p, m) }

// cost of m as an owner of p.
func (n *network) cost(p, m int) int {
	if n.fixed || !n.isNew(p, m) {
		return 0
	}
	return 1
}

// count adds the arcs of p, or, with -1, takes them out.
func (n *network) count(p int, by int32) {
	for _, from := range n.owners[p] {
		if !n.may(p, from) {
			continue
		}
		row := from * len(n.load)
		for to := range n.load {
			if n.has(p, to) || !n.may(p, to) || !n.swaps(p, from, to) {
				continue
			}
			arcs := &n.arcs[row+to]
			arcs[1+n.cost(p, to)-n.cost(p, from)] += by
			n.best[row+to] = noArc
			for c, k := range arcs {
				if k > 0 {
					n.best[row+to] = int8(c - 1)
					break
				}
			}
		}
	}
}
