package quorum

import (
	"slices"
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// Put carries out a put or a delete at the member that coordinates it: its own
// vnode merges and gives the dot; the whole object goes to the other owners
// while that commit is under way; W acknowledgements, PW of them from
// primaries and DW durable, answer the client. Late ones are waited for until
// the deadline, so that somebody owns them.
//
// The share of an owner that is down, fails, or has not acknowledged after
// SloppyAfter goes to the first fallback that is up and has no other, which keeps
// it as a hint. A strict write has hints made, and doesn't count them.
//
// A member that is no owner coordinates as a fallback: it keeps the object for all
// owners, and counts for one that is down.
//
// A write with a condition, and a delete without a context, first read what a
// majority of the owners knows, or, if it is sloppy, of those who stand for them.
type Put struct {
	view  View
	write replica.Write

	look *Get // the read beforehand; nil once it is over, or if there is none

	coordinate replica.Coordinate
	stage      putStage
	object     []byte // once prepared
	shares     []share
	used       []ring.MemberID // fallbacks that were sent something
	lastErr    *replica.Error
}

// share is an object sent to a member that stands for a slot. Its Send has
// lookSeqMax + its index.
type share struct {
	slot     int
	fallback bool
	ack      ack
	since    time.Time
}

type putStage uint8

const (
	looking putStage = iota
	coordinating
	replicating
	answeredClient
)

type ack uint8

const (
	ackPending ack = iota
	ackMemory      // merged, not yet durable
	ackDurable     // covered by a sync
	ackFailed
)

// lookSeqMax keeps the numbers of the read beforehand apart from the write's.
const lookSeqMax = 1 << 16

// NewPut returns the op that coordinates w. If View.Self is no owner, it does so
// as a fallback.
func NewPut(v View, w replica.Write) *Put {
	p := &Put{
		view: v, write: w,
		coordinate: replica.Coordinate{
			Write: w, LastWriteWins: v.Quorums.LastWriteWins,
			SiblingsMax: v.SiblingsMax, ObjectBytesMax: v.ObjectBytesMax, Slots: len(v.Owners),
		},
	}
	if w.IfAbsent || w.IfMatch || (w.Delete && len(w.Context) == 0) {
		lv := v
		lv.Quorums.R = max(lv.Quorums.R, len(v.Owners)/2+1)
		lv.Quorums.RepairBlocking = false
		p.look = NewGet(lv, w.Key)
	}
	return p
}

// Step implements Op.
func (p *Put) Step(now time.Time, e replica.Event) Effects {
	var fx Effects
	if _, ok := e.(replica.Tick); ok && !p.view.Deadline.IsZero() && !now.Before(p.view.Deadline) {
		begun := p.stage != looking
		acks, _, _ := p.count()
		p.finish(&fx, Result{Err: unknown(p.view.Quorums.W, acks, begun)})
		fx.Finished = true
		return fx
	}
	if p.stage == looking {
		p.stepLook(now, e, &fx)
		return fx
	}
	switch e := e.(type) {
	case replica.Answer:
		if e.Seq >= lookSeqMax { // else a late answer to the read beforehand
			p.answer(now, e, &fx)
		}
	case replica.Lost:
		if e.Seq >= lookSeqMax {
			p.fail(now, int(e.Seq-lookSeqMax), nil, &fx)
		}
	}
	p.settle(now, &fx)
	return fx
}

// stepLook runs the read beforehand and judges what it found.
func (p *Put) stepLook(now time.Time, e replica.Event, fx *Effects) {
	if p.look == nil {
		p.begin(now, fx)
		return
	}
	*fx = p.look.Step(now, e)
	found := fx.Result
	fx.Result, fx.Finished = nil, false
	if found == nil {
		return
	}
	if found.Err != nil {
		p.finish(fx, Result{Err: found.Err})
		fx.Finished = true
		return
	}
	if err := p.judge(now, found.Object); err != nil {
		p.finish(fx, Result{Err: err})
		fx.Finished = true
		return
	}
	if p.write.Delete && !found.Object.Live() {
		// Nothing to delete: what is there is no value.
		p.finish(fx, Result{Context: found.Context})
		fx.Finished = true
		return
	}
	p.begin(now, fx)
}

// judge checks the write's condition against what a quorum knows, and completes
// the context of a write that replaces all of that. A value that has expired is
// none.
func (p *Put) judge(now time.Time, o causal.Object) *replica.Error {
	w := &p.coordinate.Write
	if _, ok := o.HasRequest(w.Request); ok {
		// An earlier attempt of this very write is there: the condition held.
		return nil
	}
	if w.IfAbsent && o.LiveAt(now.UnixMilli()) {
		return replica.Errorf(replica.KindPrecondition, "if_absent: the key has a value")
	}
	if w.IfMatch {
		if len(o.Siblings) == 0 {
			return replica.Errorf(replica.KindPrecondition, "if_match: the key was never written")
		}
		for _, s := range o.Siblings {
			if !w.Context.Covers(s.Dot) {
				return replica.Errorf(replica.KindPrecondition, "if_match: the key was written since the context was read")
			}
		}
	}
	if w.IfAbsent || (w.Delete && len(w.Context) == 0) {
		w.Context = w.Context.Join(o.Context)
	}
	if w.IfAbsent || w.IfMatch {
		p.coordinate.Conditional, p.coordinate.Expect = true, o.Context
	}
	return nil
}

// begin refuses a write that can't be acknowledged, as far as is known, before
// anything of it is stored.
func (p *Put) begin(now time.Time, fx *Effects) {
	q := p.view.Quorums
	slot, owner := p.ownSlot()
	up, fallbacks := 0, 0
	for _, c := range p.view.Owners {
		if c.Up || c.ID == p.view.Self {
			up++
		}
	}
	for _, c := range p.view.Fallbacks {
		if q.Sloppy && c.Up {
			fallbacks++
		}
	}
	needed, got := q.W, up+fallbacks
	if up < q.PW {
		needed, got = q.PW, up
	}
	if got < needed {
		p.finish(fx, Result{Err: unavailable(needed, got, false, nil)})
		fx.Finished = true
		return
	}
	p.stage = coordinating
	if !owner {
		p.used = append(p.used, p.view.Self)
	}
	p.send(now, slot, p.view.Self, !owner, p.coordinate, fx)
	fx.Tick = p.view.Deadline
}

// ownSlot is the slot that this member's share counts for, and whether it owns
// it. A fallback counts for the first owner that is down.
func (p *Put) ownSlot() (slot int, owner bool) {
	first := 0
	for i, c := range slices.Backward(p.view.Owners) {
		if c.ID == p.view.Self {
			return i, true
		}
		if !c.Up {
			first = i
		}
	}
	return first, false
}

func (p *Put) send(now time.Time, slot int, to ring.MemberID, fallback bool, m replica.Message, fx *Effects) {
	fx.Sends = append(fx.Sends, replica.Send{Seq: lookSeqMax + uint32(len(p.shares)), To: to, Fallback: fallback, Message: m})
	p.shares = append(p.shares, share{slot: slot, fallback: fallback, since: now})
}

func (p *Put) answer(now time.Time, e replica.Answer, fx *Effects) {
	i := int(e.Seq - lookSeqMax)
	if i >= len(p.shares) || p.shares[i].ack != ackPending {
		return
	}
	s := &p.shares[i]
	switch m := e.Message.(type) {
	case replica.Prepared:
		p.replicate(now, m.Object, fx)
	case replica.Committed:
		s.ack = ackDurable
	case replica.StoreAnswer:
		s.ack = ackMemory
		if m.Durable {
			s.ack = ackDurable
		}
	case replica.Failure:
		p.fail(now, i, m.Err, fx)
	default:
		p.fail(now, i, replica.Errorf(replica.KindInternal, "an owner answered a write with %T", m), fx)
	}
}

// replicate sends the object to the other owners, or to whom stands in for one
// that is down. If nobody does, the owner is tried all the same: gossip may be
// wrong about it, and a send that can't be made costs nothing.
func (p *Put) replicate(now time.Time, object []byte, fx *Effects) {
	p.object, p.stage = object, replicating
	mine, owner := p.ownSlot()
	for slot, c := range p.view.Owners {
		switch {
		case c.ID == p.view.Self:
		case c.Up:
			p.sendOwner(now, slot, fx)
		case slot == mine && !owner:
			// The hint that this member keeps stands for it.
		case !p.sendFallback(now, slot, fx):
			p.sendOwner(now, slot, fx)
		}
	}
}

func (p *Put) sendOwner(now time.Time, slot int, fx *Effects) {
	p.send(now, slot, p.view.Owners[slot].ID, false, replica.Store{Key: p.write.Key, Object: p.object}, fx)
}

// sendFallback has the next fallback keep a slot's share, and reports whether
// there is one.
func (p *Put) sendFallback(now time.Time, slot int, fx *Effects) bool {
	for _, c := range p.view.Fallbacks {
		if c.Up && !slices.Contains(p.used, c.ID) {
			p.used = append(p.used, c.ID)
			p.send(now, slot, c.ID, true, replica.Store{Key: p.write.Key, Object: p.object, Slot: slot}, fx)
			return true
		}
	}
	return false
}

// fail has a fallback take the place of a member that did not take its share,
// whatever its reason. If there is none, an owner that was passed over as down is
// tried.
func (p *Put) fail(now time.Time, i int, err *replica.Error, fx *Effects) {
	if i >= len(p.shares) || p.shares[i].ack != ackPending {
		return
	}
	p.shares[i].ack = ackFailed
	if err != nil {
		p.lastErr = err
	}
	if p.stage == coordinating {
		// The vnode refused, or broke, before it gave a dot: nothing was written.
		if err == nil {
			err = unavailable(p.view.Quorums.W, 0, false, nil)
		}
		p.finish(fx, Result{Err: err})
		return
	}
	if slot := p.shares[i].slot; !p.has(slot, func(s share) bool { return s.ack != ackFailed && (s.fallback || s.ack != ackPending) }) {
		if !p.sendFallback(now, slot, fx) && !p.has(slot, func(s share) bool { return !s.fallback }) {
			p.sendOwner(now, slot, fx)
		}
	}
}

// has says that a slot has such a share.
func (p *Put) has(slot int, is func(s share) bool) bool {
	return slices.ContainsFunc(p.shares, func(s share) bool { return s.slot == slot && is(s) })
}

// late has fallbacks take the shares of owners that have not acknowledged for
// SloppyAfter, and returns when to look again.
func (p *Put) late(now time.Time, fx *Effects) time.Time {
	var again time.Time
	if p.view.SloppyAfter == 0 {
		return again
	}
	for i := range p.shares {
		s := p.shares[i]
		if s.fallback || s.ack != ackPending || p.has(s.slot, func(s share) bool { return s.fallback }) {
			continue
		}
		if due := s.since.Add(p.view.SloppyAfter); now.Before(due) {
			again = earliest(again, due)
		} else if p.object != nil {
			p.sendFallback(now, s.slot, fx)
		}
	}
	return again
}

// count returns the slots whose share is acknowledged, those of them by their
// owners, and those durably. A strict write counts owners only.
func (p *Put) count() (acks, primaries, durable int) {
	return p.countIf(func(s share) ack { return s.ack })
}

func (p *Put) countIf(of func(s share) ack) (acks, primaries, durable int) {
	for slot := range p.view.Owners {
		var any, primary, synced bool
		for _, s := range p.shares {
			a := of(s)
			if s.slot != slot || (a != ackMemory && a != ackDurable) || (s.fallback && !p.view.Quorums.Sloppy) {
				continue
			}
			any, primary, synced = true, primary || !s.fallback, synced || a == ackDurable
		}
		acks += one(any)
		primaries += one(primary)
		durable += one(synced)
	}
	return acks, primaries, durable
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}

// settle answers once enough acknowledged, or can't any more.
func (p *Put) settle(now time.Time, fx *Effects) {
	again := p.late(now, fx)
	if p.stage == replicating {
		q := p.view.Quorums
		acks, primaries, durable := p.count()
		mayAck, mayPrimary, mayDurable := p.countIf(func(s share) ack {
			if s.ack == ackPending {
				return ackDurable
			}
			return s.ack
		})
		switch {
		case acks >= q.W && primaries >= q.PW && durable >= q.DW:
			p.finish(fx, p.result())
		case mayAck < q.W || mayPrimary < q.PW || mayDurable < q.DW:
			p.finish(fx, Result{Err: unavailable(max(q.W, q.PW), acks, true, p.lastErr)})
		}
	}
	if p.stage == answeredClient && !slices.ContainsFunc(p.shares, func(s share) bool { return s.ack == ackPending }) {
		fx.Finished = true
		return
	}
	fx.Tick = earliest(p.view.Deadline, again)
}

func (p *Put) result() Result {
	o, err := causal.DecodeObject(p.object)
	if err != nil {
		return Result{Err: replica.Errorf(replica.KindInternal, "the coordinating vnode's object: %v", err)}
	}
	r := Result{Context: o.Context}
	if p.write.Return != replica.ReturnNothing {
		r.Object = o
	}
	return r
}

func (p *Put) finish(fx *Effects, r Result) {
	if p.stage == answeredClient {
		return
	}
	p.stage = answeredClient
	fx.Result = &r
}
