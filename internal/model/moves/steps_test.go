package moves_test

import (
	"fmt"
	"strings"
)

// move is what replica.Move says of one.
type move struct {
	from, to uint8
	rebuild  bool
}

// scenario bounds what may happen.
type scenario struct {
	name string
	// moves by number. The first is under way at the start; the second may begin once
	// the first is decided, if its former owner owns the slot then.
	moves [3]move
	// until is how far the first move has come at the start.
	until stage
	// cancel are the moves that the log may turn back.
	cancel set
	// lazy are the members that sync late; the others do so at once.
	lazy set
	// crash and wipe are the members that may, and how often in all; damage counts as
	// wiping.
	crash, wipe    set
	crashes, wipes uint8
	// by are the members that may coordinate the second and the third write; 0: there is none.
	by [writes]set
	// behind are the members that have not heard of the first move at the start.
	behind set
	// prompt are the members that know of every decision at once.
	prompt set
	// damage are the members that may lose what they hold in place, and notice, while a
	// slot comes to them.
	damage set
	// leftover: D still holds the first write, from when it owned the slot.
	leftover bool
	// delays: one message of a move may come late.
	delays bool
	// reads that other things happen between the answers of.
	reads bool
	// restores: an owner that lacks its data gets them from the others.
	restores bool
	// drops: a former owner gives up what it holds.
	drops bool
}

// start is a key that A and X hold and have acknowledged; Y never got it.
func (sc *scenario) start() state {
	var s state
	s.append(entry{owner: memberA, epoch: 1})
	sc.begin(&s, 1)
	first := write{epoch: 1, object: written[0][0], acks: of(memberA) | of(memberX)}
	s.w[0] = first
	for _, m := range []uint8{memberA, memberX} {
		s.m[m].mem.object = first.object
	}
	s.m[memberA].mem.seen = of(0) // it coordinated the write
	if sc.leftover {
		s.m[memberD].mem.object, s.m[memberD].mem.seen = first.object, of(0)
	}
	for m := range members {
		s.m[m].dur = s.m[m].mem
		if !sc.behind.has(m) {
			s.m[m].view = 1
		}
	}
	s.crashes, s.wipes = sc.crashes, sc.wipes
	r := &run{sc, allRules}
	for s.op.stage != sc.until {
		var next state
		taken := false
		r.stepMove(&s, func(_ string, _, _ uint8, do func(*state)) {
			if taken {
				return
			}
			taken, next = true, s
			do(&next)
			for m := range members {
				next.sync(m)
			}
		})
		s = next
	}
	return s
}

func (sc *scenario) begin(s *state, number uint8) {
	e := s.last()
	e.move = number
	if m := sc.moves[number]; m.rebuild {
		e.owner, e.arrival = m.to, number
		e.epoch++
	}
	s.append(e)
}

// run is a scenario under rules.
type run struct {
	*scenario
	rules
}

// under is the move under way that a member knows of.
func (r *run) under(e entry) (move, bool) { return r.moves[e.move], e.move != 0 }

// epoch says whether a message made with an epoch's ring is looked at by a member, and
// if not, whether it waits until the member knows that ring, too.
func (r *run) epoch(s *state, m, epoch uint8) (ok, waits bool) {
	mine := s.at(m).epoch
	if mine > epoch && others.has(m) && !r.epochCheck {
		return true, false
	}
	return mine == epoch, mine < epoch
}

type kind uint8

const (
	reads    kind = iota
	stores        // and coordinates
	compares      // brings two vnodes together
)

// admit is vnode's: whether a member's vnode takes a message as an owner.
func (r *run) admit(s *state, m uint8, k kind, from uint8) bool {
	if others.has(m) {
		return true
	}
	e, v := s.at(m), &s.m[m].mem
	move, ok := r.under(e)
	switch {
	case m != e.owner:
		arriving := ok && move.to == m && v.arrival == e.move
		if k != compares {
			return !r.ringKnown && arriving && v.settled
		}
		return arriving && move.from == from
	case !r.holds(e, v):
		return false
	case ok && move.from == m && v.fence == e.move:
		return k == compares && from == m
	case k == stores && ok && move.rebuild && r.heard:
		return s.m[m].heard == others
	case k == reads:
		return !v.incomplete
	}
	return true
}

func (r *run) holds(e entry, v *disk) bool {
	return e.arrival == 0 || !r.standing || (v.settled && (v.arrival == e.arrival || !r.arrivalNumber))
}

// serves says that a member answers a read made with an epoch's ring.
func (r *run) serves(s *state, m, epoch uint8) bool {
	ok, _ := r.epoch(s, m, epoch)
	return ok && r.admit(s, m, reads, m) && s.m[m].mem.object == s.m[m].dur.object && s.m[m].mem.seen == s.m[m].dur.seen
}

// asked are the members that a read or a write with an epoch's ring may go to.
func (r *run) asked(s *state, epoch uint8) set {
	to := s.ownersAt(epoch)
	if !r.ringKnown {
		to |= of(memberA) | of(memberD) // the former owner sends on to the new one
	}
	return to
}

// dropHeld is vnode's.
func (r *run) dropHeld(s *state, m uint8) {
	v := &s.m[m]
	old := v.mem
	v.mem = disk{}
	if !r.drop {
		v.mem.object, v.mem.seen = old.object, old.seen
	}
	if !r.dropSeen {
		v.mem.seen = old.seen
	}
	v.sources, v.heard = 0, 0
	v.life++
}

// take has a move's new owner take a message of it. Waits: it does not know the ring
// yet.
func (r *run) take(s *state, m message) (ok, waits bool) {
	to, from := r.moves[m.number].to, r.moves[m.number].from
	if ok, waits = r.epoch(s, to, m.epoch); !ok {
		return false, waits
	}
	e, v := s.at(to), &s.m[to]
	if m.stage == inheriting {
		under, is := r.under(e)
		if !is || under.to != to || under.from != from || e.owner == to || (r.inheritNumber && e.move != m.number) {
			return false, false
		}
		if v.mem.arrival != m.number {
			r.dropHeld(s, to)
			v.mem.arrival = m.number
		}
		return true, false
	}
	if !r.admit(s, to, compares, from) {
		return false, false
	}
	switch m.stage {
	case transferring:
		s.receive(to, m.object)
	case adopting:
		if m.life != v.life && r.adoptLife {
			return false, false
		}
		v.mem.seen |= m.seen
	case settling:
		if (v.mem.arrival != m.number && r.settleMove) || (m.life != v.life && r.settleLife) {
			return false, false
		}
		v.mem.settled = true
	}
	return true, false
}

// steps yields every state that may come next, with what it takes.
func (r *run) steps(s *state, yield func(w what, next *state)) {
	emit := func(kind string, who, number uint8, do func(n *state)) {
		next := *s
		do(&next)
		for m := range members {
			if r.prompt.has(m) {
				next.m[m].view = next.n - 1
			}
			if !r.lazy.has(m) {
				next.sync(m)
			}
		}
		yield(what{kind, who, number}, &next)
	}
	r.stepClients(s, emit)
	r.stepMembers(s, emit)
	r.stepMove(s, emit)
	r.stepRebuild(s, emit)
	r.stepLog(s, emit)
}

type emit func(kind string, who, number uint8, do func(n *state))

// what names a step: a format for who takes it and of which move, write or ring.
type what struct {
	kind        string
	who, number uint8
}

var names = [...]string{"A", "D", "X", "Y"}

func (w what) String() string {
	if strings.Contains(w.kind, "%") {
		return fmt.Sprintf(w.kind, names[w.who], w.number)
	}
	return w.kind
}

// Steps that are failures, or what clients or persons do: nobody may count on them.
const (
	stepWrite  = "write %[2]d at %[1]s"
	stepCrash  = "%[1]s crashes"
	stepWipe   = "%[1]s loses its store"
	stepDamage = "%[1]s loses what it holds, and notices"
	stepDrop   = "%[1]s drops what it holds"
	stepDelay  = "the message of move %[2]d is late, and is not waited for"
	stepCancel = "the log cancels move %[2]d"
	stepBegin  = "the log begins move %[2]d"
)

// Steps that the vnodes of the project take, too (TestTheModelIsTheVnodes).
const (
	stepCompare = "the two are compared"
	stepFence   = "%[1]s is fenced for move %[2]d"
	stepInherit = "%[1]s is to get the slot's data from the others"
	stepHeard   = "%[1]s answers the new owner with ring %[2]d"
	stepRestore = "the new owner is compared with %[1]s"
)

func (w what) isChosen() bool {
	switch w.kind {
	case stepWrite, stepCrash, stepWipe, stepDamage, stepDrop, stepDelay, stepCancel, stepBegin:
		return true
	}
	return false
}

var arrives, answers, lateArrives [finished]string

func init() {
	for stage, name := range map[stage]string{inheriting: "Inherit", transferring: "Transfer", adopting: "Adopt", settling: "Settle"} {
		arrives[stage] = name + " of move %[2]d arrives"
		answers[stage] = name + " of move %[2]d is answered"
		lateArrives[stage] = "the late " + name + " of move %[2]d arrives"
	}
}

func (r *run) stepClients(s *state, emit emit) {
	for w := uint8(1); w < writes; w++ {
		for by := range members {
			if s.w[w].epoch == 0 && r.by[w].has(by) && s.ownersAt(s.at(by).epoch).has(by) && r.admit(s, by, stores, by) {
				emit(stepWrite, by, w, func(n *state) {
					v := &n.m[by]
					v.mem.object = written[v.mem.object.index()][w]
					v.mem.seen |= of(w)
					v.taken |= of(w)
					e := n.at(by).epoch
					n.w[w] = write{epoch: e, by: by, object: v.mem.object, pending: r.asked(s, e) &^ of(by)}
				})
			}
		}
		for to := range members {
			if !s.w[w].pending.has(to) {
				continue
			}
			if ok, _ := r.epoch(s, to, s.w[w].epoch); ok && r.admit(s, to, stores, to) {
				emit("write %[2]d reaches %[1]s", to, w, func(n *state) {
					n.receive(to, n.w[w].object)
					n.m[to].taken |= of(w)
					n.w[w].pending &^= of(to)
				})
			}
		}
	}
	must := s.acknowledged()
	if !r.reads || s.read.epoch > 0 || must == 0 {
		return
	}
	for epoch := uint8(1); epoch <= s.last().epoch; epoch++ {
		for m := range members {
			if r.asked(s, epoch).has(m) && r.serves(s, m, epoch) {
				emit("read at %[1]s with ring %[2]d", m, epoch, func(n *state) {
					d := n.m[m].dur
					n.read = reading{epoch: epoch, from: m, must: must, object: d.object, seen: d.seen}
				})
			}
		}
	}
}

func (r *run) stepMembers(s *state, emit emit) {
	for m := range members {
		v := &s.m[m]
		if v.view+1 < s.n {
			emit("%[1]s learns of entry %[2]d", m, v.view+1, func(n *state) { n.m[m].view++ })
		}
		if r.lazy.has(m) && (!v.synced() || v.taken != 0) {
			emit("%[1]s syncs", m, 0, func(n *state) { n.sync(m) })
		}
		if s.crashes > 0 && r.crash.has(m) {
			emit(stepCrash, m, 0, func(n *state) { n.crashes--; r.restart(n, m) })
		}
		if s.wipes > 0 && r.wipe.has(m) {
			emit(stepWipe, m, 0, func(n *state) { n.wipes--; r.restart(n, m); r.lose(n, m) })
		}
		e := s.at(m)
		move, ok := r.under(e)
		if s.wipes > 0 && r.damage.has(m) && ok && !move.rebuild && move.to == m && !v.mem.settled && v.mem.object != (object{}) {
			emit(stepDamage, m, 0, func(n *state) {
				v := &n.m[m]
				v.mem.object, v.mem.seen = object{}, 0
				v.life++
				n.wipes--
			})
		}
		if r.drops && !others.has(m) && e.owner != m && (!ok || move.to != m) && v.mem != (disk{}) &&
			s.at(e.owner).epoch == e.epoch && r.admit(s, e.owner, compares, m) && !s.m[e.owner].mem.incomplete {
			emit(stepDrop, m, 0, func(n *state) { r.dropHeld(n, m) })
		}
	}
}

func (r *run) restart(s *state, m uint8) {
	v := &s.m[m]
	v.mem, v.taken, v.sources, v.heard = v.dur, 0, 0, 0
	v.life++
	for w := range s.w {
		s.w[w].over = s.w[w].over || (s.w[w].epoch > 0 && s.w[w].by == m)
	}
	if !r.fenceDurable {
		v.mem.fence = 0
		v.dur = v.mem
	}
	if !r.epochDurable && others.has(m) && v.view > 0 {
		v.view--
	}
	// An answer that the crash kept back does not come; the move is begun again.
	if o := &s.op; o.stage != idle && (r.moves[o.number].from == m || (o.answered && r.moves[o.number].to == m)) {
		*o = op{}
	}
}

// lose is vnode's, after a store was emptied.
func (r *run) lose(s *state, m uint8) {
	e, d := s.at(m), disk{}
	if !others.has(m) && e.owner == m {
		d.arrival, d.settled, d.incomplete = e.arrival, true, true
		if move, ok := r.under(e); ok && !move.rebuild && move.from == m && r.fenceOfLost {
			d.fence = e.move
		}
	}
	s.m[m].mem, s.m[m].dur = d, d
}

// stepMove takes the steps of handoff.Move, and those of who runs it.
func (r *run) stepMove(s *state, emit emit) {
	for _, from := range []uint8{memberA, memberD} {
		e := s.at(from)
		move, ok := r.under(e)
		if ok && !move.rebuild && move.from == from && (s.op.stage == idle || s.op.number != e.move) {
			emit("%[1]s begins move %[2]d", from, e.move, func(n *state) {
				n.op = op{message: message{stage: inheriting, number: e.move, epoch: e.epoch}}
			})
		}
	}
	for m := range memberX {
		if e := s.at(m); !r.fenceKept && e.move != 0 && s.m[m].mem.fence == e.move {
			emit("%[1]s takes its fence back", m, 0, func(n *state) { n.m[m].mem.fence = 0 })
		}
	}
	if s.late.stage != idle {
		next := *s
		if _, waits := r.take(&next, s.late); !waits {
			emit(lateArrives[s.late.stage], 0, s.late.number, func(n *state) {
				r.take(n, n.late)
				n.late = message{}
			})
		}
	}
	o := &s.op
	from, to := r.moves[o.number].from, r.moves[o.number].to
	switch o.stage {
	case inheriting, transferring, adopting, settling:
		r.stepMessage(s, to, emit)
	case comparing:
		r.stepCompare(s, from, to, emit)
	case fencing:
		emit(stepFence, from, o.number, func(n *state) {
			e := n.at(from)
			if move, ok := r.under(e); !ok || e.move != o.number || move.from != from {
				n.op = op{}
				return
			}
			if r.fence {
				n.m[from].mem.fence = o.number
			}
			n.op.stage = fenced
		})
	case fenced:
		if s.m[from].synced() {
			emit("the fence is answered", 0, 0, func(n *state) {
				n.op.closing, n.op.stage = true, comparing
				if !r.closing {
					n.op.stage = settling
				}
			})
		}
	case finished:
		if e := s.at(from); e.move == o.number && !s.proposed.has(o.number) {
			emit("%[1]s proposes move %[2]d", from, o.number, func(n *state) { n.proposed |= of(o.number) })
		}
	}
}

// stepMessage has the message under way arrive, or its answer, or neither.
func (r *run) stepMessage(s *state, to uint8, emit emit) {
	o := &s.op
	if o.answered {
		if s.m[to].synced() || (o.stage == settling && !r.settledDurable) {
			emit(answers[o.stage], 0, o.number, func(n *state) { r.answered(n) })
		}
		return
	}
	next := *s
	ok, waits := r.take(&next, o.message)
	if !waits {
		emit(arrives[o.stage], 0, o.number, func(n *state) {
			if r.take(n, n.op.message); ok {
				n.op.answered = true
			} else {
				n.op = op{}
			}
		})
	}
	if r.delays && s.late.stage == idle {
		emit(stepDelay, 0, o.number, func(n *state) { n.late, n.op = n.op.message, op{} })
	}
}

// answered goes on after an answer.
func (r *run) answered(s *state) {
	o := &s.op
	o.answered = false
	switch o.stage {
	case inheriting:
		o.stage = comparing
	case transferring:
		r.adopt(s)
	case adopting:
		switch {
		case !o.closing:
			o.stage = fencing
		case r.settled:
			o.stage = settling
		default:
			o.stage = finished
		}
		o.object, o.seen, o.seenBack = object{}, 0, 0
	case settling:
		o.stage, o.life = finished, 0
	}
}

// adopt sends both sides what the other had seen.
func (r *run) adopt(s *state) {
	s.op.stage = adopting
	s.m[r.moves[s.op.number].from].mem.seen |= s.op.seenBack
}

func (r *run) stepCompare(s *state, from, to uint8, emit emit) {
	okFrom, _ := r.epoch(s, from, s.op.epoch)
	okTo, waits := r.epoch(s, to, s.op.epoch)
	a, b := &s.m[from], &s.m[to]
	if waits || !a.synced() || !b.synced() {
		return
	}
	if !okFrom || !okTo || !r.admit(s, from, compares, from) || !r.admit(s, to, compares, from) || (r.wholeOnly && a.mem.incomplete) {
		emit("the comparison is refused", 0, 0, func(n *state) { n.op = op{} })
		return
	}
	emit(stepCompare, 0, 0, func(n *state) {
		x, y := a.dur, b.dur
		n.op.life, n.op.seen, n.op.seenBack = b.life, x.seen, y.seen
		lacks := lacking[x.object.index()][x.seen][y.object.index()][y.seen]
		if lacks[0] {
			n.receive(from, vouched[y.object.index()][y.seen][x.object.index()])
		}
		if !lacks[1] {
			r.adopt(n)
			return
		}
		n.op.stage, n.op.object = transferring, vouched[x.object.index()][x.seen][y.object.index()]
	})
}

// stepRebuild has an owner that lacks its slot's data get them from the others, and
// what becomes of a rebuild.
func (r *run) stepRebuild(s *state, emit emit) {
	for m := range memberX {
		e, v := s.at(m), &s.m[m].mem
		if e.owner != m {
			continue
		}
		move, ok := r.under(e)
		rebuild := ok && move.rebuild && move.to == m
		if (rebuild || r.restores) && e.arrival != 0 && (v.arrival != e.arrival || !v.settled) {
			emit(stepInherit, m, 0, func(n *state) {
				v := &n.m[m]
				if v.mem.arrival != e.arrival {
					r.dropHeld(n, m)
				}
				v.mem.arrival, v.mem.settled, v.mem.incomplete = e.arrival, true, true
				v.sources = 0
			})
		}
		if rebuild && r.admit(s, m, reads, m) && s.m[m].synced() && !s.proposed.has(e.move) {
			emit("%[1]s proposes rebuild %[2]d", m, e.move, func(n *state) { n.proposed |= of(e.move) })
		}
		for from := memberX; from < members; from++ {
			ok, _ := r.epoch(s, from, e.epoch)
			if !ok {
				continue
			}
			if rebuild && !s.m[m].heard.has(from) && r.holds(e, v) {
				emit(stepHeard, from, e.epoch, func(n *state) { n.m[m].heard |= of(from) })
			}
			if v.incomplete && !s.m[m].sources.has(from) && r.admit(s, m, compares, m) && s.m[m].synced() && s.m[from].synced() {
				emit(stepRestore, from, 0, func(n *state) { r.restore(n, m, from) })
			}
		}
	}
}

// restore is a whole exchange between an owner that lacks data and another.
func (r *run) restore(s *state, m, from uint8) {
	a, b := s.m[m].mem, s.m[from].mem
	lacks := lacking[a.object.index()][a.seen][b.object.index()][b.seen]
	if lacks[0] {
		s.receive(m, vouched[b.object.index()][b.seen][a.object.index()])
	}
	if lacks[1] {
		s.receive(from, vouched[a.object.index()][a.seen][b.object.index()])
	}
	s.m[m].mem.seen |= b.seen
	s.m[from].mem.seen |= a.seen
	s.sync(from)
	s.m[m].sources |= of(from)
	if s.m[m].sources == others || !r.sources {
		s.m[m].mem.incomplete = false
	}
}

// stepLog decides what was proposed, and what a person wants.
func (r *run) stepLog(s *state, emit emit) {
	last := s.last()
	if s.n == entries {
		return
	}
	for number := uint8(1); number < uint8(len(r.moves)); number++ {
		if !s.proposed.has(number) {
			continue
		}
		move := r.moves[number]
		if last.move != number && (r.logNumber || last.owner != move.from || last.arrival >= number) {
			continue // the log refuses it
		}
		emit("the log finishes move %[2]d", 0, number, func(n *state) {
			e := last
			if !move.rebuild {
				e.owner, e.arrival = move.to, number
				e.epoch++
			}
			if e.move == number {
				e.move = 0
			}
			n.append(e)
			n.proposed &^= of(number)
		})
	}
	if r.cancel.has(last.move) && last.move != 0 {
		emit(stepCancel, 0, last.move, func(n *state) { e := last; e.move = 0; n.append(e) })
	}
	if last.move == 0 && r.moves[2] != (move{}) && r.moves[2].from == last.owner && !s.begun(2) {
		emit(stepBegin, 0, 2, func(n *state) { r.begin(n, 2) })
	}
}

func (s *state) begun(number uint8) bool {
	for _, e := range s.log[:s.n] {
		if e.move == number {
			return true
		}
	}
	return false
}
