package handoff

import (
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// Delivery gives an owner the hints that this member keeps for its slot, and
// drops each once it is durable there. What is dropped is what was sent: a hint
// into which more was merged meanwhile stays. A crash in the middle costs nothing
// but that some are sent again.
type Delivery struct {
	self, owner ring.MemberID
	slot        int
	calls       calls
	sender      Sender
	progress    Progress

	life     uint64
	own      causal.Vector // that the owner will have, as of before the first hint was read
	versions map[replica.Key]uint64
	after    replica.Key
	started  bool
	reading  bool // a page is asked for
	dropping int
	read     bool // the last page was read
	adopting bool
	finished bool
	err      *replica.Error
}

// NewDelivery returns the op that delivers the hints of p that self keeps for
// slot to the slot's owner.
func NewDelivery(self ring.MemberID, p ring.PartitionID, slot int, owner ring.MemberID, throttle Throttle) *Delivery {
	d := &Delivery{
		self: self, owner: owner, slot: slot, versions: make(map[replica.Key]uint64),
		progress: Progress{Kind: KindHints, Partition: p, Slot: slot, From: self, To: owner},
	}
	d.sender = Sender{
		to: owner, throttle: throttle, calls: &d.calls, progress: &d.progress,
		acked:  d.drop,
		failed: d.fail,
	}
	return d
}

// Progress implements Op.
func (d *Delivery) Progress() Progress { return d.progress }

// Step implements Op.
func (d *Delivery) Step(now time.Time, e replica.Event) Effects {
	var fx Effects
	if _, ok := e.(replica.Begin); ok {
		d.calls.send(&fx, replica.Send{To: d.owner, Message: replica.Capture{Look: true}}, func(_ time.Time, m replica.Message, fx *Effects) {
			a, ok := m.(replica.CaptureAnswer)
			if !ok {
				d.fail(wrong(m), fx)
				return
			}
			d.life = a.Life
			d.page(fx)
		})
		return fx
	}
	d.calls.take(now, e, &fx)
	d.advance(now, &fx)
	return fx
}

func (d *Delivery) fail(err *replica.Error, _ *Effects) {
	if d.err == nil {
		d.err = describe(d.progress.Partition, "hints", err)
	}
}

func (d *Delivery) advance(now time.Time, fx *Effects) {
	if d.err == nil {
		d.sender.advance(now, fx)
		if d.sender.idle() && !d.reading && d.life != 0 {
			switch {
			case !d.read:
				d.page(fx)
			case d.dropping == 0 && !d.adopting:
				d.adopt(fx)
			}
		}
	}
	if d.err != nil || d.finished {
		fx.Finished, fx.Err = true, d.err
	}
}

// page asks for the next hints once those before are on their way.
func (d *Delivery) page(fx *Effects) {
	d.reading = true
	ask := replica.Hints{Slot: d.slot, Life: d.life, Started: d.started, After: d.after, Limit: batchMax}
	d.calls.send(fx, replica.Send{To: d.self, Fallback: true, Message: ask}, func(_ time.Time, m replica.Message, fx *Effects) {
		d.reading = false
		a, ok := m.(replica.HintsAnswer)
		if !ok {
			d.fail(wrong(m), fx)
			return
		}
		if !d.started {
			d.own = a.Own
		}
		d.started, d.read = true, a.Done
		items := make([]replica.Item, len(a.Hints))
		for i, h := range a.Hints {
			items[i] = h.Item
			d.versions[h.Item.Key] = h.Version
			d.after = h.Item.Key
		}
		d.sender.offer(items)
	})
}

func (d *Delivery) drop(_ time.Time, items []replica.Item, fx *Effects) {
	m := replica.DropHints{Slot: d.slot, Life: d.life}
	for _, item := range items {
		m.Keys = append(m.Keys, item.Key)
		m.Versions = append(m.Versions, d.versions[item.Key])
		delete(d.versions, item.Key)
	}
	d.dropping++
	d.calls.send(fx, replica.Send{To: d.self, Fallback: true, Message: m}, func(_ time.Time, m replica.Message, fx *Effects) {
		d.dropping--
		if _, ok := m.(replica.DropHintsAnswer); !ok {
			d.fail(wrong(m), fx)
		}
	})
}

// adopt tells the owner that it has what this member coordinated as a fallback and
// gave it in this life, without which what was deleted so is never forgotten.
func (d *Delivery) adopt(fx *Effects) {
	d.adopting = true
	if len(d.own) == 0 || d.owner == d.self {
		d.finished = true
		return
	}
	m := replica.Adopt{From: d.self, Life: d.life, Seen: d.own}
	d.calls.send(fx, replica.Send{To: d.owner, Message: m}, func(_ time.Time, m replica.Message, fx *Effects) {
		if _, ok := m.(replica.AdoptAnswer); !ok {
			d.fail(wrong(m), fx)
		}
		d.finished = true
	})
}
