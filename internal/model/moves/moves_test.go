package moves_test

import (
	"errors"
	"flag"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

var deeper = flag.Int("model.deeper", 0, "how many more steps of the wide scenarios to explore")

// check looks at a state.
func (r *run) check(s *state) error {
	rebuilds := r.moves[1].rebuild || r.moves[2].rebuild
	if !rebuilds && r.admit(s, memberA, stores, memberA) && r.admit(s, memberD, stores, memberD) {
		return errors.New("A and D take writes for the same slot")
	}
	for m := range memberX {
		e := s.at(m)
		if e.owner != m || e.arrival == 0 || rebuilds || r.wipe != 0 || !r.admit(s, m, reads, m) {
			continue
		}
		for w := range s.w {
			d := s.m[m].mem
			if s.w[w].acks.has(r.moves[e.arrival].from) && !(d.object.covered | d.seen).has(uint8(w)) {
				return fmt.Errorf("%s serves without write %d, which %s acknowledged", names[m], w, names[r.moves[e.arrival].from])
			}
		}
	}
	if s.read.epoch > 0 {
		return r.checkSecond(s, s.read)
	}
	must := s.acknowledged()
	for epoch := uint8(1); epoch <= s.last().epoch; epoch++ {
		for m := range members {
			if r.asked(s, epoch).has(m) && r.serves(s, m, epoch) {
				first := reading{epoch: epoch, from: m, must: must, object: s.m[m].dur.object, seen: s.m[m].dur.seen}
				if err := r.checkSecond(s, first); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// checkSecond ends a read with every second answer that it may get now.
func (r *run) checkSecond(s *state, first reading) error {
	for m := range members {
		both := of(m) | of(first.from)
		if m == first.from || both == of(memberA)|of(memberD) || !r.asked(s, first.epoch).has(m) || !r.serves(s, m, first.epoch) {
			continue
		}
		got := judge(first.object, first.seen, s.m[m].dur.object, s.m[m].dur.seen)
		if !got.live.includes(first.must) {
			return fmt.Errorf("a read of %s and %s with ring %d misses what was acknowledged before", names[first.from], names[m], first.epoch)
		}
	}
	return nil
}

// done says that all is decided and that the slot's owner serves.
func (r *run) done(s *state) bool {
	owner := s.last().owner
	return s.last().move == 0 && s.m[owner].view == s.n-1 && r.admit(s, owner, reads, owner) && r.admit(s, owner, stores, owner)
}

// found is what was explored.
type found struct {
	states, depth int
	violation     error
}

// explore visits every state that can be reached in so many steps, breadth first, up to
// the first violation. Without an end, if deepest is 0: then it is a violation, too, if
// from a state there is no way on which all is decided and served.
func (r *run) explore(deepest int) found {
	type node struct {
		from int32
		step uint8 // of the state that it comes from
	}
	first := r.start()
	known := map[state]int32{first: 0}
	nodes := []node{{from: -1}}
	frontier := []state{first}
	var edges [][2]int32 // of what happens by itself
	var done []int32
	way := func(i int32) []string {
		var path []uint8
		for ; nodes[i].from >= 0; i = nodes[i].from {
			path = append(path, nodes[i].step)
		}
		var out []string
		s := first
		for j := len(path) - 1; j >= 0; j-- {
			n := uint8(0)
			var next state
			r.steps(&s, func(w what, to *state) {
				if n == path[j] {
					next = *to
					out = append(out, w.String())
				}
				n++
			})
			s = next
		}
		return out
	}
	fail := func(depth int, i int32, err error) found {
		return found{len(nodes), depth, fmt.Errorf("%w, after\n    %s", err, strings.Join(way(i), "\n    "))}
	}
	depth := 0
	for ; len(frontier) > 0 && (deepest == 0 || depth <= deepest); depth++ {
		var next []state
		for f := range frontier {
			s := &frontier[f]
			at := known[*s]
			if err := r.check(s); err != nil {
				return fail(depth, at, err)
			}
			if deepest == 0 && r.done(s) {
				done = append(done, at)
			}
			n := uint8(0)
			r.steps(s, func(w what, to *state) {
				i, ok := known[*to]
				if !ok {
					i = int32(len(nodes))
					known[*to] = i
					nodes = append(nodes, node{at, n})
					next = append(next, *to)
				}
				if deepest == 0 && !w.isChosen() {
					edges = append(edges, [2]int32{at, i})
				}
				n++
			})
		}
		frontier = next
	}
	if deepest == 0 {
		if i := stuck(len(nodes), edges, done); i >= 0 {
			return fail(depth, i, errors.New("whatever happens, the slot is not served any more"))
		}
	}
	return found{len(nodes), depth - 1, nil}
}

// stuck is the first of n states from which no edges lead to one that is done; -1 if
// there is none.
func stuck(n int, edges [][2]int32, done []int32) int32 {
	starts := make([]int32, n+1)
	for _, e := range edges {
		starts[e[1]+1]++
	}
	for i := range n {
		starts[i+1] += starts[i]
	}
	into := make([]int32, len(edges))
	fill := append([]int32(nil), starts...)
	for _, e := range edges {
		into[fill[e[1]]] = e[0]
		fill[e[1]]++
	}
	ok := make([]bool, n)
	for _, i := range done {
		ok[i] = true
	}
	for len(done) > 0 {
		i := done[len(done)-1]
		done = done[:len(done)-1]
		for _, from := range into[starts[i]:starts[i+1]] {
			if !ok[from] {
				ok[from] = true
				done = append(done, from)
			}
		}
	}
	for i := range ok {
		if !ok[i] {
			return int32(i)
		}
	}
	return -1
}

var (
	aToD    = move{from: memberA, to: memberD}
	dToA    = move{from: memberD, to: memberA}
	rebuild = move{from: memberA, to: memberD, rebuild: true}
	onA     = of(memberA)
	onD     = of(memberD)
	onX     = of(memberX)
)

// Scenarios with little in them, which are explored to their end.
var narrow = map[string]scenario{
	"move": {
		moves: [3]move{1: aToD}, cancel: of(1), lazy: onA, crash: onA | onD, crashes: 1, by: [writes]set{1: onA | onX},
	},
	"reads": {
		moves: [3]move{1: aToD}, cancel: of(1), by: [writes]set{1: onX}, reads: true,
	},
	"crash of the new owner": {
		moves: [3]move{1: aToD}, lazy: onD, crash: onD, crashes: 1, by: [writes]set{1: onA},
	},
	"lost stores": {
		moves: [3]move{1: aToD}, cancel: of(1), wipe: onA | onD, wipes: 1, by: [writes]set{1: onX}, restores: true,
	},
	"again": {
		moves: [3]move{1: aToD, 2: aToD}, cancel: of(1), prompt: others, delays: true, by: [writes]set{1: onA},
	},
	"back": {
		moves: [3]move{1: aToD, 2: dToA}, delays: true, drops: true, leftover: true, by: [writes]set{1: onX},
	},
	"damage": {
		moves: [3]move{1: aToD}, damage: onD, wipes: 1,
	},
	"rebuild": {
		moves: [3]move{1: rebuild}, behind: 15, crash: onD | onX, crashes: 1, by: [writes]set{1: onA | onD | onX}, reads: true,
	},
	"rebuild after a cancelled move": {
		moves: [3]move{1: aToD, 2: rebuild}, cancel: of(1), by: [writes]set{1: onX}, restores: true,
	},
}

// Scenarios with much in them, which are explored as deep as there is time for.
var wide = []struct {
	scenario
	depth int
}{
	{depth: 12, scenario: scenario{
		name: "a move and another, two writes, crashes", until: fencing,
		moves: [3]move{1: aToD, 2: aToD}, cancel: of(1) | of(2), prompt: others, lazy: onA | onD, crash: onA | onD, crashes: 2,
		by: [writes]set{1: onA | onX, 2: onD | onX}, delays: true,
	}},
	{depth: 11, scenario: scenario{
		name: "there and back", until: finished,
		moves: [3]move{1: aToD, 2: dToA}, lazy: onA | onD, crash: onA | onD, crashes: 1,
		by: [writes]set{1: onA | onX, 2: onD | onX}, delays: true, drops: true, reads: true,
	}},
	{depth: 12, scenario: scenario{
		name: "lost stores, and a rebuild", until: fencing,
		moves: [3]move{1: aToD, 2: rebuild}, cancel: of(1), lazy: onA, crash: onA | onD, wipe: onA | onD, crashes: 1, wipes: 1,
		by: [writes]set{1: onA | onX}, restores: true,
	}},
	{depth: 11, scenario: scenario{
		name: "a rebuild, two writes, crashes", behind: 15,
		moves: [3]move{1: rebuild}, lazy: onD, crash: onD | onX, wipe: onD, crashes: 1, wipes: 1,
		by: [writes]set{1: onA | onX, 2: onD | onX}, restores: true,
	}},
}

func TestWide(t *testing.T) {
	for _, sc := range wide {
		t.Run(sc.name, func(t *testing.T) {
			got := (&run{&sc.scenario, allRules}).explore(sc.depth + *deeper)
			t.Logf("%d states in up to %d steps", got.states, got.depth)
			if got.violation != nil {
				t.Fatal(got.violation)
			}
			runtime.GC()
		})
	}
}

// TestEveryRuleIsNeeded takes out one rule at a time: the scenario has to find a
// violation then.
func TestEveryRuleIsNeeded(t *testing.T) {
	for _, c := range []struct {
		rule, in string
		take     func(*rules)
	}{
		{"the fence", "crash of the new owner", func(r *rules) { r.fence = false }},
		{"the fence outlasts a restart", "move", func(r *rules) { r.fenceDurable = false }},
		{"the fence is kept until the log has decided", "reads", func(r *rules) { r.fenceKept = false }},
		{"an owner that lost its store is fenced", "lost stores", func(r *rules) { r.fenceOfLost = false }},
		{"the comparison after the fence", "crash of the new owner", func(r *rules) { r.closing = false }},
		{"an owner that lost data hands nothing over", "lost stores", func(r *rules) { r.wholeOnly = false }},
		{"settling before the proposal", "crash of the new owner", func(r *rules) { r.settled = false }},
		{"settling is durable", "crash of the new owner", func(r *rules) { r.settledDurable = false }},
		{"settling is bound to the life", "damage", func(r *rules) { r.settleLife = false }},
		{"an owner answers as its disk says", "lost stores", func(r *rules) { r.standing = false }},
		{"by the move that the ring names", "rebuild after a cancelled move", func(r *rules) { r.arrivalNumber = false }},
		{"the log refuses a move that is not under way", "again", func(r *rules) { r.logNumber = false }},
		{"a late Inherit is refused", "again", func(r *rules) { r.inheritNumber = false }},
		{"a late Adopt is refused", "again", func(r *rules) { r.adoptLife = false }},
		{"the new owner begins with nothing seen", "back", func(r *rules) { r.dropSeen = false }},
		{"the new owner answers once its ring says so", "reads", func(r *rules) { r.ringKnown = false }},
		{"rebuild: others refuse messages of rings before", "rebuild", func(r *rules) { r.epochCheck = false }},
		{"rebuild: also after a restart", "rebuild", func(r *rules) { r.epochDurable = false }},
		{"rebuild: no writes before the others know of it", "rebuild", func(r *rules) { r.heard = false }},
		{"rebuild: no reads before enough sources", "rebuild", func(r *rules) { r.sources = false }},
	} {
		t.Run(c.rule, func(t *testing.T) {
			sc, ru := narrow[c.in], allRules
			c.take(&ru)
			got := (&run{&sc, ru}).explore(0)
			if got.violation == nil {
				t.Fatalf("nothing is found without it, in %d states", got.states)
			}
			t.Logf("found in %q after %d states: %v", c.in, got.states, got.violation)
			runtime.GC()
		})
	}
}

// TestWhatIsNotNeeded says what the model says of two more rules: nothing is found
// without them. That the new owner begins without the objects that it has left, is for
// the cursor, before which everything is the stream's: who compares settles what is old
// among them. That Settle names the move is for who reads it: another move has changed
// the life.
func TestWhatIsNotNeeded(t *testing.T) {
	for _, name := range []string{"again", "damage"} {
		for i, take := range []func(*rules){func(r *rules) { r.drop = false }, func(r *rules) { r.settleMove = false }} {
			sc, ru := narrow[name], allRules
			take(&ru)
			sc.leftover = true
			if got := (&run{&sc, ru}).explore(0); got.violation != nil {
				t.Errorf("%s: rule %d is needed: %v", name, i, got.violation)
			}
		}
	}
}

func TestNarrow(t *testing.T) {
	for name, sc := range narrow {
		t.Run(name, func(t *testing.T) {
			got := (&run{&sc, allRules}).explore(0)
			t.Logf("%d states, all that there are, in up to %d steps", got.states, got.depth)
			if got.violation != nil {
				t.Fatal(got.violation)
			}
			runtime.GC()
		})
	}
}
