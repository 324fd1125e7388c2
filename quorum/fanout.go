package quorum

import (
	"cmp"
	"slices"
	"time"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// fanout asks owners one after another until enough answered. An owner that
// fails, or has not answered for readAfter, is replaced by the next; a late
// answer still counts.
//
// Invariant: answered + outstanding + idle + failed = all owners.
type fanout struct {
	order     []asked // nearest first
	need      int
	readAfter time.Duration
	lastErr   *replica.Error
}

type asked struct {
	id    ring.MemberID
	state askState
	seq   uint32
	since time.Time // when asked
	// replaced: another was asked in its place, though it may yet answer.
	replaced bool
}

type askState uint8

const (
	idle askState = iota
	outstanding
	answered
	failed
)

// newFanout orders owners for reading: this member itself, then those that are
// up by latency, then the rest, which gossip may be wrong about.
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

func (f *fanout) count(s askState) int {
	n := 0
	for i := range f.order {
		if f.order[i].state == s {
			n++
		}
	}
	return n
}

// missing is how many more owners have to be asked for enough to answer, if
// all answer that were asked and not replaced.
func (f *fanout) missing() int {
	n := f.need
	for i := range f.order {
		if a := &f.order[i]; a.state == answered || (a.state == outstanding && !a.replaced) {
			n--
		}
	}
	return n
}

// next returns an idle owner to ask, -1 if there is none.
func (f *fanout) next() int {
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

// hopeless says that not enough owners are left that could answer.
func (f *fanout) hopeless() bool { return len(f.order)-f.count(failed) < f.need }
