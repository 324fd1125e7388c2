package member

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/handoff"
	"github.com/ringd/ringd/internal/clock"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
)

// mover carries out this member's part in the moves under way: it hands over the
// slots that are taken from it, rebuilds those that it got from one that is gone,
// has finished moves agreed on, gives up what it owns no more, and takes its leave
// once nothing is left.
type mover struct {
	repair  *repairer
	coord   *coordinator
	store   moverStore
	log     *slog.Logger
	running sync.WaitGroup
	// handbacks are of what is to be given back before it is dropped: used where that is
	// done only.
	handbacks map[ring.PartitionID]*handback

	mu struct {
		sync.Mutex
		// moving are the moves whose op runs here; finished those that have come to
		// their end and are to be agreed on.
		moving   map[uint64]bool
		finished map[uint64]bool
		retryAt  map[uint64]time.Time
		// begun are the arrivals of this member's slots that its vnodes were told of.
		begun map[ring.Slot]uint64
		// doubtful are the partitions that may hold what this member owns no more, and
		// the version of the state that last gave reason to think so.
		doubtful map[ring.PartitionID]uint64
		dropped  map[ring.PartitionID]bool // whose room was not given back yet
		// version and generation are of the state that was looked at last.
		version, generation uint64
		warned              time.Time
	}
	proposing chan struct{} // of capacity 1
}

// moverStore is where this member's vnodes keep what they have.
type moverStore interface {
	storage.Reader
	// Reclaim gives the room of a range that was deleted back.
	Reclaim(ctx context.Context, lower, upper []byte) error
}

const (
	// moveTick is how often it is looked whether something is due: a move of little
	// data should not wait for the next.
	moveTick = 50 * time.Millisecond
	// moveRetry is how long a move waits that was cut short.
	moveRetry = time.Second
	// warnEvery keeps a member that is away from filling the log.
	warnEvery = 10 * time.Second
	// dropRetry is how often it is asked whether new owners have what is to be dropped.
	dropRetry = time.Second
	// proposeWithin bounds one attempt to have moves agreed on.
	proposeWithin = 5 * time.Second
)

func newMover(r *repairer, store moverStore) *mover {
	m := &mover{repair: r, coord: r.coord, store: store, log: r.log, handbacks: make(map[ring.PartitionID]*handback), proposing: make(chan struct{}, 1)}
	m.mu.moving = make(map[uint64]bool)
	m.mu.finished = make(map[uint64]bool)
	m.mu.retryAt = make(map[uint64]time.Time)
	m.mu.begun = make(map[ring.Slot]uint64)
	m.mu.doubtful = make(map[ring.PartitionID]uint64)
	m.mu.dropped = make(map[ring.PartitionID]bool)
	return m
}

// run looks for what is due until ctx ends, and returns once nothing of it runs any
// more.
func (m *mover) run(ctx context.Context) {
	defer m.running.Wait()
	m.running.Go(func() {
		every(ctx, dropRetry, func() {
			m.leave(ctx)
			m.dropWhatIsOver(ctx)
			m.giveBackRoom(ctx)
		})
	})
	every(ctx, moveTick, func() {
		state := m.coord.node.State()
		m.follow(state)
		m.beginArrivals(ctx, state)
		for _, move := range state.Active() {
			switch {
			case move.Rebuild && move.To == m.coord.self:
				m.rebuild(ctx, state, move)
			case !move.Rebuild && move.From == m.coord.self:
				m.handOver(ctx, state, move)
			}
		}
		m.propose(ctx, state)
	})
}

// follow forgets what was decided, and notices slots that came or went.
func (m *mover) follow(state *cluster.State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.version == state.Version {
		return
	}
	// A recovery may go back to owners of before.
	generation := state.Ring.Epoch().Generation
	first := m.mu.version == 0 || m.mu.generation != generation
	if first {
		clear(m.mu.begun)
	}
	m.mu.version, m.mu.generation = state.Version, generation
	underway := make(map[uint64]bool)
	for _, move := range state.Moves {
		underway[move.Number] = true
		if move.From == m.coord.self || move.To == m.coord.self {
			m.mu.doubtful[move.Partition] = state.Version
		}
	}
	for number := range m.mu.finished {
		if !underway[number] {
			delete(m.mu.finished, number)
		}
	}
	for number := range m.mu.retryAt {
		if !underway[number] {
			delete(m.mu.retryAt, number)
		}
	}
	if first {
		for p := range state.Ring.Partitions() {
			m.mu.doubtful[ring.PartitionID(p)] = state.Version
		}
	}
}

// beginArrivals tells the vnodes of slots that came by a move, or came back by a
// recovery, once each: one that does not hold the slot's data has to get them from the
// other owners.
func (m *mover) beginArrivals(ctx context.Context, state *cluster.State) {
	incomplete := false
	for p := range state.Ring.Partitions() {
		index, ok := state.Ring.SlotOf(ring.PartitionID(p), m.coord.self)
		if !ok {
			continue
		}
		slot := ring.Slot{Partition: ring.PartitionID(p), Index: index}
		arrival := state.Ring.Arrival(slot)
		m.mu.Lock()
		begun, ok := m.mu.begun[slot]
		m.mu.Unlock()
		known := ok && begun == arrival || arrival == 0 && state.Recovery == nil
		if known {
			continue
		}
		answer := m.repair.own(ctx, slot.Partition, false, replica.Inherit{Move: arrival, Rebuild: true})
		if _, ok := answer.(replica.InheritAnswer); !ok {
			continue // the next look tries again
		}
		m.mu.Lock()
		m.mu.begun[slot] = arrival
		m.mu.Unlock()
		// One that came whole, as by any move, needs no look at all the others.
		a, ok := m.repair.own(ctx, slot.Partition, false, replica.Capture{Look: true}).(replica.CaptureAnswer)
		incomplete = incomplete || !ok || a.Incomplete
	}
	if incomplete {
		m.repair.findIncomplete(ctx)
	}
}

// take says that a move may be worked on now, and that it is.
func (m *mover) take(number uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.moving[number] || m.mu.finished[number] || clock.Now().Before(m.mu.retryAt[number]) {
		return false
	}
	m.mu.moving[number] = true
	return true
}

// release says how far a move has come that was taken.
func (m *mover) release(number uint64, finished bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.mu.moving, number)
	if finished {
		m.mu.finished[number] = true
	} else {
		m.mu.retryAt[number] = clock.Now().Add(moveRetry)
	}
}

// handOver brings the slot's data to its new owner.
func (m *mover) handOver(ctx context.Context, state *cluster.State, move replica.Move) {
	if !m.coord.up(move.To) || !m.take(move.Number) {
		return
	}
	started := m.repair.start(state.Settings.TransferConcurrency, func() {
		op := handoff.NewMove(handoff.MoveConfig{
			Move: move, Replicas: state.Ring.Replicas(), Leaves: replica.Leaves(state.Ring.Partitions()), Throttle: m.repair.transfers,
		})
		err := m.repair.transfers.run(ctx, move.Partition, op)
		m.repair.stats.moved(op.Progress(), err)
		if err != nil && ctx.Err() == nil {
			m.log.Log(ctx, m.loudness(err), "a slot could not be handed over; it is tried again", "partition", move.Partition, "slot", move.Slot, "to", move.To, "error", err)
		}
		m.release(move.Number, err == nil)
	})
	if !started {
		m.mu.Lock()
		delete(m.mu.moving, move.Number)
		m.mu.Unlock()
	}
}

// loudness is that of a warning now and then: while a member is away, all its moves
// fail every second. One that has not heard of a move yet is no reason for any.
func (m *mover) loudness(err *replica.Error) slog.Level {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err.Kind == replica.KindAborted || time.Since(m.mu.warned) < warnEvery {
		return slog.LevelDebug
	}
	m.mu.warned = clock.Now()
	return slog.LevelWarn
}

// rebuild has the other owners know of the rebuild, and finds out whether the vnode
// has what it needs of them. Getting it is the repairer's, as after any loss.
func (m *mover) rebuild(ctx context.Context, state *cluster.State, move replica.Move) {
	if !m.take(move.Number) {
		return
	}
	m.running.Go(func() {
		a, ok := m.repair.own(ctx, move.Partition, false, replica.Capture{Look: true}).(replica.CaptureAnswer)
		if ok && !a.Incomplete {
			m.release(move.Number, true)
			return
		}
		for _, id := range state.Ring.Owners(move.Partition) {
			if id == m.coord.self || !ok {
				continue
			}
			if _, answered := m.ask(ctx, id, move.Partition, replica.Capture{Look: true}).(replica.CaptureAnswer); answered {
				m.repair.own(ctx, move.Partition, false, replica.Heard{From: id})
			}
		}
		m.release(move.Number, false)
	})
}

// ask asks the vnode of another member, and waits for the answer.
func (m *mover) ask(ctx context.Context, to ring.MemberID, p ring.PartitionID, message replica.Message) replica.Message {
	done := make(chan replica.Event, 1)
	m.coord.ask(replica.Envelope{
		From: m.coord.self, To: to, Epoch: m.coord.node.State().Ring.Epoch(), Partition: p,
		Deadline: clock.Now().Add(answerWithin), Message: message,
	}, 0, func(e replica.Event) { done <- e })
	select {
	case e := <-done:
		if a, ok := e.(replica.Answer); ok {
			return a.Message
		}
	case <-ctx.Done():
	}
	return nil
}

// propose has finished moves agreed on, many at a time. One whose fate is unknown
// is proposed again, as long as the state names it.
func (m *mover) propose(ctx context.Context, state *cluster.State) {
	m.mu.Lock()
	var numbers []uint64
	for _, move := range state.Active() {
		if m.mu.finished[move.Number] {
			numbers = append(numbers, move.Number)
		}
	}
	m.mu.Unlock()
	if len(numbers) == 0 {
		return
	}
	select {
	case m.proposing <- struct{}{}:
	default:
		return
	}
	m.running.Go(func() {
		defer func() { <-m.proposing }()
		ctx, cancel := context.WithTimeout(ctx, proposeWithin)
		defer cancel()
		err := m.coord.node.Apply(ctx, cluster.Command{FinishMoves: &cluster.FinishMoves{Numbers: numbers}})
		if err != nil && ctx.Err() == nil && replica.KindOf(err) != replica.KindPrecondition {
			m.log.Warn("moves that have come to their end could not be agreed on yet", "moves", len(numbers), "error", err)
		}
	})
}

// dropWhatIsOver gives up what this member owns no more, as far as all owners of
// its partition have everything.
func (m *mover) dropWhatIsOver(ctx context.Context) {
	m.mu.Lock()
	doubtful := maps.Clone(m.mu.doubtful)
	m.mu.Unlock()
	for _, p := range slices.Sorted(maps.Keys(doubtful)) {
		if ctx.Err() != nil {
			return
		}
		if m.isOver(ctx, p) {
			m.trust(p, doubtful[p])
		}
	}
}

// trust takes note that a partition was found to hold nothing that this member does
// not own, unless a state after since gave new reason to doubt it.
func (m *mover) trust(p ring.PartitionID, since uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.doubtful[p] == since {
		delete(m.mu.doubtful, p)
	}
}

// isOver reports that this member holds nothing of p that it does not own, and
// makes it so if it may.
func (m *mover) isOver(ctx context.Context, p ring.PartitionID) bool {
	state := m.coord.node.State()
	if !state.Ring.HasOwners() {
		return true
	}
	if _, owner := state.Ring.SlotOf(p, m.coord.self); owner {
		// A move may take it yet; then it is doubtful again.
		return !slices.ContainsFunc(state.Moves, func(move replica.Move) bool { return move.Partition == p && move.From == m.coord.self })
	}
	if slices.ContainsFunc(state.Moves, func(move replica.Move) bool { return move.Partition == p && move.To == m.coord.self }) {
		return false
	}
	left, ok := m.repair.own(ctx, p, false, replica.Leftovers{}).(replica.LeftoversAnswer)
	if !ok || !left.Any {
		return ok
	}
	if heldAsOwner(state, left) && !m.giveBack(ctx, state.Ring, p) {
		return false
	}
	for _, id := range state.Ring.Owners(p) {
		a, ok := m.ask(ctx, id, p, replica.Capture{Look: true}).(replica.CaptureAnswer)
		if !ok || a.Incomplete {
			return false
		}
	}
	if _, ok = m.repair.own(ctx, p, false, replica.Drop{}).(replica.DropAnswer); ok {
		delete(m.handbacks, p)
		m.mu.Lock()
		m.mu.dropped[p] = true
		m.mu.Unlock()
	}
	return ok
}

// giveBackRoom has the store give back the room of what was dropped, once nothing more is
// to be: tables are written anew for that, and hold several partitions. Who is about
// to leave takes its disk with it. What an end of the process prevents, Pebble does when it compacts.
func (m *mover) giveBackRoom(ctx context.Context) {
	m.mu.Lock()
	dropped := slices.Sorted(maps.Keys(m.mu.dropped))
	wait := len(m.mu.doubtful) > 0 || m.coord.node.State().Members[m.coord.self].Leaving
	m.mu.Unlock()
	if wait {
		return
	}
	for _, p := range dropped {
		for _, r := range storage.HeldRanges(uint32(p)) {
			if err := m.store.Reclaim(ctx, r.Lower, r.Upper); err != nil {
				if ctx.Err() == nil {
					m.log.Warn("the room of a partition that was dropped could not be given back yet", "partition", p, "error", err)
				}
				return
			}
		}
		m.mu.Lock()
		delete(m.mu.dropped, p)
		m.mu.Unlock()
	}
	if len(dropped) > 0 {
		m.log.Info("the room of partitions that were dropped was given back", "partitions", len(dropped))
	}
}

// leave takes this member out of the cluster, if it is leaving and holds nothing any
// more.
func (m *mover) leave(ctx context.Context) {
	state := m.coord.node.State()
	if !state.Members[m.coord.self].Leaving || slices.Contains(state.Ring.Members(), m.coord.self) || !m.left(ctx, state) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, proposeWithin)
	defer cancel()
	if err := m.coord.node.Apply(ctx, cluster.Command{RemoveMember: &cluster.RemoveMember{ID: m.coord.self}}); err != nil {
		m.log.Warn("this member holds nothing any more, and could not take its leave yet", "error", err)
	}
}

// left reports that this member holds nothing any more: it owns nothing, and has
// given away what it kept for others. That of a vnode which does not know yet that
// the member is leaving says nothing: it still takes hints.
func (m *mover) left(ctx context.Context, state *cluster.State) bool {
	m.mu.Lock()
	doubtful := len(m.mu.doubtful)
	m.mu.Unlock()
	if doubtful > 0 {
		return false
	}
	for p := range state.Ring.Partitions() {
		a, ok := m.repair.own(ctx, ring.PartitionID(p), true, replica.HintCount{}).(replica.HintCountAnswer)
		if !ok || !a.Leaving {
			return false
		}
		for _, n := range a.Count {
			if n > 0 {
				return false
			}
		}
	}
	return true
}
