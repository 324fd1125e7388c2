package report

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/ringd/ringd/jepsen/internal/history"
)

// Summary is a run in numbers.
type Summary struct {
	Took  time.Duration
	Kinds []Kind // by name; with more than one, the last is of all
}

// Kind is what became of the operations of one kind. Latencies are of those that were
// answered.
type Kind struct {
	Name                string
	All                 int
	OK, Failed, Unknown int
	P50, P99, Max       time.Duration
}

func summarize(h history.History) Summary {
	kinds := make(map[string]*Kind)
	took := make(map[string][]time.Duration)
	const total = "all"
	names := []string{}
	for i := range h.Ops {
		op := &h.Ops[i]
		if kinds[op.Kind] == nil {
			kinds[op.Kind] = &Kind{Name: op.Kind}
			names = append(names, op.Kind)
		}
	}
	slices.Sort(names)
	all := &Kind{Name: total}
	for i := range h.Ops {
		op := &h.Ops[i]
		for _, k := range []*Kind{kinds[op.Kind], all} {
			k.All++
			switch outcomes[outcomeOf(*op)] {
			case history.OK:
				k.OK++
			case history.Failed:
				k.Failed++
			default:
				k.Unknown++
			}
		}
		if op.Outcome == history.OK {
			took[op.Kind] = append(took[op.Kind], op.End-op.Begin)
		}
	}
	s := Summary{Took: endOf(h)}
	var every []time.Duration
	for _, name := range names {
		kinds[name].latencies(took[name])
		s.Kinds = append(s.Kinds, *kinds[name])
		every = append(every, took[name]...)
	}
	if len(names) > 1 {
		all.latencies(every)
		s.Kinds = append(s.Kinds, *all)
	}
	return s
}

func (k *Kind) latencies(took []time.Duration) {
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	at := func(share float64) time.Duration { return took[int(share*float64(len(took)-1))] }
	k.P50, k.P99, k.Max = at(0.5), at(0.99), took[len(took)-1]
}

// outcomeOf is the place of an operation's outcome; what is no outcome counts as
// unknown.
func outcomeOf(op history.Op) int {
	if i := slices.Index(outcomes[:], op.Outcome); i >= 0 {
		return i
	}
	return len(outcomes) - 1
}

func byBegin(ops []history.Op) []history.Op {
	return slices.SortedStableFunc(slices.Values(ops), func(a, b history.Op) int {
		return cmp.Or(cmp.Compare(a.Begin, b.Begin), cmp.Compare(a.ID, b.ID))
	})
}

// seconds is a duration as the page writes it.
func seconds(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}

func percent(part, all int) string {
	if all == 0 {
		return "0%"
	}
	return fmt.Sprintf("%.1f%%", 100*float64(part)/float64(all))
}
