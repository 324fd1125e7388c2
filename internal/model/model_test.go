package model_test

import (
	"errors"
	"flag"
	"fmt"
	"testing"

	"github.com/ringd/ringd/causal"
)

var deep = flag.Int("model.depth", 10, "how many steps to explore; 0 is without an end")

// scenario bounds what may happen.
type scenario struct {
	name string
	// lazy is the owner that syncs late, and may crash; -1: all sync at once.
	lazy int
	// wipe is the owner that may lose its disk; -1: none.
	wipe int
	// slow: the first value's message to owner 2 is still under way at the start.
	slow bool
	// hints: what is sent to owner 2 may be kept by a fallback instead.
	hints bool
	// deleteAt and writeAt coordinate; -1: it does not happen.
	deleteAt, writeAt int
	reads             bool
	// quiet: writes reach the others by comparisons only.
	quiet bool
	// abandon: a comparison may end before both were told of it.
	abandon bool
	// pairs that are compared; nil is all.
	pairs [][2]int
}

var allPairs = [][2]int{{0, 1}, {0, 2}, {1, 2}}

var scenarios = []scenario{
	{name: "slow message", lazy: -1, wipe: -1, slow: true, deleteAt: 0, writeAt: -1, reads: true},
	{name: "slow message and re-creation", lazy: -1, wipe: -1, slow: true, deleteAt: 1, writeAt: 0},
	{name: "re-creation and reads", lazy: -1, wipe: -1, deleteAt: 0, writeAt: 1, reads: true},
	{name: "crash", lazy: 0, wipe: -1, slow: true, deleteAt: 0, writeAt: -1},
	{name: "crash of another", lazy: 1, wipe: -1, deleteAt: 0, writeAt: 1},
	{name: "wipe", lazy: -1, wipe: 1, deleteAt: 0, writeAt: -1, reads: true},
	{name: "wipe and re-creation", lazy: -1, wipe: 1, slow: true, deleteAt: 0, writeAt: 1},
	{name: "hint", lazy: -1, wipe: -1, slow: true, hints: true, deleteAt: 0, writeAt: -1},
	{name: "hints, re-creation and a wipe", lazy: -1, wipe: 0, slow: true, hints: true, deleteAt: -1, writeAt: 0},
}

// Scenarios with little in them, which are explored without an end.
var narrow = map[string]scenario{
	"reaping":     {lazy: -1, wipe: -1, slow: true, quiet: true, deleteAt: 0, writeAt: -1},
	"re-creation": {lazy: -1, wipe: -1, slow: true, quiet: true, deleteAt: 0, writeAt: 1},
	"reads":       {lazy: -1, wipe: -1, quiet: true, deleteAt: 0, writeAt: -1, reads: true},
	"deleter":     {lazy: 0, wipe: -1, quiet: true, abandon: true, deleteAt: 0, writeAt: -1},
	"crash":       {lazy: 2, wipe: -1, quiet: true, deleteAt: 0, writeAt: -1},
	"wipe":        {lazy: -1, wipe: 1, quiet: true, deleteAt: 0, writeAt: -1, reads: true},
	"hints":       {lazy: -1, wipe: 0, slow: true, hints: true, deleteAt: -1, writeAt: 0, pairs: [][2]int{{1, 2}}},
}

// start is three owners with a value, which the third may not have got yet.
func (sc scenario) start() *state {
	s := new(state)
	v := causal.Dot{Actor: 100, Counter: 1}
	obj := causal.Object{Context: causal.Vector{}.With(v), Siblings: []causal.Sibling{{Dot: v}}}
	for i := range s.owner {
		d := disk{actor: causal.Actor(100 * (i + 1))}
		if i == 0 {
			d.counter = 1
		}
		if i < 2 || !sc.slow {
			d.rec = obj
		} else {
			s.flight = append(s.flight, message{2, obj})
		}
		s.owner[i].mem, s.owner[i].dur = d, d
	}
	s.first = write{dot: v}
	s.failures = 1
	return s
}

// step is one thing that may happen.
type step struct {
	name string
	do   func(s *state)
}

// steps are all that may happen in s.
func (sc scenario) steps(ru rules, s *state) []step {
	var out []step
	add := func(do func(s *state), format string, args ...any) {
		out = append(out, step{fmt.Sprintf(format, args...), do})
	}
	send := func(s *state, from int, obj causal.Object) {
		if sc.quiet {
			return
		}
		for i := range s.owner {
			if i != from {
				s.flight = append(s.flight, message{i, obj})
			}
		}
	}
	if at := sc.deleteAt; at >= 0 && s.deleted.dot.Counter == 0 && !s.owner[at].lost {
		add(func(s *state) {
			var obj causal.Object
			s.deleted.dot, obj = s.coordinate(at, causal.Vector{}.With(s.first.dot), true)
			send(s, at, obj)
		}, "delete at %d", at)
	}
	if at := sc.writeAt; at >= 0 && s.second.dot.Counter == 0 && (s.deleted.dot.Counter > 0 || sc.deleteAt < 0) {
		add(func(s *state) {
			var obj causal.Object
			s.second.dot, obj = s.coordinate(at, nil, false)
			send(s, at, obj)
		}, "write at %d", at)
	}
	for n, m := range s.flight {
		take := func(s *state) { s.flight = append(s.flight[:n:n], s.flight[n+1:]...) }
		add(func(s *state) { take(s); s.receive(ru, m.to, m.obj) }, "message to %d", m.to)
		if sc.hints && m.to == 2 {
			add(func(s *state) {
				take(s)
				s.hint.obj = causal.Merge(s.hint.obj, m.obj)
				if m.obj.Context.Covers(s.second.dot) && s.second.dot.Counter > 0 {
					s.second.hinted = true
				}
			}, "hint for %d", m.to)
		}
	}
	if len(s.hint.obj.Context) > 0 && s.hint.sent == 0 {
		add(func(s *state) { s.hint.sent = s.hint.obj.Digest(); s.receive(ru, 2, s.hint.obj); s.hint.acks = true }, "hint delivered")
	}
	if s.hint.acks {
		add(func(s *state) {
			if !ru.compareAndDelete || s.hint.obj.Digest() == s.hint.sent {
				s.hint.obj = causal.Object{}
			}
			s.hint.sent, s.hint.acks = 0, false
		}, "hint acknowledged")
	}
	for i, r := range s.owner {
		if i == sc.lazy {
			if r.unsynced() {
				add(func(s *state) { s.sync(i) }, "sync of %d", i)
			}
			if s.failures > 0 {
				add(func(s *state) { s.failures--; s.newLife(ru, i, false) }, "crash of %d", i)
			}
		}
		if i == sc.wipe && s.failures > 0 && s.deleted.strict() == (sc.deleteAt >= 0) {
			add(func(s *state) { s.failures--; s.newLife(ru, i, true) }, "wipe of %d", i)
		}
		if s.mayReap(ru, i) {
			add(func(s *state) { s.reap(i) }, "reaping at %d", i)
		}
	}
	switch x := s.session; {
	case !x.on:
		pairs := sc.pairs
		if pairs == nil {
			pairs = allPairs
		}
		for _, pair := range pairs {
			add(func(s *state) { s.capture(ru, pair[0], pair[1]) }, "capture %v", pair)
		}
	case !x.exchanged:
		add(func(s *state) { s.exchange(ru) }, "exchange %d %d", x.a, x.b)
	default:
		for n, i := range []int{x.a, x.b} {
			if !x.adopted[n] {
				add(func(s *state) { s.adopt(ru, n) }, "adopt at %d", i)
			}
		}
		if sc.abandon {
			add(func(s *state) { s.session = session{} }, "end of the session")
		}
	}
	if sc.reads {
		sc.addReads(ru, s, add)
	}
	return out
}

func (sc scenario) addReads(ru rules, s *state, add func(func(*state), string, ...any)) {
	for i, r := range s.owner {
		if r.lost {
			continue
		}
		switch {
		case !s.read.on && (s.deleted.strict() || s.second.strict()):
			add(func(s *state) {
				d := s.owner[i].dur
				s.read = reading{on: true, from: i, obj: d.rec, seen: d.allSeen(), gone: s.deleted.strict(), must: s.second.strict()}
			}, "read at %d", i)
		case s.read.on && s.read.from != i:
			add(func(s *state) {
				d := s.owner[i].dur
				s.read.obj = judge(ru, s.read.obj, d.rec, s.read.seen, d.allSeen())
				s.read.from = -1
			}, "read at %d, too", i)
		}
	}
}

// settle syncs those that don't sync late.
func (sc scenario) settle(s *state) {
	for i := range s.owner {
		if i != sc.lazy {
			s.sync(i)
		}
	}
}

// check looks at a state, and at what becomes of it once all is repaired.
func (sc scenario) check(ru rules, s *state) error {
	if s.read.on && s.read.from == -1 {
		if s.read.gone && s.read.obj.HasDot(s.first.dot) {
			return errors.New("a read found what was deleted before")
		}
		if s.read.must && !s.read.obj.HasDot(s.second.dot) {
			return errors.New("a read did not find what was acknowledged before")
		}
		return nil
	}
	for i, r := range s.owner {
		if s.forgotten && !r.lost && r.mem.rec.HasDot(s.first.dot) {
			return fmt.Errorf("owner %d has what was deleted, and an owner has forgotten the deletion", i)
		}
	}
	if s.session.on {
		return nil
	}
	for _, late := range []bool{false, true} {
		if err := sc.heal(ru, s.clone(), late); err != nil {
			return fmt.Errorf("once repaired, late messages %v: %w", late, err)
		}
	}
	return nil
}

// heal delivers hints, compares everybody until nothing is sent, has deletions
// forgotten, and compares again. Late messages come last, or never.
func (sc scenario) heal(ru rules, s *state, late bool) error {
	rounds := func() int {
		sent := 0
		for _, pair := range allPairs {
			s.capture(ru, pair[0], pair[1])
			sent += s.exchange(ru)
			s.adopt(ru, 0)
			s.adopt(ru, 1)
			sc.syncAll(s)
		}
		return sent
	}
	if len(s.hint.obj.Context) > 0 {
		s.receive(ru, 2, s.hint.obj)
	}
	sc.syncAll(s)
	rounds()
	rounds()
	for i := range s.owner {
		if s.mayReap(ru, i) {
			s.reap(i)
		}
	}
	sc.syncAll(s)
	if sent := rounds(); sent > 0 {
		return fmt.Errorf("%d objects are sent after three rounds", sent)
	}
	if late {
		for _, m := range s.flight {
			s.receive(ru, m.to, m.obj)
		}
		sc.syncAll(s)
		rounds()
		rounds()
		if sent := rounds(); sent > 0 {
			return fmt.Errorf("%d objects are sent three rounds after a late message", sent)
		}
	}
	for i, r := range s.owner {
		if s.deleted.strict() && r.mem.rec.HasDot(s.first.dot) {
			return fmt.Errorf("owner %d has what was deleted", i)
		}
		if s.second.sloppy() && !r.mem.rec.HasDot(s.second.dot) {
			return fmt.Errorf("owner %d lacks what was acknowledged", i)
		}
		if s.deleted.dot.Counter == 0 && !r.mem.rec.HasDot(s.first.dot) {
			return fmt.Errorf("owner %d lacks what was never deleted", i)
		}
	}
	return nil
}

func (sc scenario) syncAll(s *state) {
	for i := range s.owner {
		s.sync(i)
	}
}

// explore visits every state that can be reached in so many steps, breadth first,
// and returns how many there are, and the first violation with the way to it.
// Without an end: all states, if deepest is 0.
func (sc scenario) explore(ru rules, deepest int) (states, depth int, violation error) {
	type node struct {
		s    *state
		from int
		step string
	}
	first := sc.start()
	nodes := []node{{s: first, from: -1}}
	known := map[string]bool{first.key(): true}
	level := 1 // nodes up to here have the present depth
	for i := 0; i < len(nodes); i++ {
		if i == level {
			depth++
			level = len(nodes)
		}
		if deepest > 0 && depth > deepest {
			return i, deepest, nil
		}
		s := nodes[i].s
		if err := sc.check(ru, s); err != nil {
			var way []string
			for j := i; nodes[j].from >= 0; j = nodes[j].from {
				way = append([]string{nodes[j].step}, way...)
			}
			return len(nodes), depth, fmt.Errorf("%w\n  after %q", err, way)
		}
		if s.read.on && s.read.from == -1 {
			continue // the read is over, and all else is explored without it
		}
		for _, st := range sc.steps(ru, s) {
			next := s.clone()
			st.do(next)
			sc.settle(next)
			if k := next.key(); !known[k] {
				known[k] = true
				nodes = append(nodes, node{next, i, st.name})
			}
		}
		nodes[i].s = nil
	}
	return len(nodes), depth, nil
}

func TestModel(t *testing.T) {
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			states, depth, violation := sc.explore(allRules, *deep)
			t.Logf("%d states in up to %d steps", states, depth)
			if violation != nil {
				t.Fatal(violation)
			}
		})
	}
}

// TestEveryRuleIsNeeded takes out one rule at a time: a narrow scenario has to
// find a violation then, and none with all rules, though it is explored to its
// end.
func TestEveryRuleIsNeeded(t *testing.T) {
	for name, sc := range narrow {
		states, depth, violation := sc.explore(allRules, 0)
		t.Logf("%s: %d states, all that there are, in up to %d steps", name, states, depth)
		if violation != nil {
			t.Errorf("%s: %v", name, violation)
		}
	}
	for _, c := range []struct {
		rule, in string
		take     func(*rules)
	}{
		{"filtering what arrives by seen", "reaping", func(r *rules) { r.filterAbsent = false }},
		{"filtering also where a record exists", "re-creation", func(r *rules) { r.filterPresent = false }},
		{"seen in read answers", "reads", func(r *rules) { r.seenInReads = false }},
		{"all owners' seen", "reaping", func(r *rules) { r.allOwners = false }},
		{"seen captured before comparing", "reads", func(r *rules) { r.captureFirst = false }},
		{"only durable seen passed on", "deleter", func(r *rules) { r.durableOnly = false }},
		{"emptied with lost data", "wipe", func(r *rules) { r.emptied = false }},
		{"compare-and-delete", "hints", func(r *rules) { r.compareAndDelete = false }},
		{"the tombstone durable", "crash", func(r *rules) { r.dataFirst = false }},
	} {
		t.Run(c.rule, func(t *testing.T) {
			ru := allRules
			c.take(&ru)
			states, _, violation := narrow[c.in].explore(ru, 0)
			if violation == nil {
				t.Fatalf("nothing is found without it, in %d states", states)
			}
			t.Logf("found after %d states: %v", states, violation)
		})
	}
}
