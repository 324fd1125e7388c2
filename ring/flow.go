package ring

import (
	"errors"
	"math"
	"slices"
)

// flow is a placement in the making, seen from the members: slots flow from those
// that have too many to those that have too few. Taking a slot of a partition from
// u and giving it to v is an arc from u to v of the residual network, of a cost: one
// if v is new to the partition, less one if u was. A shortest path from a member
// with too many to one with too few therefore balances the two with as few new
// owners as can be, over other members if it must.
//
// Invariant: the owners of every partition are distinct, and those that stay cover
// with their zones, counting one that is to go as any zone, what they have to.
type flow struct {
	ring     *Ring
	nodes    []node // candidates by id, then owners that are none
	index    map[MemberID]int
	owners   [][]int // by partition, in no order
	present  [][]int // owners of the ring, by slot; nil if there are none
	zones    int     // that a partition has to cover
	zonesNow int
	// arcs has for a pair of nodes and a cost, from -1 to 1, partitions that may
	// have such an arc. What an entry says is looked at again before it is believed.
	arcs [][3][]int32
	// cheapest has for a pair of nodes what arc found, until one of its partitions
	// changes.
	cheapest []cheapest
}

// cheapest is the cheapest arc of a pair, if there is one.
type cheapest struct {
	known, ok bool
	cost      int
	p         int
}

// node is a member with its share.
type node struct {
	id          MemberID
	zone        int // -1: of a member that is to go
	share       float64
	least, most int // slots that are within one of the share
	count       int
	weight      int
}

func newFlow(r *Ring, members []Member) *flow {
	f := &flow{ring: r, index: make(map[MemberID]int)}
	weights := make([]int, len(members))
	zones := make(map[string]int)
	for i, m := range members {
		weights[i] = m.Weight
		if _, ok := zones[m.Zone]; !ok {
			zones[m.Zone] = len(zones)
		}
		f.index[m.ID] = i
	}
	for i, share := range shares(r.Partitions(), r.Replicas(), weights) {
		// What a float lacks of a whole number is no slot.
		f.nodes = append(f.nodes, node{
			id: members[i].ID, zone: zones[members[i].Zone], share: share, weight: members[i].Weight,
			least: int(math.Floor(share + 1e-9)), most: int(math.Ceil(share - 1e-9)),
		})
	}
	f.zones = min(r.Replicas(), len(zones))
	for _, id := range r.Members() {
		if _, ok := f.index[id]; !ok {
			f.index[id] = len(f.nodes)
			f.nodes = append(f.nodes, node{id: id, zone: -1})
		}
	}
	f.owners = make([][]int, r.Partitions())
	if r.HasOwners() {
		f.present = make([][]int, r.Partitions())
		for p := range f.owners {
			for _, id := range r.Owners(PartitionID(p)) {
				f.present[p] = append(f.present[p], f.index[id])
			}
			f.owners[p] = slices.Clone(f.present[p])
		}
	} else {
		f.scatter(members)
	}
	for _, owners := range f.owners {
		for _, u := range owners {
			f.nodes[u].count++
		}
	}
	f.zonesNow = f.covered()
	return f
}

// scatter makes a first placement where there is none: the consistent library's
// proposal, then, one by one, whoever shares least with the partition's owners
// relative to what it may take, of zones that it does not have as long as there are.
func (f *flow) scatter(members []Member) {
	left := make([]float64, len(f.nodes))
	for i := range f.nodes {
		left[i] = f.nodes[i].share
	}
	shared := newPairs(len(f.nodes))
	for p, first := range propose(members, len(f.owners)) {
		f.owners[p] = []int{first}
		left[first]--
	}
	for round := 1; round < f.ring.Replicas(); round++ {
		for p := range f.owners {
			best, bestCost := -1, 0.0
			for v := range f.nodes {
				if slices.Contains(f.owners[p], v) {
					continue
				}
				cost := -left[v] * float64(f.ring.Replicas()*len(f.nodes)) / float64(len(f.owners))
				for _, o := range f.owners[p] {
					cost += float64(shared.of(o, v))
				}
				if round < f.zones && f.has(p, f.nodes[v].zone) {
					cost += float64(4 * len(f.owners))
				}
				if best < 0 || cost < bestCost {
					best, bestCost = v, cost
				}
			}
			for _, o := range f.owners[p] {
				shared.add(o, best, 1)
			}
			f.owners[p] = append(f.owners[p], best)
			left[best]--
		}
	}
}

func (f *flow) has(p, zone int) bool {
	return slices.ContainsFunc(f.owners[p], func(o int) bool { return f.nodes[o].zone == zone })
}

// covers counts the zones of p's owners, u replaced by v; one that is to go counts
// as any.
func (f *flow) covers(p, u, v int) int {
	var seen [ReplicasMax]int
	n, any := 0, 0
	for _, o := range f.owners[p] {
		if o == u {
			o = v
		}
		zone := f.nodes[o].zone
		if zone < 0 {
			any++
		} else if !slices.Contains(seen[:n], zone) {
			seen[n] = zone
			n++
		}
	}
	return n + any
}

// covered is the fewest zones that the owners of a partition cover.
func (f *flow) covered() int {
	least := f.ring.Replicas()
	for p, owners := range f.owners {
		gone := 0
		for _, o := range owners {
			if f.nodes[o].zone < 0 {
				gone++
			}
		}
		least = min(least, f.covers(p, -1, -1)-gone)
	}
	return least
}

// solve makes the placement one that satisfies Plan.
func (f *flow) solve() error {
	f.coverZones()
	f.arcs = make([][3][]int32, len(f.nodes)*len(f.nodes))
	f.cheapest = make([]cheapest, len(f.arcs))
	for p := range f.owners {
		f.addArcs(p)
	}
	// Every path brings the counts closer to the shares, or lowers the cost: far
	// more of them than slots would be an error of this algorithm.
	for range 16 * (len(f.owners)*f.ring.Replicas() + len(f.nodes)) {
		path := f.path()
		if path == nil {
			return nil
		}
		f.push(path)
	}
	return errors.New("ring: the placement did not come to an end")
}

// coverZones exchanges owners of zones that a partition has twice for members of
// zones that it lacks.
func (f *flow) coverZones() {
	over := func(i int) float64 { return float64(f.nodes[i].count) - f.nodes[i].share }
	for p := range f.owners {
		for f.covers(p, -1, -1) < f.zones {
			from, to := -1, -1
			for _, u := range f.owners[p] {
				twice := 0
				for _, o := range f.owners[p] {
					if f.nodes[o].zone == f.nodes[u].zone {
						twice++
					}
				}
				if twice > 1 && (from < 0 || over(u) > over(from)) {
					from = u
				}
			}
			for v, n := range f.nodes {
				if n.zone >= 0 && !f.has(p, n.zone) && (to < 0 || over(v) < over(to)) {
					to = v
				}
			}
			f.replace(p, from, to)
		}
	}
}

func (f *flow) replace(p, u, v int) {
	f.owners[p][slices.Index(f.owners[p], u)] = v
	f.nodes[u].count--
	f.nodes[v].count++
}

// isNew says that a member does not own a slot of p by the ring.
func (f *flow) isNew(p, u int) int {
	if f.present == nil || slices.Contains(f.present[p], u) {
		return 0
	}
	return 1
}

// cost of giving u's slot of p to v, if that may be.
func (f *flow) cost(p, u, v int) (int, bool) {
	if f.nodes[v].zone < 0 || !slices.Contains(f.owners[p], u) || slices.Contains(f.owners[p], v) || f.covers(p, u, v) < f.zones {
		return 0, false
	}
	return f.isNew(p, v) - f.isNew(p, u), true
}

// addArcs notes the arcs that p has as its owners are now.
func (f *flow) addArcs(p int) {
	for _, u := range f.owners[p] {
		for v := range f.nodes {
			if cost, ok := f.cost(p, u, v); ok {
				at := &f.arcs[u*len(f.nodes)+v][cost+1]
				*at = append(*at, int32(p))
			}
			f.cheapest[u*len(f.nodes)+v] = cheapest{}
		}
	}
}

// arc returns the cheapest arc from u to v, and the partition that has it.
func (f *flow) arc(u, v int) (cost, p int, ok bool) {
	c := &f.cheapest[u*len(f.nodes)+v]
	if !c.known {
		c.cost, c.p, c.ok = f.findArc(u, v)
		c.known = true
	}
	return c.cost, c.p, c.ok
}

func (f *flow) findArc(u, v int) (cost, p int, ok bool) {
	for i := range 3 {
		at := &f.arcs[u*len(f.nodes)+v][i]
		for len(*at) > 0 {
			p := int((*at)[len(*at)-1])
			if cost, ok := f.cost(p, u, v); ok && cost+1 == i {
				return cost, p, true
			}
			*at = (*at)[:len(*at)-1]
		}
	}
	return 0, 0, false
}

// unbalanced is the cost of a count that is off the share by one more: above what
// any number of moves costs.
const unbalanced = 1 << 30

// leaving is the cost of a slot that stays with who is to go: above what any
// placement's balance costs.
const leaving = 1 << 50

// path is a shortest one along which a slot may flow, or a cycle of negative cost;
// nil if neither would make the placement better. From any node with slots to give,
// the cost of a count below the share weighs most (Bellman 1958, Ford 1956).
func (f *flow) path() []int {
	n := len(f.nodes)
	dist, via := make([]int, n), make([]int, n)
	queue := make([]int, 0, n)
	queued := make([]bool, n)
	hops := make([]int, n)
	for u := range f.nodes {
		via[u] = -1
		dist[u] = giving(f.nodes[u])
		queue, queued[u] = append(queue, u), true
	}
	for len(queue) > 0 {
		u := queue[0]
		queue = queue[1:]
		queued[u] = false
		for v := range f.nodes {
			if v == u {
				continue
			}
			cost, _, ok := f.arc(u, v)
			if !ok || dist[u]+cost >= dist[v] {
				continue
			}
			dist[v], via[v], hops[v] = dist[u]+cost, u, hops[u]+1
			if hops[v] >= n {
				return cycle(via, v)
			}
			if !queued[v] {
				queue, queued[v] = append(queue, v), true
			}
		}
	}
	best, bestCost := -1, 0
	for v := range f.nodes {
		if via[v] < 0 {
			continue
		}
		if cost := dist[v] + taking(f.nodes[v]); cost < bestCost {
			best, bestCost = v, cost
		}
	}
	if best < 0 {
		return nil
	}
	path := []int{best}
	for u := via[best]; u >= 0; u = via[u] {
		path = append(path, u)
	}
	slices.Reverse(path)
	return path
}

// giving is what it costs a node to have one slot less, taking to have one more.
func giving(n node) int {
	switch {
	case n.zone < 0 && n.count > 0:
		return -leaving
	case n.count > n.most:
		return -unbalanced
	case n.count <= n.least:
		return unbalanced
	}
	return 0
}

func taking(n node) int {
	switch {
	case n.count < n.least:
		return -unbalanced
	case n.count >= n.most:
		return unbalanced
	}
	return 0
}

// cycle returns one that the predecessors of v lead into, from a node to itself.
func cycle(via []int, v int) []int {
	seen := make([]bool, len(via))
	for v >= 0 && !seen[v] {
		seen[v] = true
		v = via[v]
	}
	if v < 0 {
		return nil
	}
	path := []int{v}
	for u := via[v]; u != v; u = via[u] {
		path = append(path, u)
	}
	path = append(path, v)
	slices.Reverse(path)
	return path
}

// push lets a slot flow along a path. An arc that an earlier one of the path took
// away ends it: what came so far is a placement, too.
func (f *flow) push(path []int) {
	for i := range len(path) - 1 {
		_, p, ok := f.arc(path[i], path[i+1])
		if !ok {
			return
		}
		f.replace(p, path[i], path[i+1])
		for v := range f.nodes {
			f.cheapest[path[i]*len(f.nodes)+v] = cheapest{}
		}
		f.addArcs(p)
	}
}

// least is how many slots have to move for the counts alone.
func (f *flow) least() int {
	if f.present == nil {
		return len(f.owners) * f.ring.Replicas()
	}
	have := make([]int, len(f.nodes))
	for _, owners := range f.present {
		for _, u := range owners {
			have[u]++
		}
	}
	over, under := 0, 0
	for i, n := range f.nodes {
		over += max(0, have[i]-n.most)
		under += max(0, n.least-have[i])
	}
	return max(over, under)
}
