package model_test

import (
	"slices"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/handoff"
)

const owners = 3

// rules are the protections that can be taken out one at a time.
type rules struct {
	filterAbsent     bool // what arrives where there is no record is filtered by seen
	filterPresent    bool // and where there is one
	seenInReads      bool // read answers count as if their context included seen
	allOwners        bool // a deletion is forgotten when all owners have seen it, not some
	captureFirst     bool // what the other has seen is taken before comparing, not after
	durableOnly      bool // what is passed on as seen is durable
	emptied          bool // who lost its data forgets what it has seen
	compareAndDelete bool // a hint is dropped only as it was sent
	dataFirst        bool // what was adopted as seen becomes durable no earlier than the data
}

var allRules = rules{true, true, true, true, true, true, true, true, true}

// disk is what a replica has of the key.
type disk struct {
	rec     causal.Object
	seen    causal.Vector
	actor   causal.Actor
	counter uint64
}

func (d disk) allSeen() causal.Vector {
	if d.counter == 0 {
		return d.seen
	}
	return d.seen.With(causal.Dot{Actor: d.actor, Counter: d.counter})
}

// replica is an owner: what it works with, and what a crash leaves.
type replica struct {
	mem, dur disk
	lives    int
	lost     bool // its data, and it has not got it back from sources yet
	sources  [owners]bool
	// peers have what others had seen when they were last compared with it.
	peers [owners]causal.Vector
}

// session is a comparison under way between two owners.
type session struct {
	on        bool
	a, b      int
	lives     [2]int
	seen      [2]causal.Vector // captured
	complete  [2]bool
	exchanged bool
	adopted   [2]bool
}

// message is an object on its way to an owner.
type message struct {
	to  int
	obj causal.Object
}

// hint is what a fallback keeps for owner 2.
type hint struct {
	obj  causal.Object
	sent uint64 // digest of what is under way and not acknowledged; 0: nothing
	acks bool   // the owner has it: the acknowledgement is on its way
}

// write is a client's, and who has acknowledged it.
type write struct {
	dot    causal.Dot
	by     [owners]bool
	hinted bool
}

func (w write) acks() int {
	n := 0
	for _, by := range w.by {
		if by {
			n++
		}
	}
	return n
}

// strict: two owners acknowledged it. sloppy: or one and the fallback.
func (w write) strict() bool { return w.dot.Counter > 0 && w.acks() >= 2 }
func (w write) sloppy() bool { return w.strict() || (w.hinted && w.acks() >= 1) }

// reading is a client's read of two owners, between its two answers.
type reading struct {
	on         bool
	from       int
	obj        causal.Object
	seen       causal.Vector
	gone, must bool // the first value was deleted, the second acknowledged, before it began
}

type state struct {
	owner   [owners]replica
	flight  []message // in no order
	hint    hint
	session session
	read    reading
	// first is there at the start; it is deleted, and second written without
	// knowing of anything.
	first, deleted, second write
	failures               int // crashes and wipes left
	// forgotten: an owner has reaped the deletion.
	forgotten bool
}

func (s *state) clone() *state {
	c := *s
	c.flight = slices.Clone(s.flight)
	return &c
}

// key is equal for equal states.
func (s *state) key() string {
	b := make([]byte, 0, 1024)
	num := func(n int) { b = append(b, byte(n)) }
	is := func(v bool) {
		if v {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	}
	for i := range s.owner {
		r := &s.owner[i]
		for _, d := range []*disk{&r.mem, &r.dur} {
			b = causal.AppendObject(b, d.rec)
			b = causal.AppendVector(b, d.allSeen())
			num(int(d.counter))
		}
		num(r.lives)
		is(r.lost)
		for j := range r.peers {
			is(r.sources[j])
			b = causal.AppendVector(b, r.peers[j])
		}
	}
	flight := make([]string, len(s.flight))
	for i, m := range s.flight {
		flight[i] = string(causal.AppendObject([]byte{byte(m.to)}, m.obj))
	}
	slices.Sort(flight)
	for _, m := range flight {
		b = append(b, m...)
	}
	b = causal.AppendObject(b, s.hint.obj)
	num(int(s.hint.sent))
	is(s.hint.acks)
	x := &s.session
	is(x.on)
	is(x.exchanged)
	num(x.a)
	num(x.b)
	for n := range x.seen {
		b = causal.AppendVector(b, x.seen[n])
		is(x.complete[n])
		is(x.adopted[n])
	}
	is(s.read.on)
	num(s.read.from + 1)
	is(s.read.gone)
	is(s.read.must)
	b = causal.AppendVector(causal.AppendObject(b, s.read.obj), s.read.seen)
	for _, w := range []write{s.deleted, s.second} {
		num(int(w.dot.Actor))
		num(int(w.dot.Counter))
		is(w.hinted)
		for _, by := range w.by {
			is(by)
		}
	}
	num(s.failures)
	is(s.forgotten)
	return string(b)
}

// seenAt is by what owner i filters what arrives.
func (s *state) seenAt(ru rules, i int) causal.Vector {
	d := &s.owner[i].mem
	if absent := len(d.rec.Context) == 0; (absent && !ru.filterAbsent) || (!absent && !ru.filterPresent) {
		return nil
	}
	return d.allSeen()
}

// receive merges an object into what a replica works with.
func (s *state) receive(ru rules, i int, obj causal.Object) {
	d := &s.owner[i].mem
	after, outcome := causal.Receive(d.rec, s.seenAt(ru, i), obj)
	if outcome == causal.Unchanged {
		return
	}
	if len(after.Siblings) == 0 && after.Forgettable(d.allSeen()) {
		after = causal.Object{}
	}
	d.rec = after
}

// coordinate gives a write its dot, and sends it to the others.
func (s *state) coordinate(i int, ctx causal.Vector, tombstone bool) (causal.Dot, causal.Object) {
	d := &s.owner[i].mem
	d.counter++
	dot := causal.Dot{Actor: d.actor, Counter: d.counter}
	before := d.rec
	if !tombstone {
		before = causal.Object{Context: before.Context, Siblings: slices.DeleteFunc(slices.Clone(before.Siblings), func(s causal.Sibling) bool { return s.Tombstone })}
	}
	d.rec = causal.Write(before, causal.Context{Seen: ctx}, causal.Sibling{Dot: dot, Tombstone: tombstone})
	return dot, d.rec
}

func (s *state) sync(i int) {
	r := &s.owner[i]
	r.dur = r.mem
	for _, w := range []*write{&s.deleted, &s.second} {
		if w.dot.Counter > 0 && r.dur.rec.Context.Join(r.dur.allSeen()).Covers(w.dot) {
			w.by[i] = true
		}
	}
}

func (r replica) unsynced() bool {
	m, d := r.mem, r.dur
	return m.counter != d.counter || !m.seen.Equal(d.seen) || m.rec.Digest() != d.rec.Digest()
}

// newLife is the start after a crash, or with an empty disk.
func (s *state) newLife(ru rules, i int, wiped bool) {
	r := &s.owner[i]
	r.lives++
	r.peers, r.sources = [owners]causal.Vector{}, [owners]bool{}
	d := r.dur
	d.seen = d.allSeen() // the counter is durable with its dots
	if wiped {
		d.rec, r.lost = causal.Object{}, true
		if ru.emptied {
			d.seen = nil
		} else {
			r.lost = false
		}
	}
	d.actor, d.counter = causal.Actor(100*(i+1)+r.lives), 0
	r.mem, r.dur = d, d
	if s.session.on && (s.session.a == i || s.session.b == i) {
		s.session = session{}
	}
}

func (s *state) capture(ru rules, a, b int) {
	s.session = session{on: true, a: a, b: b}
	for n, i := range []int{a, b} {
		r := s.owner[i]
		s.session.lives[n], s.session.complete[n] = r.lives, !r.lost
		s.session.seen[n] = r.dur.allSeen()
		if !ru.durableOnly {
			s.session.seen[n] = r.mem.allSeen()
		}
	}
}

// exchange gives each side what it lacks.
func (s *state) exchange(ru rules) (sent int) {
	x := &s.session
	side := func(i int) handoff.Side {
		return handoff.Side{Object: s.owner[i].mem.rec, Seen: s.owner[i].mem.allSeen()}
	}
	a, b := side(x.a), side(x.b)
	toA, toB := handoff.Compare(a, b)
	if !ru.filterAbsent || !ru.filterPresent {
		toA = s.changes(ru, x.a, b.Object.Vouch(b.Seen, a.Object))
		toB = s.changes(ru, x.b, a.Object.Vouch(a.Seen, b.Object))
	}
	if toA {
		s.receive(ru, x.a, b.Object.Vouch(b.Seen, a.Object))
		sent++
	}
	if toB {
		s.receive(ru, x.b, a.Object.Vouch(a.Seen, b.Object))
		sent++
	}
	x.exchanged = true
	return sent
}

// changes says that an object would tell owner i something.
func (s *state) changes(ru rules, i int, obj causal.Object) bool {
	_, outcome := causal.Receive(s.owner[i].mem.rec, s.seenAt(ru, i), obj)
	return outcome != causal.Unchanged
}

// reap has an owner forget the key.
func (s *state) reap(i int) {
	s.owner[i].mem.rec = causal.Object{}
	s.forgotten = true
}

// adopt tells one side that it has what the other had seen.
func (s *state) adopt(ru rules, n int) {
	x := &s.session
	to, from := x.a, x.b
	if n == 1 {
		to, from = from, to
	}
	r := &s.owner[to]
	seen := x.seen[1-n]
	if !ru.captureFirst {
		seen = s.owner[from].dur.allSeen()
	}
	if !ru.dataFirst {
		r.dur.seen = r.dur.seen.Join(seen)
	} else {
		// What was merged is acknowledged before it is adopted.
		s.sync(to)
	}
	r.mem.seen = r.mem.seen.Join(seen)
	r.peers[from] = seen
	if ru.dataFirst {
		s.sync(to)
	}
	if r.lost && x.complete[1-n] {
		r.sources[from] = true
		got := 0
		for _, is := range r.sources {
			if is {
				got++
			}
		}
		r.lost = got < owners-1
	}
	if x.adopted[n] = true; x.adopted[1-n] {
		s.session = session{}
	}
}

// mayReap says that an owner forgets the key now.
func (s *state) mayReap(ru rules, i int) bool {
	r := s.owner[i]
	if r.lost || len(r.mem.rec.Context) == 0 || !r.mem.rec.Forgettable(r.mem.allSeen()) {
		return false
	}
	seen := 0
	for j, peer := range r.peers {
		if j != i && peer.Dominates(r.mem.rec.Context) {
			seen++
		}
	}
	return seen == owners-1 || (!ru.allOwners && seen > 0)
}

// judge is what a client gets from two answers.
func judge(ru rules, a, b causal.Object, seenA, seenB causal.Vector) causal.Object {
	if ru.seenInReads {
		a.Context, b.Context = a.Context.Join(seenA), b.Context.Join(seenB)
	}
	return causal.Merge(a, b)
}
