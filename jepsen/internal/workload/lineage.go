package workload

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/ringd/ringd/jepsen/internal/history"
)

// deleteBlind is the kind of a delete without a context: it replaces all that two
// owners know. That of one with a context is deleteSeen.
const (
	deleteSeen  = "delete"
	deleteBlind = "delete-blind"
)

const never = time.Duration(math.MaxInt64)

// The properties of keys that were written with contexts.
const (
	// isKnown: what is read was written, to that key, once, and did not fail.
	isKnown = "only what was written"
	// isThere: what is *settled* (a strict write of it was acknowledged, or a read with
	// repair_blocking found it) is found by each later strict read, or something that
	// replaced it, or something that replaced that; or a delete may have removed it.
	isThere = "what is settled is there"
	// isGone: what something settled replaced is not there any more, if it was written
	// once.
	isGone = "what is replaced is gone"
)

// lineage is which write of one key replaced which.
type lineage struct {
	key    string
	writes map[string]*write
	blind  []history.Op // deletes without context, that may have had an effect
	// newest are the settled writes that no settled write or delete replaced: where
	// they are there, all settled writes are there or were replaced.
	newest []*write
	found  []history.Anomaly
}

// write is one value. What it replaces was found by the read of its context, so it
// began after the writes of those.
type write struct {
	op history.Op
	// settled is when it was; never if it is not.
	settled time.Duration
	// goneFrom is when the first delete began that may have removed it, or what
	// replaced it; deadFrom is when something settled had replaced it.
	goneFrom, deadFrom time.Duration
	// What was told of it: each once in the run, and once in the end.
	missing, back told
}

type told struct{ running, final bool }

// again says whether something was told before of such a read, and notes that it is now.
func (t *told) again(final bool) bool {
	was := t.running
	if final {
		was, t.final = t.final, true
	}
	t.running = true
	return was
}

// judgeLineages holds every key to the properties above. It takes time in proportion
// to the number of operations, and to that of those of a key that go on at a time.
func judgeLineages(ops []history.Op) (found []history.Anomaly) {
	byKey := make(map[string][]history.Op)
	var keys []string
	for _, op := range ops {
		if byKey[op.Key] == nil {
			keys = append(keys, op.Key)
		}
		byKey[op.Key] = append(byKey[op.Key], op)
	}
	for _, key := range keys {
		l := newLineage(key, byKey[key])
		l.judge(byKey[key])
		found = append(found, l.found...)
	}
	return found
}

func newLineage(key string, ops []history.Op) *lineage {
	l := &lineage{key: key, writes: make(map[string]*write)}
	var deletes []history.Op
	for _, op := range ops {
		switch {
		case !op.Write:
		case op.Kind == deleteSeen || op.Kind == deleteBlind:
			deletes = append(deletes, op)
		default:
			l.writes[op.Value] = &write{op: op, settled: never, goneFrom: never, deadFrom: never}
		}
	}
	slices.SortFunc(deletes, func(a, b history.Op) int { return cmp.Compare(a.Begin, b.Begin) })
	for _, op := range deletes {
		if op.Outcome == history.Failed {
			continue
		}
		if op.Kind == deleteBlind {
			l.blind = append(l.blind, op)
		}
		l.walk(op.Replaces, func(w *write) bool {
			first := w.goneFrom == never
			w.goneFrom = min(w.goneFrom, op.Begin)
			return first
		})
	}
	return l
}

// walk visits what the values are and, where visit says so, what they replaced.
func (l *lineage) walk(values []string, visit func(*write) bool) {
	todo := slices.Clone(values)
	for len(todo) > 0 {
		w := l.writes[todo[len(todo)-1]]
		todo = todo[:len(todo)-1]
		if w != nil && visit(w) {
			todo = append(todo, w.op.Replaces...)
		}
	}
}

// event is the end of what settles something, or the begin of a read.
type event struct {
	at   time.Duration
	read bool
	op   history.Op
}

func (l *lineage) judge(ops []history.Op) {
	var events []event
	for _, op := range ops {
		if op.Outcome != history.OK {
			continue
		}
		if (op.Write && isStrict(op.Level)) || strings.HasSuffix(op.Level, repairedRead) {
			events = append(events, event{at: op.End, op: op})
		}
		if !op.Write {
			events = append(events, event{at: op.Begin, read: true, op: op})
		}
	}
	// What ends when a read begins need not be known to it.
	slices.SortStableFunc(events, func(a, b event) int {
		if c := cmp.Compare(a.at, b.at); c != 0 || a.read == b.read {
			return c
		}
		if a.read {
			return -1
		}
		return 1
	})
	for _, e := range events {
		switch {
		case e.read:
			l.read(e.op)
		case e.op.Kind == deleteBlind:
			l.deletedBlind(e.op)
		case e.op.Kind == deleteSeen:
			l.replaced(e.op.Replaces, e.at)
		case e.op.Write:
			l.settle(e.op.Value, e.at)
		default:
			for _, v := range e.op.Values {
				l.settle(v, e.at)
			}
		}
	}
}

func (l *lineage) settle(value string, at time.Duration) {
	w := l.writes[value]
	if w == nil || w.settled != never {
		return
	}
	w.settled = at
	if w.deadFrom == never {
		l.newest = append(l.newest, w)
	}
	l.replaced(w.op.Replaces, at)
}

// replaced notes that the values, and what they replaced, are replaced by something
// that is settled.
func (l *lineage) replaced(values []string, at time.Duration) {
	l.walk(values, func(w *write) bool {
		if w.deadFrom != never {
			return false
		}
		w.deadFrom = at
		l.newest = slices.DeleteFunc(l.newest, func(n *write) bool { return n == w })
		return true
	})
}

// deletedBlind: a delete without a context replaces what was settled when it began.
func (l *lineage) deletedBlind(op history.Op) {
	var known []string
	for _, w := range l.newest {
		if w.settled < op.Begin {
			known = append(known, w.op.Value)
		}
	}
	l.replaced(known, op.End)
}

func (l *lineage) tell(property string, text string, ops ...history.Op) {
	a := history.Anomaly{Property: property, Key: l.key, Text: text}
	for _, op := range ops {
		// What a run begins with was written by no operation.
		if op.ID >= 0 {
			a.Ops = append(a.Ops, op.ID)
		}
	}
	l.found = append(l.found, a)
}

func (l *lineage) read(op history.Op) {
	bound := op.Final || isStrict(op.Level)
	for i, v := range op.Values {
		w := l.writes[v]
		switch {
		case w == nil || w.op.Begin > op.End:
			l.tell(isKnown, fmt.Sprintf("%s was read and was not written to this key", v), op)
		case w.op.Outcome == history.Failed:
			l.tell(isKnown, fmt.Sprintf("%s was read, whose write had failed without effect", v), w.op, op)
		case slices.Contains(op.Values[:i], v):
			l.tell(isKnown, fmt.Sprintf("%s was read twice at once: %v", v, op.Values), w.op, op)
		case bound && w.deadFrom < op.Begin && w.op.Once && !w.back.again(op.Final):
			l.tell(isGone, fmt.Sprintf("%s is back at %v, and was replaced by %v: %v", v, op.Begin, w.deadFrom, op.Values), w.op, op)
		}
	}
	if !bound {
		return
	}
	for _, w := range l.newest {
		// What is known to be missing is not looked for again until the end.
		if (w.missing.running && !op.Final) || l.isThere(w, op) || w.missing.again(op.Final) {
			continue
		}
		l.tell(isThere, fmt.Sprintf("%s is not there at %v, nor what replaced it, and was settled at %v: %v", w.op.Value, op.Begin, w.settled, op.Values), w.op, op)
	}
}

// isThere says whether the read found the write or what replaced it, or may have
// found it deleted.
func (l *lineage) isThere(w *write, op history.Op) bool {
	if w.goneFrom < op.End {
		return true
	}
	for _, d := range l.blind {
		// One without an answer may come about at any time.
		if d.Begin < op.End && (d.Outcome == history.Unknown || w.op.Begin < d.End) {
			return true
		}
	}
	there := false
	visited := make(map[*write]bool)
	l.walk(op.Values, func(x *write) bool {
		there = there || x == w
		if there || visited[x] {
			return false
		}
		visited[x] = true
		return x.op.Begin > w.op.Begin
	})
	return there
}
