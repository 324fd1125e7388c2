package handoff

import (
	"time"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// Salvage has one owner merge objects that were found on the disk of a member that
// is no more. It may be done again: what the owner knows changes nothing.
type Salvage struct {
	calls    calls
	sender   Sender
	progress Progress
	items    []replica.Item
	err      *replica.Error
}

// NewSalvage returns the op that gives an owner of p objects that once were at from.
func NewSalvage(p ring.PartitionID, slot int, from, owner ring.MemberID, items []replica.Item, throttle Throttle) *Salvage {
	s := &Salvage{items: items, progress: Progress{Kind: KindSalvage, Partition: p, Slot: slot, From: from, To: owner}}
	s.sender = Sender{
		to: owner, throttle: throttle, calls: &s.calls, progress: &s.progress,
		acked: func(time.Time, []replica.Item, *Effects) {},
		failed: func(err *replica.Error, _ *Effects) {
			if s.err == nil {
				s.err = describe(p, "salvage", err)
			}
		},
	}
	return s
}

// Progress implements Op.
func (s *Salvage) Progress() Progress { return s.progress }

// Changed counts the objects that told the owner something.
func (s *Salvage) Changed() int { return s.sender.changed }

// Step implements Op.
func (s *Salvage) Step(now time.Time, e replica.Event) Effects {
	var fx Effects
	if _, ok := e.(replica.Begin); ok {
		s.sender.offer(s.items)
	} else {
		s.calls.take(now, e, &fx)
	}
	if s.err == nil {
		s.sender.advance(now, &fx)
	}
	if s.err != nil || s.sender.idle() {
		fx.Finished, fx.Err = true, s.err
	}
	return fx
}
