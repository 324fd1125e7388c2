package ring

// augment gives a slot of p, for which slots of other partitions, or of p, may
// have to be passed on.
func (n *network) augment(p int) bool {
	at := n.search(p)
	if at < 0 {
		return false
	}
	// All partitions are chosen before the first exchange.
	type step struct{ partition, out, in int }
	var steps []step
	for at != start {
		from := n.via[at]
		switch from {
		case start:
			steps = append(steps, step{p, start, at})
		case len(n.load): // at gives its unit of the pool to the one before
			from = n.via[from]
		default:
			steps = append(steps, step{n.choose(from, at), from, at})
		}
		at = from
	}
	for _, s := range steps {
		n.count(s.partition, -1)
		if s.out != start {
			n.remove(s.partition, s.out)
		}
		n.add(s.partition, s.in)
		n.count(s.partition, 1)
	}
	return true
}

// search finds the shortest paths from p to all members, some arcs of which have
// negative costs (Bellman and Ford, with a queue: Ahuja, Magnanti, Orlin, section
// 5.4). It returns the nearest member with room, of several that which most lacks
// slots; -1 if there is none.
func (n *network) search(p int) int {
	pool := len(n.load)
	queue, queued := make([]int, 0, pool+1), make([]bool, pool+1)
	for i := range n.dist {
		n.dist[i] = infinite
	}
	relax := func(from, to, dist int) {
		if dist < n.dist[to] {
			n.dist[to], n.via[to] = dist, from
			if !queued[to] {
				queue, queued[to] = append(queue, to), true
			}
		}
	}
	for m := range n.load {
		if n.takes(p, m) && n.may(p, m) {
			relax(start, m, n.cost(p, m)*perCost+1)
		}
	}
	for len(queue) > 0 {
		at := queue[0]
		queue, queued[at] = queue[1:], false
		if at == pool {
			for m, load := range n.load {
				if load > n.lo[m] {
					relax(pool, m, n.dist[pool]+1)
				}
			}
			continue
		}
		if n.load[at] >= n.lo[at] && n.load[at] < n.hi[at] && n.pool == 0 {
			relax(at, pool, n.dist[at]+1)
		}
		for to, cost := range n.best[at*pool : (at+1)*pool] {
			if cost != noArc {
				relax(at, to, n.dist[at]+int(cost)*perCost+1)
			}
		}
	}
	end := -1
	for m := range n.load {
		if !n.room(m) || n.dist[m] == infinite {
			continue
		}
		if end < 0 || n.dist[m] < n.dist[end] || n.dist[m] == n.dist[end] && n.target[m]-n.load[m] > n.target[end]-n.load[end] {
			end = m
		}
	}
	return end
}

// choose returns a partition at which from may pass its slot to to at the least
// cost: that where to shares least with the other owners.
func (n *network) choose(from, to int) int {
	cost := int(n.best[from*len(n.load)+to])
	best, bestShared := -1, 0
	for _, p := range n.at[from] {
		if n.has(p, to) || !n.may(p, from) || !n.may(p, to) || n.cost(p, to)-n.cost(p, from) != cost || !n.swaps(p, from, to) {
			continue
		}
		shared := 0
		for _, o := range n.owners[p] {
			shared += n.shared[to*len(n.load)+o]
		}
		if best < 0 || shared < bestShared {
			best, bestShared = p, shared
		}
	}
	return best
}
