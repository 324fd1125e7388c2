package quorum

import (
	"slices"
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// Get reads an object: the whole of it from the nearest owner, its context and
// digest from R-1 others. If those are covered it is answered; else the others
// are read whole too, everything is merged, answered, and the stale owners are
// repaired.
type Get struct {
	view View
	key  replica.Key

	fan     fanout
	replies []reply // as fan.order
	seq     uint32
	// hedgeAt is when one owner more may be asked; zero: no more.
	hedgeAt time.Time

	merged   causal.Object
	complete bool // merged covers R answers
	repair   repair
	done     bool
}

// reply is what one owner answered.
type reply struct {
	full    bool // asked for, or answered with, the whole object
	whole   bool // object is here
	context causal.Vector
	digest  uint64
	object  causal.Object
}

// repair is the writing of the merged object to owners that lack it.
type repair struct {
	blocking  bool
	need, got int             // owners that have it durably, if blocking
	sent      []ring.MemberID // parallel to seqs
	seqs      []uint32
	pending   int
}

// NewGet returns the op that reads key.
func NewGet(v View, key replica.Key) *Get {
	fan := newFanout(v, v.Quorums.R)
	return &Get{view: v, key: key, fan: fan, replies: make([]reply, len(fan.order))}
}

// Step implements Op.
func (g *Get) Step(now time.Time, e replica.Event) Effects {
	var fx Effects
	switch e := e.(type) {
	case replica.Begin:
		if g.view.HedgeAfter > 0 {
			g.hedgeAt = now.Add(g.view.HedgeAfter)
		}
	case replica.Answer:
		g.answer(now, e, &fx)
	case replica.Lost:
		g.lost(e.Seq, nil)
	case replica.Tick:
		if !g.view.Deadline.IsZero() && !now.Before(g.view.Deadline) {
			g.finish(&fx, Result{Err: unknown(g.view.Quorums.R, g.fan.count(answered), false)})
			fx.Finished = true
			return fx
		}
		g.hedge(now, e, &fx)
	}
	g.advance(now, &fx)
	return fx
}

// advance asks whom it needs, and answers when it can.
func (g *Get) advance(now time.Time, fx *Effects) {
	if !g.done && !g.complete {
		g.fan.expire(now)
		for n := g.fan.missing(); n > 0; n-- {
			i := g.fan.next()
			if i < 0 {
				break
			}
			g.ask(now, i, !g.wholeComing(), fx)
		}
		if g.fan.hopeless() {
			g.finish(fx, Result{Err: unavailable(g.fan.need, g.fan.count(answered), false, g.fan.lastErr)})
		}
		g.tryComplete(now, fx)
	}
	if g.complete {
		g.checkRepaired(fx)
	}
	if g.done && g.fan.count(outstanding) == 0 && g.repair.pending == 0 {
		fx.Finished = true
		return
	}
	fx.Tick = g.view.Deadline
	if !g.done && !g.complete {
		fx.Tick = earliest(fx.Tick, earliest(g.fan.expire(now), g.hedgeAt))
	}
}

func (g *Get) hedge(now time.Time, e replica.Tick, fx *Effects) {
	if g.hedgeAt.IsZero() || now.Before(g.hedgeAt) {
		return
	}
	g.hedgeAt = time.Time{}
	if i := g.fan.next(); e.MayHedge && !g.complete && !g.done && i >= 0 {
		g.ask(now, i, !g.wholeHere(), fx)
		fx.Hedged = true
	}
}

// wholeHere says that an owner gave the whole object.
func (g *Get) wholeHere() bool {
	return slices.ContainsFunc(g.replies, func(r reply) bool { return r.whole })
}

// wholeComing says that an owner gave the whole object, or may be about to.
func (g *Get) wholeComing() bool {
	for i := range g.fan.order {
		a := &g.fan.order[i]
		if g.replies[i].whole || (a.state == outstanding && !a.replaced && g.replies[i].full) {
			return true
		}
	}
	return false
}

func (g *Get) ask(now time.Time, i int, full bool, fx *Effects) {
	a := &g.fan.order[i]
	a.state, a.since, a.replaced = outstanding, now, false
	a.seq = g.nextSeq()
	g.replies[i].full = full
	fx.Sends = append(fx.Sends, replica.Send{Seq: a.seq, To: a.id, Message: replica.Read{Key: g.key, Full: full}})
}

func (g *Get) nextSeq() uint32 {
	g.seq++
	return g.seq
}

func (g *Get) answer(now time.Time, e replica.Answer, fx *Effects) {
	if i := g.fan.bySeq(e.Seq); i >= 0 {
		switch m := e.Message.(type) {
		case replica.ReadAnswer:
			g.take(now, i, m, fx)
		case replica.Failure:
			g.lost(e.Seq, m.Err)
		default:
			g.lost(e.Seq, replica.Errorf(replica.KindInternal, "an owner answered a read with %T", m))
		}
		return
	}
	g.repaired(e, fx)
}

func (g *Get) take(now time.Time, i int, m replica.ReadAnswer, fx *Effects) {
	r := &g.replies[i]
	if len(m.Object) > 0 {
		o, err := causal.DecodeObject(m.Object)
		if err != nil {
			g.fan.order[i].state = failed
			g.fan.lastErr = replica.Errorf(replica.KindCorrupt, "an owner's answer: %v", err)
			return
		}
		r.object = o
	}
	r.whole = len(m.Object) > 0 || len(m.Context) == 0
	r.context, r.digest = m.Context, m.Digest
	g.fan.order[i].state = answered
	if g.complete {
		// A late one: too late for the answer, not for repair.
		g.startRepair(i, fx)
	}
}

// lost counts an owner out. What it said before is not counted either if the
// whole object was asked of it since: it can't be merged.
func (g *Get) lost(seq uint32, err *replica.Error) {
	if i := g.fan.bySeq(seq); i >= 0 {
		g.fan.order[i].state = failed
		g.replies[i] = reply{}
		if err != nil {
			g.fan.lastErr = err
		}
		return
	}
	for i, s := range g.repair.seqs {
		if s == seq {
			g.repair.seqs[i] = 0
			g.repair.pending--
		}
	}
}

// tryComplete merges what is here. Owners that know something that the merged
// object does not cover are read whole first.
func (g *Get) tryComplete(now time.Time, fx *Effects) {
	if g.done || g.fan.count(answered) < g.fan.need {
		return
	}
	var merged causal.Object
	for i := range g.replies {
		if g.fan.order[i].state == answered && g.replies[i].whole {
			merged = causal.Merge(merged, g.replies[i].object)
		}
	}
	digest := merged.Digest()
	reread := false
	for i := range g.replies {
		r := &g.replies[i]
		if g.fan.order[i].state != answered || r.whole || covered(merged.Context, digest, r) {
			continue
		}
		g.ask(now, i, true, fx)
		reread = true
	}
	if reread {
		return
	}
	g.merged, g.complete = merged, true
	g.startRepairs(fx)
}

// covered says that an object with the given context and digest has all that r
// tells of.
func covered(context causal.Vector, digest uint64, r *reply) bool {
	if context.Equal(r.context) {
		return digest == r.digest
	}
	return context.Dominates(r.context)
}

func (g *Get) finish(fx *Effects, r Result) {
	if g.done {
		return
	}
	g.done = true
	fx.Result = &r
}

func (g *Get) answerMerged(fx *Effects) {
	g.finish(fx, Result{Object: g.merged, Context: g.merged.Context})
}
