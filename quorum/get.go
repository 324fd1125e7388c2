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
//
// Every owner's answer counts as if its context included what its vnode has seen:
// a sibling that it covers and does not have was overwritten or deleted, though
// it may be the answer of another. What the client gets as context leaves that out.
//
// If one answer suffices, need not be an owner's, and need not be at W owners beforehand, this
// member's own copy is asked first.
type Get struct {
	view View
	key  replica.Key

	fan     fanout
	replies []reply // as fan.order
	seq     uint32
	// hedgeAt is when one owner more may be asked; zero: no more.
	hedgeAt time.Time

	merged   causal.Object // its context without what was seen
	complete bool          // merged covers R answers
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
	seen    causal.Vector
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
	fan.owners = v.Quorums.PR
	if v.Quorums.Sloppy {
		fan.addFallbacks(v)
	}
	if q := v.Quorums; q.Sloppy && q.R == 1 && q.PR == 0 && !q.RepairBlocking && slices.Contains(v.Copies, v.Self) {
		fan.order = slices.Insert(fan.order, 0, asked{id: v.Self})
	}
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
			g.finish(&fx, Result{Err: unknown(g.view.Quorums.R, g.fan.got(), false)})
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
		for i := g.fan.next(); i >= 0; i = g.fan.next() {
			g.ask(now, i, !g.wholeComing(), fx)
		}
		if g.fan.hopeless() {
			g.finish(fx, Result{Err: unavailable(g.fan.need, g.fan.got(), false, g.fan.lastErr)})
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
	if i := g.fan.nextOwner(); e.MayHedge && !g.complete && !g.done && i >= 0 {
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
	fx.Sends = append(fx.Sends, replica.Send{Seq: a.seq, To: a.id, Fallback: a.fallback, Message: replica.Read{Key: g.key, Full: full}})
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
	a := &g.fan.order[i]
	// Record and seen of an earlier answer go together: they are of one step.
	g.replies[i] = reply{
		full: g.replies[i].full, whole: len(m.Object) > 0 || len(m.Context) == 0,
		context: m.Context, digest: m.Digest, seen: m.Seen,
	}
	if len(m.Object) > 0 {
		o, err := causal.DecodeObject(m.Object)
		if err != nil {
			g.replies[i] = reply{}
			a.state = failed
			g.fan.lastErr = replica.Errorf(replica.KindCorrupt, "an owner's answer: %v", err)
			return
		}
		g.replies[i].object = o
	}
	a.state, a.empty = answered, a.fallback && len(m.Context) == 0
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
// object does not cover, or that may have seen something of it deleted, are read
// whole first.
func (g *Get) tryComplete(now time.Time, fx *Effects) {
	if g.done || !g.fan.enough() {
		return
	}
	merged := g.merge()
	reread := false
	for i := range g.replies {
		if g.fan.order[i].state == answered && !g.settled(i, merged) {
			g.ask(now, i, true, fx)
			reread = true
		}
	}
	if reread {
		return
	}
	g.merged, g.complete = merged, true
	g.startRepairs(fx)
}

// merge returns what the answers that are whole, and those equal to one of them,
// add up to, each with what its vnode has seen; the context is without that. What
// is left of a deletion stays, though some have forgotten it: there is nothing to
// tell them.
func (g *Get) merge() causal.Object {
	var plain, judged causal.Object
	for i := range g.replies {
		r := &g.replies[i]
		if g.fan.order[i].state != answered {
			continue
		}
		o := r.object
		if !r.whole {
			like := g.like(r)
			if like == nil {
				continue
			}
			o = like.object
		}
		plain = causal.Merge(plain, o)
		o.Context = o.Context.Join(r.seen)
		judged = causal.Merge(judged, o)
	}
	if judged.Live() {
		return causal.Object{Context: plain.Context, Siblings: judged.Siblings}
	}
	isValue := func(s causal.Sibling) bool { return !s.Tombstone }
	return causal.Object{Context: plain.Context, Siblings: slices.DeleteFunc(slices.Clone(plain.Siblings), isValue)}
}

// like returns a whole answer that is equal to r; nil if there is none.
func (g *Get) like(r *reply) *reply {
	for i := range g.replies {
		if w := &g.replies[i]; g.fan.order[i].state == answered && w.whole && w.context.Equal(r.context) && w.digest == r.digest {
			return w
		}
	}
	return nil
}

// settled says that nothing more needs to be known of answer i: it is whole, or
// equal to one that is, or older, and its vnode has not seen what is merged.
func (g *Get) settled(i int, merged causal.Object) bool {
	r := &g.replies[i]
	if r.whole || g.like(r) != nil {
		return true
	}
	if !merged.Context.Dominates(r.context) {
		return false
	}
	return !slices.ContainsFunc(merged.Siblings, func(s causal.Sibling) bool {
		return r.context.Covers(s.Dot) || r.seen.Covers(s.Dot)
	})
}

func (g *Get) finish(fx *Effects, r Result) {
	if g.done {
		return
	}
	g.done = true
	fx.Result = &r
}

func (g *Get) answerMerged(fx *Effects) {
	g.finish(fx, Result{Object: g.merged, Context: causal.Context{Seen: g.merged.Context}})
}
