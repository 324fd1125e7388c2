package handoff

import (
	"cmp"
	"time"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// batchBytesMax is what the objects of one message take at most, unless one is
// larger by itself; batchMax how many there are.
const (
	batchBytesMax = 256 << 10
	batchMax      = 256
	// windowMax is how many messages are under way to one vnode, if nothing else is
	// said: one that is merged while the next is on its way.
	windowMax = 2
)

// Sender moves objects to one vnode: a bounded number of messages of them is under
// way, and none before the throttle lets it.
type Sender struct {
	to       ring.MemberID
	move     uint64 // whose cursor is to follow; 0 for none
	window   int    // messages under way; windowMax unless set
	throttle Throttle
	calls    *calls
	progress *Progress
	// acked is told of objects that are durable at the receiver.
	acked func(now time.Time, items []replica.Item, fx *Effects)
	// failed is told why a message was not taken.
	failed func(err *replica.Error, fx *Effects)

	// changed counts the objects that told the receiver something.
	changed  int
	waiting  [][]replica.Item
	underway int
	// allowed is when the first of waiting may go; zero: nobody was asked yet.
	allowed time.Time
}

// offer adds objects to what is to be sent.
func (s *Sender) offer(items []replica.Item) {
	s.progress.Total += len(items)
	for len(items) > 0 {
		n, bytes := 0, 0
		for n < len(items) && n < batchMax && (n == 0 || bytes+len(items[n].Object) <= batchBytesMax) {
			bytes += len(items[n].Object)
			n++
		}
		s.waiting = append(s.waiting, items[:n:n])
		items = items[n:]
	}
}

// idle says that everything that was offered is durable at the receiver.
func (s *Sender) idle() bool { return len(s.waiting) == 0 && s.underway == 0 }

// advance sends what may be sent, and says in fx when to call again.
func (s *Sender) advance(now time.Time, fx *Effects) {
	for len(s.waiting) > 0 && s.underway < cmp.Or(s.window, windowMax) {
		items := s.waiting[0]
		if s.allowed.IsZero() {
			bytes := 0
			for i := range items {
				bytes += len(items[i].Object)
			}
			s.allowed = now.Add(s.throttle.Take(now, bytes))
		}
		if now.Before(s.allowed) {
			if fx.Tick.IsZero() || s.allowed.Before(fx.Tick) {
				fx.Tick = s.allowed
			}
			return
		}
		s.waiting, s.allowed = s.waiting[1:], time.Time{}
		s.underway++
		s.calls.send(fx, replica.Send{To: s.to, Message: replica.Transfer{Items: items, Move: s.move}}, func(now time.Time, m replica.Message, fx *Effects) {
			s.underway--
			a, ok := m.(replica.TransferAnswer)
			if !ok {
				s.failed(wrong(m), fx)
				return
			}
			s.changed += a.Changed
			s.progress.Done += len(items)
			for i := range items {
				s.progress.Bytes += int64(len(items[i].Object))
			}
			s.acked(now, items, fx)
		})
	}
}
