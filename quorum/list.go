package quorum

import (
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
)

// ListPage is the op that reads one page of names from R owners of a partition
// and merges it: a name is live if the owner that knows most of it says so.
type ListPage struct {
	view View
	ask  replica.List

	fan     fanout
	answers []replica.ListAnswer // as fan.order
	seq     uint32
	done    bool
}

// List is a merged page: live names in byte order. All names up to Through are
// accounted for; Done: there are no more behind it.
type List struct {
	Names   []string
	Through string
	Done    bool
}

// NewListPage returns the op that reads the page that ask describes.
func NewListPage(v View, ask replica.List) *ListPage {
	fan := newFanout(v, v.Quorums.R)
	return &ListPage{view: v, ask: ask, fan: fan, answers: make([]replica.ListAnswer, len(fan.order))}
}

// Step implements Op.
func (l *ListPage) Step(now time.Time, e replica.Event) Effects {
	var fx Effects
	switch e := e.(type) {
	case replica.Answer:
		if i := l.fan.bySeq(e.Seq); i >= 0 {
			switch m := e.Message.(type) {
			case replica.ListAnswer:
				l.fan.order[i].state, l.answers[i] = answered, m
			case replica.Failure:
				l.fan.order[i].state, l.fan.lastErr = failed, m.Err
			default:
				l.fan.order[i].state = failed
			}
		}
	case replica.Lost:
		if i := l.fan.bySeq(e.Seq); i >= 0 {
			l.fan.order[i].state = failed
		}
	case replica.Tick:
		if !l.view.Deadline.IsZero() && !now.Before(l.view.Deadline) {
			l.finish(&fx, Result{Err: unknown(l.fan.need, l.fan.count(answered), false)})
		}
	}
	if l.done {
		fx.Finished = true
		return fx
	}
	l.fan.expire(now)
	for i := l.fan.next(); i >= 0; i = l.fan.next() {
		l.seq++
		a := &l.fan.order[i]
		a.state, a.since, a.seq = outstanding, now, l.seq
		fx.Sends = append(fx.Sends, replica.Send{Seq: l.seq, To: a.id, Message: l.ask})
	}
	switch {
	case l.fan.count(answered) >= l.fan.need:
		l.finish(&fx, Result{List: l.merge()})
	case l.fan.hopeless():
		l.finish(&fx, Result{Err: unavailable(l.fan.need, l.fan.count(answered), false, l.fan.lastErr)})
	}
	fx.Finished = l.done
	fx.Tick = earliest(l.view.Deadline, l.fan.expire(now))
	return fx
}

func (l *ListPage) finish(fx *Effects, r Result) {
	if l.done {
		return
	}
	l.done = true
	fx.Result = &r
}

// merge takes the names up to where every page reaches: behind the last entry
// of a page that is not done, its owner may know more.
func (l *ListPage) merge() List {
	var lists [][]replica.ListEntry
	out := List{Done: true}
	bounded := false
	for i := range l.answers {
		if l.fan.order[i].state != answered {
			continue
		}
		a := l.answers[i]
		lists = append(lists, a.Entries)
		if a.Done || len(a.Entries) == 0 {
			continue
		}
		out.Done = false
		if last := a.Entries[len(a.Entries)-1].Name; !bounded || last < out.Through {
			out.Through, bounded = last, true
		}
	}
	for {
		name, ok := least(lists)
		if !ok || (bounded && name > out.Through) {
			break
		}
		if !bounded {
			out.Through = name
		}
		if take(lists, name) {
			out.Names = append(out.Names, name)
		}
	}
	return out
}

func least(lists [][]replica.ListEntry) (string, bool) {
	name, ok := "", false
	for _, l := range lists {
		if len(l) > 0 && (!ok || l[0].Name < name) {
			name, ok = l[0].Name, true
		}
	}
	return name, ok
}

// take removes name from the lists and says whether it is live: an owner whose
// context another's dominates is not asked.
func take(lists [][]replica.ListEntry, name string) bool {
	live := false
	var known causal.Vector
	for i, l := range lists {
		if len(l) == 0 || l[0].Name != name {
			continue
		}
		e := l[0]
		lists[i] = l[1:]
		switch {
		case e.Context.Equal(known):
			live = live || e.Live
		case e.Context.Dominates(known):
			known, live = e.Context, e.Live
		case known.Dominates(e.Context):
		default:
			known, live = known.Join(e.Context), live || e.Live
		}
	}
	return live
}
