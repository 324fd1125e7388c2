package quorum

import (
	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
)

// startRepairs sends the merged object to the owners that answered with less.
// Blocking, the answer waits until W owners have it durably: those that
// answered with all of it do, since nothing is answered before it is synced.
func (g *Get) startRepairs(fx *Effects) {
	g.repair.blocking = g.view.Quorums.RepairBlocking && len(g.merged.Context) > 0
	g.repair.need = g.view.Quorums.W
	for i := range g.replies {
		if g.fan.order[i].state == answered {
			g.startRepair(i, fx)
		}
	}
	if !g.repair.blocking {
		g.answerMerged(fx)
	}
}

// startRepair compares what owner i answered with the merged object, and sends
// it if that is less. Fallbacks are not repaired: what they keep is delivered.
func (g *Get) startRepair(i int, fx *Effects) {
	if g.fan.order[i].fallback {
		return
	}
	r := &g.replies[i]
	switch {
	case r.whole:
		if _, outcome := causal.Receive(r.object, r.seen, g.merged); outcome != causal.Unchanged {
			g.sendRepair(i, fx)
			return
		}
		g.repair.got++
	case g.merged.Context.Equal(r.context) && g.merged.Digest() == r.digest:
		g.repair.got++
	case g.merged.Context.Dominates(r.context):
		g.sendRepair(i, fx)
	}
	// Else it knows more than was answered: a later read's to find.
}

func (g *Get) sendRepair(i int, fx *Effects) {
	seq := g.nextSeq()
	to := g.fan.order[i].id
	g.repair.sent = append(g.repair.sent, to)
	g.repair.seqs = append(g.repair.seqs, seq)
	g.repair.pending++
	fx.Repairs++
	fx.Sends = append(fx.Sends, replica.Send{Seq: seq, To: to, Message: replica.Store{
		Key: g.key, Object: causal.AppendObject(nil, g.merged),
	}})
}

func (g *Get) repaired(e replica.Answer, fx *Effects) {
	for i, seq := range g.repair.seqs {
		if seq != e.Seq || seq == 0 {
			continue
		}
		g.repair.seqs[i] = 0
		g.repair.pending--
		if a, ok := e.Message.(replica.StoreAnswer); ok && a.Durable {
			g.repair.got++
		}
		if f, ok := e.Message.(replica.Failure); ok {
			g.fan.lastErr = f.Err
		}
	}
}

// checkRepaired answers a blocking repair: with the object once W owners have
// it, asking further owners to take it if those that answered are too few.
func (g *Get) checkRepaired(fx *Effects) {
	if g.done || !g.repair.blocking {
		return
	}
	if g.repair.got >= g.repair.need {
		g.answerMerged(fx)
		return
	}
	for g.repair.got+g.repair.pending < g.repair.need {
		i := g.unrepaired()
		if i < 0 {
			g.finish(fx, Result{Err: unavailable(g.repair.need, g.repair.got, false, g.fan.lastErr)})
			return
		}
		g.sendRepair(i, fx)
	}
}

// unrepaired returns an owner that neither answered the read nor was sent the
// merged object; -1 if there is none.
func (g *Get) unrepaired() int {
next:
	for i := range g.fan.order {
		a := &g.fan.order[i]
		if a.state == answered || a.state == failed || a.fallback {
			continue
		}
		for _, id := range g.repair.sent {
			if id == a.id {
				continue next
			}
		}
		return i
	}
	return -1
}
