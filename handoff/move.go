package handoff

import (
	"time"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// Move brings what the owner of a slot holds to the vnode that is to have it
// (design section 9). The former owner runs it: it streams its objects in order,
// with a cursor at the other side, compares the two while it still serves, until
// little differs, then fences itself, compares once more, and has the other side
// settle. When Move has finished, the agreed state may give the slot away; before
// that it must not.
//
// A member that begins a move again goes on from the cursor. Whatever was written
// behind it meanwhile, the comparisons find.
type Move struct {
	config   MoveConfig
	calls    calls
	progress Progress
	sender   Sender
	stage    moveStage

	started bool // there is a cursor
	after   replica.Key
	reading bool // a page is asked for
	read    bool // the last page was read

	exchange *Exchange
	rounds   int       // exchanges begun
	again    time.Time // when the next one may begin
	busy     int       // exchanges that did not begin
	finished bool
	err      *replica.Error
}

// MoveConfig says what is moved.
type MoveConfig struct {
	replica.Move
	Replicas int
	Leaves   uint32
	Throttle Throttle
}

type moveStage uint8

const (
	inheriting moveStage = iota
	streaming
	catchingUp
	fencing
	closing
	settling
)

const (
	// moveWindow messages of a stream may be under way: enough for the disks of both
	// sides and the network to work at once.
	moveWindow = 4
	// catchUpRounds bounds the comparisons before the fence: with more written than
	// can be brought over, the last one has to do.
	catchUpRounds = 8
	// catchUpDiffering is so little that bringing it over takes about as long as the
	// comparison itself, for which nothing is served.
	catchUpDiffering = 64
	// readAhead messages may wait to be sent while the next page is read.
	readAhead = 4
	// busyRetry is how long a vnode is left to the comparison that it is in.
	busyRetry = 250 * time.Millisecond
	// busyMax comparisons are waited for before the move is begun again later.
	busyMax = 120
)

// NewMove returns the op that carries out a move of the slot that c.From owns.
func NewMove(c MoveConfig) *Move {
	m := &Move{
		config:   c,
		progress: Progress{Kind: KindMove, Partition: c.Partition, Slot: c.Slot, From: c.From, To: c.To},
	}
	m.sender = Sender{
		to: c.To, move: c.Number, window: moveWindow, throttle: c.Throttle, calls: &m.calls, progress: &m.progress,
		acked:  func(time.Time, []replica.Item, *Effects) {},
		failed: func(err *replica.Error, _ *Effects) { m.fail(err) },
	}
	return m
}

// Progress implements Op.
func (m *Move) Progress() Progress { return m.progress }

// Step implements Op.
func (m *Move) Step(now time.Time, e replica.Event) Effects {
	var fx Effects
	if _, ok := e.(replica.Begin); ok {
		m.ask(&fx, m.config.To, replica.Inherit{Move: m.config.Number}, m.inherited)
		return fx
	}
	m.calls.take(now, e, &fx)
	if m.exchange != nil {
		m.stepExchange(now, e, &fx)
	}
	m.advance(now, &fx)
	if m.finished || m.err != nil {
		// What is still sent ends the sessions of a comparison that failed.
		return Effects{Sends: fx.Sends, Finished: true, Err: m.err}
	}
	return fx
}

func (m *Move) fail(err *replica.Error) {
	if m.err == nil {
		m.err = describe(m.config.Partition, "move", err)
	}
}

// ask sends a message and hands its answer to then, which says whether it is of the
// right type.
func (m *Move) ask(fx *Effects, to ring.MemberID, message replica.Message, then func(replica.Message, *Effects) bool) {
	m.calls.send(fx, replica.Send{To: to, Message: message}, func(_ time.Time, answer replica.Message, fx *Effects) {
		if !then(answer, fx) {
			m.fail(wrong(answer))
		}
	})
}

func (m *Move) inherited(answer replica.Message, _ *Effects) bool {
	a, ok := answer.(replica.InheritAnswer)
	m.started, m.after = a.Started, a.After
	m.stage = streaming
	return ok
}

// advance takes what steps need no answer.
func (m *Move) advance(now time.Time, fx *Effects) {
	if m.err != nil {
		return
	}
	switch m.stage {
	case streaming:
		m.sender.advance(now, fx)
		switch {
		case m.reading:
		case !m.read && len(m.sender.waiting) <= readAhead:
			m.page(fx)
		case m.read && m.sender.idle():
			m.stage = catchingUp
			m.beginExchange(now, fx)
		}
	case catchingUp, closing:
		if m.exchange == nil {
			m.beginExchange(now, fx)
		}
	}
}

// page reads the next objects while those before are on their way.
func (m *Move) page(fx *Effects) {
	m.reading = true
	m.ask(fx, m.config.From, replica.Page{Started: m.started, After: m.after}, func(answer replica.Message, _ *Effects) bool {
		a, ok := answer.(replica.PageAnswer)
		m.reading, m.read = false, a.Done
		if !a.Done {
			m.started, m.after = true, a.Last
		}
		m.sender.offer(a.Items)
		return ok
	})
}

// beginExchange compares the two vnodes once it is time to.
func (m *Move) beginExchange(now time.Time, fx *Effects) {
	if now.Before(m.again) {
		fx.Tick = m.again
		return
	}
	m.rounds++
	m.exchange = NewExchange(ExchangeConfig{
		Partition: m.config.Partition, Self: m.config.From, Peer: m.config.To,
		SelfSlot: m.config.Slot, PeerSlot: m.config.Slot,
		Replicas: m.config.Replicas, Leaves: m.config.Leaves, Throttle: m.config.Throttle,
	})
	// Numbers of its own: an answer to an earlier one is none to it.
	m.exchange.calls.seq = uint32(m.rounds) << 20
	m.stepExchange(now, replica.Begin{}, fx)
}

// stepExchange passes an event on, and judges the exchange when it has ended.
func (m *Move) stepExchange(now time.Time, e replica.Event, fx *Effects) {
	x := m.exchange
	inner := x.Step(now, e)
	fx.Sends = append(fx.Sends, inner.Sends...)
	if !inner.Finished {
		if fx.Tick.IsZero() || (!inner.Tick.IsZero() && inner.Tick.Before(fx.Tick)) {
			fx.Tick = inner.Tick
		}
		return
	}
	m.exchange = nil
	p := x.Progress()
	m.progress.Done += p.Done
	m.progress.Total += p.Total
	m.progress.Bytes += p.Bytes
	m.progress.Read += p.Read
	m.progress.Differed += p.Differed
	switch {
	case inner.Err != nil && x.Busy() && m.busy < busyMax:
		m.busy++
		m.again = now.Add(busyRetry)
		fx.Tick = m.again
	case inner.Err != nil:
		m.fail(inner.Err)
	case !x.Agreed():
		m.fail(replica.Errorf(replica.KindCorrupt, "not everything could be compared: records that are corrupt have to be restored first"))
	case x.sides[0].incomplete:
		m.fail(replica.Errorf(replica.KindUnavailable, "member %v lost data of the slot and has not got all of it back from the other owners yet", m.config.From))
	case m.stage == closing:
		m.settle(fx, x.sides[1].life)
	case p.Differed <= catchUpDiffering || m.rounds-m.busy >= catchUpRounds:
		m.stage = fencing
		m.ask(fx, m.config.From, replica.Fence{Move: m.config.Number}, func(answer replica.Message, _ *Effects) bool {
			_, ok := answer.(replica.FenceAnswer)
			m.stage = closing
			return ok
		})
	}
}

// settle has the other side note, durably, that it has everything.
func (m *Move) settle(fx *Effects, life uint64) {
	m.stage = settling
	m.ask(fx, m.config.To, replica.Settle{Move: m.config.Number, Life: life}, func(answer replica.Message, _ *Effects) bool {
		_, ok := answer.(replica.SettleAnswer)
		m.finished = ok
		return ok
	})
}
