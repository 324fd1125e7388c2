package quorum

import (
	"slices"
	"time"

	"github.com/ringd/ringd/replica"
)

// Forward hands a write to an owner, because owners give dots and this member is
// none. One that refuses, or can't be reached, is replaced by the
// next; so is one that has not answered for ReadAfter: the request id makes the
// two one write. Who gets it does not forward it again.
//
// After the owners a sloppy write goes to the fallbacks that are up, in order.
// Where that is this member, it coordinates, and asks nobody else meanwhile.
type Forward struct {
	view  View
	write replica.Write

	fan   fanout
	seq   uint32
	maybe bool // somebody may have applied it
	done  bool

	own handover
}

// handover is the Put that this member coordinates as a fallback. Its Sends have
// ownSeqs + their own numbers.
type handover struct {
	put      *Put // nil until it is this member's turn
	tick     time.Time
	refused  bool // nothing was written: the next may take it
	finished bool
}

// ownSeqs keeps the numbers of a handover's Sends apart from the forwards'.
const ownSeqs = 1 << 20

// NewForward returns the op that forwards w.
func NewForward(v View, w replica.Write) *Forward {
	f := &Forward{view: v, write: w, fan: newFanout(v, 1)}
	if v.Quorums.Sloppy {
		for _, c := range v.Fallbacks {
			if c.Up {
				f.fan.order = append(f.fan.order, asked{id: c.ID})
			}
		}
	}
	return f
}

// Route says who coordinates a write.
type Route uint8

// The routes.
const (
	// RouteForward: another member; the op is a Forward.
	RouteForward Route = iota
	// RouteOwner: this member, as an owner; the op is a Put.
	RouteOwner
	// RouteFallback: this member, as a fallback; the op is a Put.
	RouteFallback
	// RouteRefused: this member was asked as an owner, and is none.
	RouteRefused
)

// RouteOf says who coordinates a write, as v's member sees it. A forwarded one
// goes no further: who sent it could reach no owner.
func RouteOf(v View, forwarded bool) Route {
	ownerUp := false
	for _, c := range v.Owners {
		if c.ID == v.Self {
			return RouteOwner
		}
		ownerUp = ownerUp || c.Up
	}
	switch {
	case forwarded && v.Quorums.Sloppy:
		return RouteFallback
	case forwarded:
		return RouteRefused
	case ownerUp || !v.Quorums.Sloppy:
		return RouteForward
	}
	for _, c := range v.Fallbacks {
		if c.Up {
			if c.ID == v.Self {
				return RouteFallback
			}
			break
		}
	}
	return RouteForward
}

// Step implements Op.
func (f *Forward) Step(now time.Time, e replica.Event) Effects {
	var fx Effects
	switch e := e.(type) {
	case replica.Answer:
		if e.Seq > ownSeqs {
			e.Seq -= ownSeqs
			f.stepOwn(now, e, &fx)
			break
		}
		f.answer(e, &fx)
	case replica.Lost:
		if e.Seq > ownSeqs {
			e.Seq -= ownSeqs
			f.stepOwn(now, e, &fx)
		} else if i := f.fan.bySeq(e.Seq); i >= 0 {
			f.fan.order[i].state = failed
			f.maybe = f.maybe || e.Sent
		}
	case replica.Tick:
		f.stepOwn(now, e, &fx)
		if !f.view.Deadline.IsZero() && !now.Before(f.view.Deadline) {
			f.finish(&fx, Result{Err: unknown(1, 0, f.maybe || f.fan.count(outstanding) > 0)})
		}
	}
	for !f.done && (f.own.put == nil || f.own.refused) {
		f.fan.expire(now)
		i := f.fan.next()
		if i < 0 {
			break
		}
		f.ask(now, i, &fx)
	}
	if f.done {
		fx.Finished = f.own.put == nil || f.own.finished
		fx.Tick = f.own.tick
		return fx
	}
	if f.fan.hopeless() {
		err := f.fan.lastErr
		if err == nil || f.maybe {
			err = unavailable(1, 0, f.maybe, err)
		}
		f.finish(&fx, Result{Err: err})
		fx.Finished = true
		return fx
	}
	fx.Tick = earliest(f.view.Deadline, f.own.tick)
	if f.own.put == nil || f.own.refused {
		fx.Tick = earliest(fx.Tick, f.fan.expire(now))
	}
	return fx
}

func (f *Forward) ask(now time.Time, i int, fx *Effects) {
	a := &f.fan.order[i]
	a.state, a.since = outstanding, now
	if a.id == f.view.Self {
		f.own.put = NewPut(f.view, f.write)
		f.stepOwn(now, replica.Begin{}, fx)
		return
	}
	f.seq++
	a.seq = f.seq
	fx.Sends = append(fx.Sends, replica.Send{Seq: f.seq, To: a.id, Message: replica.Forward{Write: f.write}})
}

// stepOwn steps the Put of this member, if it coordinates.
func (f *Forward) stepOwn(now time.Time, e replica.Event, fx *Effects) {
	if f.own.put == nil || f.own.finished {
		return
	}
	own := f.own.put.Step(now, e)
	for _, s := range own.Sends {
		s.Seq += ownSeqs
		fx.Sends = append(fx.Sends, s)
	}
	fx.Hedged, fx.Repairs = own.Hedged, own.Repairs
	f.own.tick, f.own.finished = own.Tick, own.Finished
	switch r := own.Result; {
	case r == nil:
	case r.Err == nil:
		f.finish(fx, *r)
	default:
		i := slices.IndexFunc(f.fan.order, func(a asked) bool { return a.id == f.view.Self })
		f.failed(i, r.Err, fx)
		f.own.refused = true
	}
}

func (f *Forward) answer(e replica.Answer, fx *Effects) {
	i := f.fan.bySeq(e.Seq)
	if i < 0 {
		return
	}
	switch m := e.Message.(type) {
	case replica.ForwardAnswer:
		f.finish(fx, Result{Object: m.Result.Object, Context: m.Result.Context})
	case replica.Failure:
		f.failed(i, m.Err, fx)
	default:
		f.fan.order[i].state = failed
		f.maybe = true
	}
}

// failed goes on without i, unless the others would answer the same.
func (f *Forward) failed(i int, err *replica.Error, fx *Effects) {
	f.fan.order[i].state = failed
	f.fan.lastErr = err
	// One that was replaced, and has not answered, may be at it yet.
	maybe := f.maybe || f.fan.count(outstanding) > 0
	f.maybe = f.maybe || err.MaybeApplied
	if !final(err.Kind) {
		return
	}
	if maybe && !err.MaybeApplied {
		// Another may have applied it before this one refused.
		e := *err
		e.Kind, e.MaybeApplied = replica.KindUnknown, true
		err = &e
	}
	f.finish(fx, Result{Err: err})
}

// final says that another owner would answer the same.
func final(k replica.Kind) bool {
	switch k {
	case replica.KindInvalid, replica.KindNotFound, replica.KindPrecondition, replica.KindAborted,
		replica.KindUnavailable, replica.KindUnknown:
		return true
	}
	return false
}

func (f *Forward) finish(fx *Effects, r Result) {
	if f.done {
		return
	}
	f.done = true
	fx.Result = &r
}
