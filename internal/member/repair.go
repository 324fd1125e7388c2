package member

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/handoff"
	"github.com/ringd/ringd/internal/clock"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/vnode"
)

// repairer undoes what failures did to the replicas that this member has a part
// in: it delivers hints, compares its partitions with their other owners, forgets
// what was deleted everywhere, and restores records that are corrupt.
type repairer struct {
	coord     *coordinator
	transfers *transfers
	stats     *repairStats
	log       *slog.Logger
	running   sync.WaitGroup // ops begun by the loop
	// slots bounds the ops that run at once; it is as long as it is set to be.
	busy chan struct{}
	// finding is held by findIncomplete: what was looked at last counts.
	finding sync.Mutex

	mu struct {
		sync.Mutex
		schedule *handoff.Schedule
		// refill are the comparisons that vnodes which lost data wait for: with every
		// other owner, whoever begins them otherwise.
		refill    *handoff.Schedule
		missing   []handoff.Pair
		epoch     ring.Epoch
		every     time.Duration
		holders   []ring.MemberID   // of copies
		hinted    map[hintSlot]bool // may have hints; true: under way
		hintsDue  time.Time
		connected map[ring.MemberID]bool
		damaged   map[damage]time.Time // when to try next
		// comparing are the partitions that this member compares: each with one
		// other owner at a time, or two would send it the same objects.
		comparing map[ring.PartitionID]bool
		reapNext  ring.PartitionID
		reapDue   time.Time
		graves    map[ring.PartitionID]replica.ReapAnswer // last
		kept      map[ring.PartitionID]replica.HintCountAnswer
	}
}

type hintSlot struct {
	partition ring.PartitionID
	slot      int
}

type damage struct {
	partition ring.PartitionID
	key       replica.Key
}

const (
	// repairTick is how often it is looked whether something is due.
	repairTick = 200 * time.Millisecond
	// opsMax is above what any setting allows.
	opsMax = 256
	// reapAtOnce bounds the deletions that one step of a vnode looks at.
	reapAtOnce = 256
	// reapEvery is about how often each partition is looked through for what may be
	// forgotten.
	reapEvery = time.Minute
	// refillEvery is how often a comparison is tried that a vnode which lost data
	// waits for: it answers no reads before.
	refillEvery = 2 * time.Second
	// restoreAfter is how long a record waits that could not be restored.
	restoreAfter = 5 * time.Second
)

func newRepairer(c *coordinator, stats *repairStats, log *slog.Logger) *repairer {
	settings := c.node.State().Settings
	r := &repairer{
		coord: c, transfers: newTransfers(c, settings.TransferRate), stats: stats, log: log,
		busy: make(chan struct{}, opsMax),
	}
	r.mu.schedule = handoff.NewSchedule(settings.AntiEntropyEvery, rand.Float64)
	r.mu.refill = handoff.NewSchedule(refillEvery, rand.Float64)
	r.mu.hinted = make(map[hintSlot]bool)
	r.mu.connected = make(map[ring.MemberID]bool)
	r.mu.damaged = make(map[damage]time.Time)
	r.mu.comparing = make(map[ring.PartitionID]bool)
	r.mu.graves = make(map[ring.PartitionID]replica.ReapAnswer)
	r.mu.kept = make(map[ring.PartitionID]replica.HintCountAnswer)
	return r
}

// run looks for what is due until ctx ends, and returns once nothing of it runs
// any more.
func (r *repairer) run(ctx context.Context) {
	defer r.running.Wait()
	r.findIncomplete(ctx)
	r.findHints(ctx)
	every(ctx, repairTick, func() {
		state := r.coord.node.State()
		now := clock.Now()
		r.follow(now, state)
		r.startHints(ctx, now, state)
		r.startExchanges(ctx, now, state)
		r.startRestores(ctx, now, state)
		r.startReaping(ctx, now, state)
	})
}

// follow takes over what is agreed, and notices members that are back.
func (r *repairer) follow(now time.Time, state *cluster.State) {
	r.transfers.setRate(state.Settings.TransferRate)
	r.mu.Lock()
	defer r.mu.Unlock()
	var back []ring.MemberID
	changed := false
	for id := range state.Members {
		up := id == r.coord.self || r.coord.up(id)
		changed = changed || up != r.mu.connected[id]
		if up && !r.mu.connected[id] {
			back = append(back, id)
		}
		r.mu.connected[id] = up
	}
	holders := copyHolders(state)
	// Who is up matters to copies alone.
	changed = changed && len(holders) > 0
	if changed || r.mu.epoch != state.Ring.Epoch() || r.mu.every != state.Settings.AntiEntropyEvery || !slices.Equal(r.mu.holders, holders) {
		r.mu.schedule.Set(now, state.Settings.AntiEntropyEvery, r.pairsLocked(state, holders))
		r.mu.epoch, r.mu.every, r.mu.holders = state.Ring.Epoch(), state.Settings.AntiEntropyEvery, holders
	}
	for _, id := range back {
		// What it missed is given to it before it is compared.
		r.mu.hintsDue = now
		r.mu.schedule.Soon(now, id)
	}
}

// pairsLocked are the comparisons that this member begins.
func (r *repairer) pairsLocked(state *cluster.State, holders []ring.MemberID) []handoff.Pair {
	up := func(id ring.MemberID) bool { return r.mu.connected[id] }
	return append(handoff.Pairs(state.Ring, r.coord.self), handoff.CopyPairs(state.Ring, r.coord.self, holders, up)...)
}

// start runs do unless as many ops run as may.
func (r *repairer) start(most int, do func()) bool {
	if len(r.busy) >= min(most, opsMax) {
		return false
	}
	r.busy <- struct{}{}
	r.running.Go(func() {
		defer func() { <-r.busy }()
		do()
	})
	return true
}

func (r *repairer) startExchanges(ctx context.Context, now time.Time, state *cluster.State) {
	for len(r.busy) < state.Settings.TransferConcurrency {
		r.mu.Lock()
		from := r.mu.refill
		pair, ok := from.Next(now)
		if !ok {
			from = r.mu.schedule
			pair, ok = from.Next(now)
		}
		if ok && !r.coord.up(pair.Peer) {
			from.Done(now, pair, false)
			r.mu.Unlock()
			continue
		}
		r.mu.Unlock()
		if !ok {
			return
		}
		r.start(state.Settings.TransferConcurrency, func() {
			_, busy, err := r.exchange(ctx, state, pair, "")
			if err != nil && !busy && ctx.Err() == nil {
				r.log.Warn("owners could not be compared", "partition", pair.Partition, "with", pair.Peer, "error", err)
			}
		})
	}
}

// exchange compares this member's vnode with another owner's. Busy: it did not
// begin, because one of them is being compared with another.
func (r *repairer) exchange(ctx context.Context, state *cluster.State, pair handoff.Pair, bucketType string) (progress handoff.Progress, busy bool, err *replica.Error) {
	r.mu.Lock()
	if r.mu.comparing[pair.Partition] {
		r.endedLocked(pair, false, true)
		r.mu.Unlock()
		return handoff.Progress{}, true, replica.Errorf(replica.KindOverloaded, "partition %d is being compared", pair.Partition)
	}
	r.mu.comparing[pair.Partition] = true
	secondLook := handoff.SecondLook
	if slices.Contains(r.mu.missing, pair) {
		// What is being written is a small part of what lacks.
		secondLook = 0
	}
	r.mu.Unlock()
	owners := state.Ring.Owners(pair.Partition)
	config := handoff.ExchangeConfig{
		Partition: pair.Partition, Self: r.coord.self, Peer: pair.Peer,
		SelfSlot: slotOf(owners, r.coord.self), PeerSlot: slotOf(owners, pair.Peer),
		Replicas: state.Ring.Replicas(), Leaves: replica.Leaves(state.Ring.Partitions()),
		BucketType: bucketType, Class: state.BucketTypes[bucketType].Class(),
		SecondLook: secondLook, Throttle: r.transfers,
	}
	x := handoff.NewExchange(config)
	err = r.transfers.run(ctx, pair.Partition, x)
	r.mu.Lock()
	delete(r.mu.comparing, pair.Partition)
	r.endedLocked(pair, err == nil && x.Agreed(), x.Busy())
	r.mu.Unlock()
	r.stats.exchanged(x.Progress(), x.Busy(), err)
	return x.Progress(), x.Busy(), err
}

// endedLocked says to the schedules how a comparison ended, or that it did not
// begin because a vnode was busy with another.
func (r *repairer) endedLocked(pair handoff.Pair, agreed, busy bool) {
	now := clock.Now()
	for _, s := range []*handoff.Schedule{r.mu.schedule, r.mu.refill} {
		if busy {
			s.Busy(now, pair)
		} else {
			s.Done(now, pair, agreed)
		}
	}
	if i := slices.Index(r.mu.missing, pair); i >= 0 && agreed {
		r.mu.missing = slices.Delete(slices.Clone(r.mu.missing), i, i+1)
		r.mu.refill.Set(now, refillEvery, r.mu.missing)
	}
}

// findIncomplete asks the vnodes whether they lost data, in this life or one that
// ended before all had come back. Of those the indexes are set right first: they
// went with the data. Then they are compared with all other owners, soon.
func (r *repairer) findIncomplete(ctx context.Context) {
	r.finding.Lock()
	defer r.finding.Unlock()
	state := r.coord.node.State()
	// All are asked before any is seen to: others compare themselves with them, too,
	// and one that is whole by then does not tell any more.
	var incomplete []ring.PartitionID
	for i := range state.Ring.Partitions() {
		p := ring.PartitionID(i)
		if !state.Ring.IsOwner(p, state.Ring.Replicas(), r.coord.self) {
			continue
		}
		if a, ok := r.own(ctx, p, false, replica.Capture{Look: true}).(replica.CaptureAnswer); ok && a.Incomplete {
			incomplete = append(incomplete, p)
		}
	}
	var missing []handoff.Pair
	for _, p := range incomplete {
		if _, err := r.checkTree(ctx, p); err != nil {
			r.log.Error("a hash tree could not be checked", "partition", p, "error", err)
		}
		for _, id := range state.Ring.Owners(p) {
			if id != r.coord.self {
				missing = append(missing, handoff.Pair{Partition: p, Peer: id})
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.missing = missing
	r.mu.refill.Set(clock.Now(), refillEvery, missing)
}

func slotOf(owners []ring.MemberID, id ring.MemberID) int {
	for slot, owner := range owners {
		if owner == id {
			return slot
		}
	}
	return len(owners)
}

// findHints asks the vnodes once what hints they have from earlier lives.
func (r *repairer) findHints(ctx context.Context) {
	for p := range r.coord.node.State().Ring.Partitions() {
		if ctx.Err() != nil {
			return
		}
		r.countHints(ctx, ring.PartitionID(p))
	}
}

// countHints asks a vnode what hints it keeps.
func (r *repairer) countHints(ctx context.Context, p ring.PartitionID) {
	a, ok := r.own(ctx, p, true, replica.HintCount{}).(replica.HintCountAnswer)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.mu.kept, p)
	for slot, n := range a.Count {
		at := hintSlot{p, slot}
		switch {
		case n > 0:
			if _, known := r.mu.hinted[at]; !known {
				r.mu.hinted[at] = false
			}
			r.mu.kept[p] = a
		case !r.mu.hinted[at]:
			delete(r.mu.hinted, at)
		}
	}
}

// own asks one of this member's vnodes, and waits for the answer.
func (r *repairer) own(ctx context.Context, p ring.PartitionID, fallback bool, m replica.Message) replica.Message {
	done := make(chan replica.Message, 1)
	r.coord.local(replica.Envelope{
		From: r.coord.self, To: r.coord.self, Epoch: r.coord.node.State().Ring.Epoch(), Partition: p, Fallback: fallback,
		Deadline: clock.Now().Add(answerWithin), Message: m,
	}, func(answer replica.Envelope) {
		select {
		case done <- answer.Message:
		default:
		}
	})
	select {
	case m := <-done:
		return m
	case <-ctx.Done():
		return nil
	}
}

// treeCheck is the outcome of holding a partition's trees against its data.
type treeCheck struct {
	checked, sums int
	wrong         []replica.Key
}

// checkAtOnce bounds the records, or leaves, that one step of a vnode checks.
const checkAtOnce = 512

func (r *repairer) checkTree(ctx context.Context, p ring.PartitionID) (treeCheck, error) {
	var out treeCheck
	ask := replica.CheckTree{Limit: checkAtOnce}
	for {
		a, ok := r.own(ctx, p, false, ask).(replica.CheckAnswer)
		if !ok {
			return out, replica.Errorf(replica.KindUnavailable, "partition %d could not be checked", p)
		}
		out.checked += a.Checked
		out.wrong = append(out.wrong, a.Keys...)
		if a.Done {
			break
		}
		ask.Started, ask.After = true, a.Last
	}
	leaves := replica.Leaves(r.coord.node.State().Ring.Partitions())
	for class := 1; class <= replica.CopyClass(r.coord.node.State().Ring.Replicas()); class++ {
		for from := uint32(0); from < leaves; from += checkAtOnce {
			a, ok := r.own(ctx, p, false, replica.CheckSums{
				Class: class, Range: replica.LeafRange{From: from, To: min(leaves, from+checkAtOnce)},
			}).(replica.CheckAnswer)
			if !ok {
				return out, replica.Errorf(replica.KindUnavailable, "partition %d could not be checked", p)
			}
			out.wrong = append(out.wrong, a.Keys...)
			out.sums += a.Sums
		}
	}
	return out, nil
}

// noteHint says that a vnode keeps a hint for some slot.
func (r *repairer) noteHint(p ring.PartitionID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.mu.kept[p]; !ok {
		r.mu.kept[p] = replica.HintCountAnswer{}
	}
}

// startHints delivers, to every owner that can be reached, what is kept for it.
func (r *repairer) startHints(ctx context.Context, now time.Time, state *cluster.State) {
	r.mu.Lock()
	if now.Before(r.mu.hintsDue) || !state.Ring.HasOwners() {
		r.mu.Unlock()
		return
	}
	r.mu.hintsDue = now.Add(state.Settings.HintEvery)
	var partitions []ring.PartitionID
	for p := range r.mu.kept {
		partitions = append(partitions, p)
	}
	r.mu.Unlock()
	for _, p := range partitions {
		r.countHints(ctx, p)
	}
	r.mu.Lock()
	var ready []hintSlot
	for at, underway := range r.mu.hinted {
		if owners := state.Ring.Owners(at.partition); !underway && at.slot < len(owners) && r.mu.connected[owners[at.slot]] {
			ready = append(ready, at)
		}
	}
	r.mu.Unlock()
	for _, at := range ready {
		if !r.startDelivery(ctx, state, at) {
			// The next look goes on.
			r.mu.Lock()
			r.mu.hintsDue = now
			r.mu.Unlock()
			return
		}
	}
}

func (r *repairer) startDelivery(ctx context.Context, state *cluster.State, at hintSlot) bool {
	r.mu.Lock()
	r.mu.hinted[at] = true
	r.mu.Unlock()
	started := r.start(state.Settings.TransferConcurrency, func() {
		owner := state.Ring.Owners(at.partition)[at.slot]
		d := handoff.NewDelivery(r.coord.self, at.partition, at.slot, owner, r.transfers)
		err := r.transfers.run(ctx, at.partition, d)
		if err != nil && ctx.Err() == nil {
			r.log.Warn("hints could not be delivered", "partition", at.partition, "to", owner, "error", err)
		}
		r.stats.delivered(d.Progress())
		r.mu.Lock()
		r.mu.hinted[at] = false
		r.mu.Unlock()
		r.countHints(ctx, at.partition)
	})
	if !started {
		r.mu.Lock()
		r.mu.hinted[at] = false
		r.mu.Unlock()
	}
	return started
}

// noteDamage says that a record is corrupt.
func (r *repairer) noteDamage(p ring.PartitionID, k replica.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.mu.damaged[damage{p, k}]; !ok {
		r.mu.damaged[damage{p, k}] = clock.Now()
		r.stats.damaged.Inc()
	}
}

// startRestores tries to restore what is corrupt and due.
func (r *repairer) startRestores(ctx context.Context, now time.Time, state *cluster.State) {
	r.mu.Lock()
	var due []damage
	for d, at := range r.mu.damaged {
		if !now.Before(at) {
			due = append(due, d)
		}
	}
	r.mu.Unlock()
	for _, d := range due {
		owners := state.Ring.Owners(d.partition)
		class := state.BucketTypes[d.key.Type].N
		started := r.start(state.Settings.TransferConcurrency, func() {
			err := r.transfers.run(ctx, d.partition, handoff.NewRestore(r.coord.self, d.partition, d.key, owners[:min(class, len(owners))]))
			r.mu.Lock()
			defer r.mu.Unlock()
			if err == nil {
				delete(r.mu.damaged, d)
				r.stats.restored.Inc()
				r.log.Info("a corrupt record was restored from the other owners", "partition", d.partition, "bucket", d.key.Bucket, "key", d.key.Key)
				return
			}
			r.mu.damaged[d] = clock.Now().Add(restoreAfter)
			r.log.Error("a corrupt record could not be restored", "partition", d.partition, "bucket", d.key.Bucket, "key", d.key.Key, "error", err)
		})
		if !started {
			return
		}
		r.mu.Lock()
		r.mu.damaged[d] = now.Add(answerWithin * 2)
		r.mu.Unlock()
	}
}

// startReaping looks through one partition at a time for what may be forgotten.
func (r *repairer) startReaping(ctx context.Context, now time.Time, state *cluster.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := ring.PartitionID(state.Ring.Partitions())
	for ; !now.Before(r.mu.reapDue) && state.Ring.HasOwners(); r.mu.reapDue = r.mu.reapDue.Add(reapEvery / time.Duration(n)) {
		if now.Sub(r.mu.reapDue) > reapEvery {
			r.mu.reapDue = now
		}
		p := r.mu.reapNext % n
		if state.Ring.IsOwner(p, state.Ring.Replicas(), r.coord.self) || slices.Contains(r.mu.holders, r.coord.self) {
			if !r.start(opsMax, func() { r.reap(ctx, p) }) {
				return
			}
		}
		r.mu.reapNext = (p + 1) % n
	}
}

func (r *repairer) reap(ctx context.Context, p ring.PartitionID) {
	var total replica.ReapAnswer
	ask := replica.Reap{Limit: reapAtOnce}
	for {
		a, ok := r.own(ctx, p, false, ask).(replica.ReapAnswer)
		if !ok {
			return
		}
		total.Reaped += a.Reaped
		total.Kept += a.Kept
		total.Stuck += a.Stuck
		if a.Done {
			break
		}
		ask.Started, ask.After = true, a.Last
	}
	r.stats.reaped.Add(int64(total.Reaped))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.graves[p] = total
}

// notice takes what the vnodes tell of.
func (r *repairer) notice(n vnode.Notice) {
	switch n.Kind {
	case vnode.NoticeHintStored:
		r.stats.hintsStored.Inc()
		r.noteHint(n.Partition)
	case vnode.NoticeHintRefused:
		r.stats.hintsRefused.Inc()
	case vnode.NoticeHintDropped:
		r.stats.hintsDropped.Inc()
	case vnode.NoticeDamaged:
		r.noteDamage(n.Partition, n.Key)
	}
}
