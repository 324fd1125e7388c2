package report

import (
	"time"

	"github.com/ringd/ringd/jepsen/internal/history"
)

// valuesMax is how many of the values that one operation read, or replaced, are on the
// page. A key with more siblings is described by their number.
const valuesMax = 100

// packed is a run as the page's script reads it. Operations are columns, and strings
// are places in one list: a hundred thousand operations stay a few megabytes.
type packed struct {
	Strings   []string          `json:"strings"` // the first is empty
	Ops       columns           `json:"ops"`     // by begin
	Faults    []packedFault     `json:"faults"`
	Anomalies []history.Anomaly `json:"anomalies"`
	End       int64             `json:"end"` // of the last operation or fault, in microseconds
}

// columns are as long as there are operations, but for Many. Times are microseconds.
type columns struct {
	ID       []int   `json:"id"`
	Client   []int   `json:"client"`
	Member   []int   `json:"member"`
	Kind     []int   `json:"kind"`
	Key      []int   `json:"key"`
	Value    []int   `json:"value"`
	Level    []int   `json:"level"`
	Error    []int   `json:"error"`
	Outcome  []int   `json:"outcome"` // place in outcomes
	Attempts []int   `json:"attempts"`
	Flags    []int   `json:"flags"` // writes | final
	Begin    []int64 `json:"begin"`
	End      []int64 `json:"end"`
	// Many has what few operations have, by their place.
	Many map[int]many `json:"many"`
}

const (
	writes = 1 << iota
	final
)

// many are the values of an operation: the first valuesMax, and how many there are.
type many struct {
	Values      []int `json:"values,omitempty"`
	ValuesAll   int   `json:"valuesAll,omitempty"`
	Replaces    []int `json:"replaces,omitempty"`
	ReplacesAll int   `json:"replacesAll,omitempty"`
}

type packedFault struct {
	Name    string   `json:"name"`
	Members []string `json:"members"`
	Detail  string   `json:"detail"`
	Begin   int64    `json:"begin"`
	End     int64    `json:"end"`
}

// outcomes in the order of their numbers on the page.
var outcomes = [...]history.Outcome{history.OK, history.Failed, history.Unknown}

func pack(r Run) packed {
	p := packed{Strings: []string{""}, Faults: []packedFault{}, Anomalies: r.Anomalies[:min(len(r.Anomalies), AnomaliesMax)]}
	if p.Anomalies == nil {
		p.Anomalies = []history.Anomaly{}
	}
	places := map[string]int{"": 0}
	place := func(s string) int {
		at, ok := places[s]
		if !ok {
			at = len(p.Strings)
			places[s] = at
			p.Strings = append(p.Strings, s)
		}
		return at
	}
	list := func(all []string) []int {
		var out []int
		for _, s := range all[:min(len(all), valuesMax)] {
			out = append(out, place(s))
		}
		return out
	}
	end := endOf(r.History)
	p.End = end.Microseconds()
	c := &p.Ops
	c.Many = make(map[int]many)
	for i, op := range byBegin(r.History.Ops) {
		c.ID = append(c.ID, op.ID)
		c.Client = append(c.Client, op.Client)
		c.Member = append(c.Member, place(op.Member))
		c.Kind = append(c.Kind, place(op.Kind))
		c.Key = append(c.Key, place(op.Key))
		c.Value = append(c.Value, place(op.Value))
		c.Level = append(c.Level, place(op.Level))
		c.Error = append(c.Error, place(op.Error))
		c.Outcome = append(c.Outcome, outcomeOf(op))
		c.Attempts = append(c.Attempts, max(op.Attempts, 1))
		flags := 0
		if op.Write {
			flags |= writes
		}
		if op.Final {
			flags |= final
		}
		c.Flags = append(c.Flags, flags)
		c.Begin = append(c.Begin, op.Begin.Microseconds())
		c.End = append(c.End, max(op.Begin, op.End).Microseconds())
		if len(op.Values) > 0 || len(op.Replaces) > 0 {
			c.Many[i] = many{list(op.Values), len(op.Values), list(op.Replaces), len(op.Replaces)}
		}
	}
	for _, f := range r.History.Faults {
		if f.End == 0 {
			f.End = end
		}
		p.Faults = append(p.Faults, packedFault{f.Name, f.Members, f.Detail, f.Begin.Microseconds(), f.End.Microseconds()})
	}
	return p
}

// endOf is when the last that is known of the run happened.
func endOf(h history.History) time.Duration {
	var end time.Duration
	for i := range h.Ops {
		end = max(end, h.Ops[i].Begin, h.Ops[i].End)
	}
	for _, f := range h.Faults {
		end = max(end, f.Begin, f.End)
	}
	return end
}
