package quorum

import (
	"slices"
	"time"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// share is an object sent to a member that stands for a slot. Its Send has
// lookSeqMax + its index.
type share struct {
	slot     int
	fallback bool
	ack      ack
	since    time.Time
}

type ack uint8

const (
	ackPending ack = iota
	ackMemory      // merged, not yet durable
	ackDurable     // covered by a sync
	ackFailed
)

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
