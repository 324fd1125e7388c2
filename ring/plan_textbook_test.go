package ring_test

import (
	"math"

	"github.com/ringd/ringd/ring"
)

// leastByFlow is the least number of moves, by the textbook: a network with an
// arc for everything, lower bounds as arcs of a great negative cost, and
// Bellman-Ford for each unit. It is slow.
func leastByFlow(r *ring.Ring, ms []ring.Member, bs []bound) (least int, ok bool) {
	const great = 1 << 20
	q, n := r.Partitions(), r.Replicas()
	zone, zones := zonesOf(ms)
	g := &graph{}
	source, sink := g.node(), g.node()
	member := make([]int, len(ms))
	lower := 0
	for i, b := range bs {
		member[i] = g.node()
		g.arc(member[i], sink, b.lo, -great)
		g.arc(member[i], sink, b.hi-b.lo, 0)
		lower += b.lo
	}
	for p := range q {
		part := g.node()
		g.arc(source, part, n, 0)
		in := make([]int, zones)
		for z := range in {
			in[z] = g.node()
			if n < zones {
				g.arc(part, in[z], 1, 0)
			} else {
				g.arc(part, in[z], 1, -great)
				g.arc(part, in[z], n-zones, 0)
				lower++
			}
		}
		for i, m := range ms {
			cost := 1
			if r.HasOwners() && r.IsOwner(ring.PartitionID(p), n, m.ID) {
				cost = 0
			}
			g.arc(in[zone[i]], member[i], 1, cost)
		}
	}
	sent, cost := g.send(source, sink)
	return cost + lower*great, sent == q*n && cost+lower*great <= q*n
}

type graph struct {
	out  [][]int // arcs by node; an arc's reverse is its number xor 1
	to   []int
	room []int
	cost []int
}

func (g *graph) node() int {
	g.out = append(g.out, nil)
	return len(g.out) - 1
}

func (g *graph) arc(from, to, room, cost int) {
	g.out[from] = append(g.out[from], len(g.to))
	g.out[to] = append(g.out[to], len(g.to)+1)
	g.to, g.room, g.cost = append(g.to, to, from), append(g.room, room, 0), append(g.cost, cost, -cost)
}

func (g *graph) send(source, sink int) (sent, cost int) {
	for {
		dist, via := make([]int, len(g.out)), make([]int, len(g.out))
		for v := range dist {
			dist[v], via[v] = math.MaxInt/2, -1
		}
		dist[source] = 0
		queue, queued := []int{source}, make([]bool, len(g.out))
		for len(queue) > 0 {
			v := queue[0]
			queue, queued[v] = queue[1:], false
			for _, e := range g.out[v] {
				if w := g.to[e]; g.room[e] > 0 && dist[v]+g.cost[e] < dist[w] {
					dist[w], via[w] = dist[v]+g.cost[e], e
					if !queued[w] {
						queue, queued[w] = append(queue, w), true
					}
				}
			}
		}
		if via[sink] < 0 {
			return sent, cost
		}
		for v := sink; v != source; v = g.to[via[v]^1] {
			g.room[via[v]]--
			g.room[via[v]^1]++
		}
		sent, cost = sent+1, cost+dist[sink]
	}
}
