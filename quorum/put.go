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
// Copies of a key that all members hold are sent it too, and not waited for: what does not
// arrive there, anti-entropy brings.
//
// A write with a condition, and a delete without a context, first read what a
// majority of the owners knows, or, if it is sloppy, of those who stand for them.
type Put struct {
	view  View
	write replica.Write

	look *Get // the read beforehand; nil once it is over, or if there is none

	coordinate replica.Coordinate
	stage      putStage
	object     []byte     // once prepared
	dot        causal.Dot // likewise
	shares     []share
	used       []ring.MemberID // fallbacks that were sent something
	lastErr    *replica.Error
}

type putStage uint8

const (
	looking putStage = iota
	coordinating
	replicating
	answeredClient
)

// NewPut returns the op that coordinates w. If View.Self is no owner, it does so
// as a fallback.
func NewPut(v View, w replica.Write) *Put {
	p := &Put{
		view: v, write: w,
		coordinate: replica.Coordinate{
			Write: w, LastWriteWins: v.Quorums.LastWriteWins,
			SiblingsMax: v.SiblingsMax, ObjectBytesMax: v.ObjectBytesMax, Slots: len(v.Owners), Everywhere: v.Quorums.Everywhere,
		},
	}
	if w.IfAbsent || w.IfMatch || (w.Delete && w.Context.Empty()) {
		lv := v
		lv.Quorums.R = max(lv.Quorums.R, len(v.Owners)/2+1)
		lv.Quorums.RepairBlocking, lv.Copies = false, nil
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

func (p *Put) answer(now time.Time, e replica.Answer, fx *Effects) {
	i := int(e.Seq - lookSeqMax)
	if i >= len(p.shares) || p.shares[i].ack != ackPending {
		return
	}
	s := &p.shares[i]
	switch m := e.Message.(type) {
	case replica.Prepared:
		p.dot = m.Dot
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

// copySeq is the number of all Sends to copies: their answers change nothing.
const copySeq = 2 * ownSeqs

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
	for _, id := range p.view.Copies {
		fx.Sends = append(fx.Sends, replica.Send{Seq: copySeq, To: id, Message: replica.Store{Key: p.write.Key, Object: p.object}})
	}
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
	if p.write.Return != replica.ReturnNothing {
		return Result{Object: o, Context: causal.Context{Seen: o.Context}}
	}
	return Result{Context: p.coordinate.Write.Context.Wrote(o, p.dot, p.write.Request)}
}

func (p *Put) finish(fx *Effects, r Result) {
	if p.stage == answeredClient {
		return
	}
	p.stage = answeredClient
	fx.Result = &r
}
