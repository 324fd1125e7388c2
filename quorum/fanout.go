package quorum

import (
	"cmp"
	"slices"
	"time"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// fanout asks members one after another until enough answered. One that fails, or
// has not answered for readAfter, is replaced by the next; a late answer still
// counts.
//
// Invariant: answered + outstanding + idle + failed = all members.
type fanout struct {
	order []asked // in the order of asking
	need  int     // answers, of which owners are so many
	// owners is how many answers have to be of owners.
	owners    int
	readAfter time.Duration
	lastErr   *replica.Error
}

type asked struct {
	id       ring.MemberID
	fallback bool
	state    askState
	seq      uint32
	since    time.Time // when asked
	// replaced: another was asked in its place, though it may yet answer.
	replaced bool
	// empty: a fallback's answer, that it has nothing.
	empty bool
}

type askState uint8

const (
	idle askState = iota
	outstanding
	answered
	failed
)

// newFanout orders the owners: this member itself, then those that are up by
// latency, then the rest, which gossip may be wrong about.
func newFanout(v View, need int) fanout {
	order := slices.Clone(v.Owners)
	rank := func(c Candidate) int {
		switch {
		case c.ID == v.Self:
			return 0
		case c.Up:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(order, func(a, b Candidate) int {
		if c := cmp.Compare(rank(a), rank(b)); c != 0 {
			return c
		}
		return cmp.Compare(a.Latency, b.Latency)
	})
	f := fanout{need: need, readAfter: v.ReadAfter, order: make([]asked, len(order))}
	for i, c := range order {
		f.order[i].id = c.ID
	}
	return f
}

// addFallbacks lets the first fallbacks that are up be asked, as many as there
// are owners: one for each owner that is down before those are tried, the others
// after everybody else.
func (f *fanout) addFallbacks(v View) {
	var fallbacks []asked
	for _, c := range v.Fallbacks {
		if c.Up && len(fallbacks) < len(v.Owners) {
			fallbacks = append(fallbacks, asked{id: c.ID, fallback: true})
		}
	}
	down := 0
	for _, c := range v.Owners {
		if !c.Up && c.ID != v.Self {
			down++
		}
	}
	first := min(down, len(fallbacks))
	f.order = slices.Insert(f.order, len(f.order)-down, fallbacks[:first]...)
	f.order = append(f.order, fallbacks[first:]...)
}

func (f *fanout) count(s askState) int {
	n := 0
	for i := range f.order {
		if f.order[i].state == s {
			n++
		}
	}
	return n
}

// hopes counts the members for which may says so: owners, and all whose answer
// counts. That a fallback has nothing counts only beside an owner's answer.
func (f *fanout) hopes(may func(a *asked) bool) (owners, all int) {
	empty := 0
	for i := range f.order {
		switch a := &f.order[i]; {
		case !may(a):
		case a.empty:
			empty++
		default:
			all++
			if !a.fallback {
				owners++
			}
		}
	}
	if owners > 0 {
		all += empty
	}
	return owners, all
}

// enough says that the answers that are there suffice.
func (f *fanout) enough() bool {
	owners, all := f.hopes(func(a *asked) bool { return a.state == answered })
	return all >= f.need && owners >= f.owners
}

// got is how many answers count.
func (f *fanout) got() int {
	_, all := f.hopes(func(a *asked) bool { return a.state == answered })
	return all
}

// next returns a member to ask so that there may be enough answers if all answer
// that were asked and not replaced; -1 if there is none, or no need.
func (f *fanout) next() int {
	owners, all := f.hopes(func(a *asked) bool {
		return a.state == answered || (a.state == outstanding && !a.replaced)
	})
	switch {
	case owners < f.owners:
		return f.nextOwner()
	case all < f.need:
		return f.idle()
	}
	return -1
}

// nextOwner returns an owner to ask, -1 if there is none.
func (f *fanout) nextOwner() int {
	return slices.IndexFunc(f.order, func(a asked) bool { return a.state == idle && !a.fallback })
}

// idle returns a member that was not asked, -1 if there is none.
func (f *fanout) idle() int {
	return slices.IndexFunc(f.order, func(a asked) bool { return a.state == idle })
}

func (f *fanout) bySeq(seq uint32) int {
	return slices.IndexFunc(f.order, func(a asked) bool { return a.seq == seq && a.state == outstanding })
}

// expire marks those as replaced that have not answered for readAfter, and
// returns when to look again; zero if nothing more can be replaced.
func (f *fanout) expire(now time.Time) time.Time {
	var again time.Time
	left := f.count(idle)
	for i := range f.order {
		a := &f.order[i]
		if a.state != outstanding || a.replaced {
			continue
		}
		due := a.since.Add(f.readAfter)
		switch {
		case left == 0:
		case !now.Before(due):
			a.replaced = true
			left--
		default:
			again = earliest(again, due)
		}
	}
	return again
}

// hopeless says that not enough members are left that could answer.
func (f *fanout) hopeless() bool {
	owners, all := f.hopes(func(a *asked) bool { return a.state != failed })
	return all < f.need || owners < f.owners
}
