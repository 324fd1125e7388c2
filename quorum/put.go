package quorum

import (
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
)

// Put carries out a put or a delete at the owner that coordinates it: its own
// vnode merges and gives the dot; the whole object goes to the other owners
// while that commit is under way; W acknowledgements, PW of them from
// primaries and DW durable, answer the client. Late ones are waited for until
// the deadline, so that somebody owns them.
//
// A write with a condition, and a delete without a context, first read what a
// quorum of owners knows.
type Put struct {
	view  View
	write replica.Write

	look *Get // the read beforehand; nil once it is over, or if there is none

	coordinate replica.Coordinate
	stage      putStage
	object     []byte // once prepared
	acks       []ack  // of all owners, as view.Owners
	seqBase    uint32 // Sends of the write have seqBase + index of the owner
	lastErr    *replica.Error
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
	ackNone ack = iota
	ackPending
	ackMemory  // merged, not yet durable
	ackDurable // covered by a sync
	ackFailed
)

// lookSeqMax keeps the numbers of the read beforehand apart from the write's.
const lookSeqMax = 1 << 16

// NewPut returns the op that coordinates w. View.Self has to be an owner.
func NewPut(v View, w replica.Write) *Put {
	p := &Put{
		view: v, write: w, acks: make([]ack, len(v.Owners)), seqBase: lookSeqMax,
		coordinate: replica.Coordinate{
			Write: w, LastWriteWins: v.Quorums.LastWriteWins,
			SiblingsMax: v.SiblingsMax, ObjectBytesMax: v.ObjectBytesMax,
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
		p.finish(&fx, Result{Err: unknown(p.view.Quorums.W, p.acked(ackMemory), begun)})
		fx.Finished = true
		return fx
	}
	if p.stage == looking {
		p.stepLook(now, e, &fx)
		return fx
	}
	switch e := e.(type) {
	case replica.Answer:
		if p.look != nil && e.Seq < p.seqBase {
			break // a late answer to the read beforehand
		}
		p.answer(e, &fx)
	case replica.Lost:
		if e.Seq >= p.seqBase {
			p.fail(int(e.Seq-p.seqBase), nil, &fx)
		}
	}
	p.settle(&fx)
	return fx
}

// stepLook runs the read beforehand and judges what it found.
func (p *Put) stepLook(now time.Time, e replica.Event, fx *Effects) {
	if p.look == nil {
		p.begin(fx)
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
	if err := p.judge(found.Object); err != nil {
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
	p.begin(fx)
}

// judge checks the write's condition against what a quorum knows, and completes
// the context of a write that replaces all of that.
func (p *Put) judge(o causal.Object) *replica.Error {
	w := &p.coordinate.Write
	if _, ok := o.HasRequest(w.Request); ok {
		// An earlier attempt of this very write is there: the condition held.
		return nil
	}
	if w.IfAbsent && o.Live() {
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
func (p *Put) begin(fx *Effects) {
	up := 0
	for _, c := range p.view.Owners {
		if c.Up || c.ID == p.view.Self {
			up++
		}
	}
	if up < p.view.Quorums.W {
		p.finish(fx, Result{Err: unavailable(p.view.Quorums.W, up, false, nil)})
		fx.Finished = true
		return
	}
	p.stage = coordinating
	i := p.self()
	p.acks[i] = ackPending
	fx.Sends = append(fx.Sends, replica.Send{Seq: p.seqBase + uint32(i), To: p.view.Self, Message: p.coordinate})
	fx.Tick = p.view.Deadline
}

func (p *Put) self() int {
	for i, c := range p.view.Owners {
		if c.ID == p.view.Self {
			return i
		}
	}
	panic("quorum: NewPut at a member that is no owner")
}

func (p *Put) answer(e replica.Answer, fx *Effects) {
	i := int(e.Seq) - int(p.seqBase)
	if i < 0 || i >= len(p.acks) || p.acks[i] != ackPending {
		return
	}
	switch m := e.Message.(type) {
	case replica.Prepared:
		p.replicate(m.Object, fx)
	case replica.Committed:
		p.acks[i] = ackDurable
	case replica.StoreAnswer:
		p.acks[i] = ackMemory
		if m.Durable {
			p.acks[i] = ackDurable
		}
	case replica.Failure:
		p.fail(i, m.Err, fx)
	default:
		p.fail(i, replica.Errorf(replica.KindInternal, "an owner answered a write with %T", m), fx)
	}
}

// replicate sends the object to the other owners, down ones too: gossip may be
// wrong about them, and a send that can't be made costs nothing.
func (p *Put) replicate(object []byte, fx *Effects) {
	p.object, p.stage = object, replicating
	for i, c := range p.view.Owners {
		if c.ID == p.view.Self {
			continue
		}
		p.acks[i] = ackPending
		fx.Sends = append(fx.Sends, replica.Send{
			Seq: p.seqBase + uint32(i), To: c.ID,
			Message: replica.Store{Key: p.write.Key, Object: object},
		})
	}
}

func (p *Put) fail(i int, err *replica.Error, fx *Effects) {
	if i < 0 || i >= len(p.acks) || p.acks[i] != ackPending {
		return
	}
	p.acks[i] = ackFailed
	if err != nil {
		p.lastErr = err
	}
	if p.stage == coordinating {
		// The vnode refused, or broke, before it gave a dot: nothing was written.
		if err == nil {
			err = unavailable(p.view.Quorums.W, 0, false, nil)
		}
		p.finish(fx, Result{Err: err})
	}
}

// acked counts the owners that acknowledged at least so much.
func (p *Put) acked(least ack) int {
	n := 0
	for _, a := range p.acks {
		if a == ackDurable || (a == ackMemory && least == ackMemory) {
			n++
		}
	}
	return n
}

// settle answers once enough acknowledged, or can't any more.
func (p *Put) settle(fx *Effects) {
	pending := 0
	for _, a := range p.acks {
		if a == ackPending {
			pending++
		}
	}
	if p.stage == replicating {
		q := p.view.Quorums
		// All owners are primaries: there are no fallbacks to count out.
		acks, durable := p.acked(ackMemory), p.acked(ackDurable)
		switch {
		case acks >= q.W && acks >= q.PW && durable >= q.DW:
			p.finish(fx, p.result())
		case acks+pending < max(q.W, q.PW) || durable+pending < q.DW:
			p.finish(fx, Result{Err: unavailable(max(q.W, q.PW), acks, true, p.lastErr)})
		}
	}
	if p.stage == answeredClient && pending == 0 {
		fx.Finished = true
		return
	}
	fx.Tick = p.view.Deadline
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
