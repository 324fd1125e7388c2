package quorum

import (
	"time"

	"github.com/ringd/ringd/replica"
)

// Forward hands a write to an owner, because owners give dots and this member is
// none. One that refuses, or can't be reached, is replaced by the
// next; so is one that has not answered for ReadAfter: the request id makes the
// two one write. Owners don't forward again.
type Forward struct {
	view  View
	write replica.Write

	fan   fanout
	seq   uint32
	maybe bool // an owner may have applied it
	done  bool
}

// NewForward returns the op that forwards w.
func NewForward(v View, w replica.Write) *Forward {
	f := &Forward{view: v, write: w, fan: newFanout(v, 1)}
	if v.Quorums.Sloppy {
		for _, c := range v.Fallbacks {
			if c.Up && c.ID != v.Self {
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
		f.answer(e, &fx)
	case replica.Lost:
		if i := f.fan.bySeq(e.Seq); i >= 0 {
			f.fan.order[i].state = failed
			f.maybe = f.maybe || e.Sent
		}
	case replica.Tick:
		if !f.view.Deadline.IsZero() && !now.Before(f.view.Deadline) {
			f.finish(&fx, Result{Err: unknown(1, 0, f.maybe || f.fan.count(outstanding) > 0)})
		}
	}
	if f.done {
		fx.Finished = true
		return fx
	}
	f.fan.expire(now)
	for i := f.fan.next(); i >= 0; i = f.fan.next() {
		f.seq++
		a := &f.fan.order[i]
		a.state, a.since, a.seq = outstanding, now, f.seq
		fx.Sends = append(fx.Sends, replica.Send{Seq: f.seq, To: a.id, Message: replica.Forward{Write: f.write}})
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
	fx.Tick = earliest(f.view.Deadline, f.fan.expire(now))
	return fx
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
		f.fan.order[i].state = failed
		f.fan.lastErr = m.Err
		f.maybe = f.maybe || m.Err.MaybeApplied
		if final(m.Err.Kind) {
			if f.maybe && !m.Err.MaybeApplied {
				// Another owner may have applied it before this one refused.
				err := *m.Err
				err.Kind, err.MaybeApplied = replica.KindUnknown, true
				f.finish(fx, Result{Err: &err})
				return
			}
			f.finish(fx, Result{Err: m.Err})
		}
	default:
		f.fan.order[i].state = failed
		f.maybe = true
	}
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
