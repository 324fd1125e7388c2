package member

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ringd/ringd/api"
	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/handoff"
	"github.com/ringd/ringd/internal/clock"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

const (
	// sessionTries bounds how often a comparison is begun that finds a vnode busy
	// with another, sessionPause is the wait between.
	sessionTries = 40
	sessionPause = 500 * time.Millisecond
	// differencesMax bounds the differences that are listed of one partition.
	differencesMax = 1000
)

// inScope returns the partitions that a request is about.
func inScope(state *cluster.State, what api.RepairScope) ([]ring.PartitionID, error) {
	if what.BucketType != "" {
		if _, ok := state.BucketType(what.BucketType); !ok {
			return nil, replica.Errorf(replica.KindNotFound, "there is no bucket type %q: ringctl bucket-type list names those that exist", what.BucketType)
		}
	}
	if !state.Ring.HasOwners() {
		return nil, replica.Errorf(replica.KindUnavailable, "the cluster's partitions have no owners yet: run ringctl commit")
	}
	n := state.Ring.Partitions()
	if what.Partition != nil {
		if int(*what.Partition) >= n {
			return nil, replica.Invalid("partition", "there is no partition %d: use 0 to %d", *what.Partition, n-1)
		}
		return []ring.PartitionID{*what.Partition}, nil
	}
	all := make([]ring.PartitionID, n)
	for p := range all {
		all[p] = ring.PartitionID(p)
	}
	return all, nil
}

// each runs do for each of several things, as many at a time as transfers may
// run, until ctx ends. Background work has its own bound.
func each[T any](ctx context.Context, most int, things []T, do func(T)) {
	room := make(chan struct{}, most)
	var running sync.WaitGroup
	defer running.Wait()
	for _, t := range things {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return
		}
		running.Go(func() {
			defer func() { <-room }()
			do(t)
		})
	}
}

// repairing returns the repairer, and a context that ends with the member's, too.
func (m *Member) repairing(ctx context.Context) (*repairer, context.Context, func(), error) {
	_, leave, err := m.enter()
	if err != nil {
		return nil, nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(m.ctx, cancel)
	return m.repair, ctx, func() { stop(); cancel(); leave() }, nil
}

// Repair implements api.Backend.
func (m *Member) Repair(ctx context.Context, what api.RepairScope, report func(api.RepairProgress)) error {
	r, ctx, done, err := m.repairing(ctx)
	if err != nil {
		return err
	}
	defer done()
	state := m.node.State()
	partitions, err := inScope(state, what)
	if err != nil {
		return err
	}
	wanted := make(map[ring.PartitionID]bool, len(partitions))
	for _, p := range partitions {
		wanted[p] = true
	}
	var pairs []handoff.Pair
	r.mu.Lock()
	all := r.pairsLocked(state, copyHolders(state))
	r.mu.Unlock()
	for _, pair := range all {
		if wanted[pair.Partition] {
			pairs = append(pairs, pair)
		}
	}
	var mu sync.Mutex
	progress := api.RepairProgress{SessionsTotal: len(pairs)}
	report(progress)
	each(ctx, state.Settings.TransferConcurrency, pairs, func(pair handoff.Pair) {
		p, rerr := r.exchangeAtLast(ctx, state, pair, what.BucketType)
		mu.Lock()
		defer mu.Unlock()
		progress.SessionsDone++
		if rerr != nil {
			progress.SessionsDone--
			progress.SessionsFailed++
			progress.LastError = rerr
		}
		progress.KeysDiffered += p.Differed
		progress.ObjectsSent += p.Done
		progress.BytesSent += p.Bytes
		progress.BytesRead += p.Read
		report(progress)
	})
	return ended(ctx)
}

// exchangeAtLast compares a pair, waiting for a vnode that is being compared with
// another.
func (r *repairer) exchangeAtLast(ctx context.Context, state *cluster.State, pair handoff.Pair, bucketType string) (handoff.Progress, *replica.Error) {
	for try := 1; ; try++ {
		p, busy, err := r.exchange(ctx, state, pair, bucketType)
		if !busy || try == sessionTries {
			return p, err
		}
		select {
		case <-time.After(sessionPause):
		case <-ctx.Done():
			return p, err
		}
	}
}

// ended says that a request did not come to its end, nil if it did.
func ended(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return replica.Errorf(replica.KindUnavailable, "the member is stopping, or the caller left")
}

// Transfers implements api.Backend.
func (m *Member) Transfers() api.Transfers {
	var out api.Transfers
	r := m.repair
	if r == nil || !m.serving.Load() {
		return out
	}
	now := clock.Now()
	for _, t := range r.transfers.snapshot() {
		out.Running = append(out.Running, api.Transfer{
			Kind: string(t.Kind), Partition: t.Partition, Slot: t.Slot, From: t.From, To: t.To,
			Done: t.Done, Total: t.Total, Bytes: t.Bytes, Elapsed: now.Sub(t.began),
		})
	}
	s := r.stats
	out.Hints = api.HintTotals{Stored: s.hintsStored.Load(), Delivered: s.hintsDelivered.Load(), Refused: s.hintsRefused.Load(), Dropped: s.hintsDropped.Load()}
	out.AntiEntropy = api.AntiEntropyTotals{
		Sessions: s.sessions.Load(), SessionsFailed: s.sessionsFailed.Load(), ObjectsSent: s.sent.Load(),
		BytesSent: s.sentBytes.Load(), BytesRead: s.readBytes.Load(), KeysDiffered: s.differed.Load(),
	}
	out.Reaping.Reaped = s.reaped.Load()
	r.mu.Lock()
	defer r.mu.Unlock()
	out.AntiEntropy.Oldest = r.mu.schedule.Oldest(now)
	for _, kept := range r.mu.kept {
		for slot := range kept.Count {
			out.Hints.Kept += int(kept.Count[slot])
			out.Hints.KeptBytes += kept.Bytes[slot]
		}
	}
	for _, g := range r.mu.graves {
		out.Reaping.Kept += g.Kept
		out.Reaping.Stuck += g.Stuck
	}
	return out
}

// Verify implements api.Backend.
func (m *Member) Verify(ctx context.Context, what api.RepairScope, list bool, report func(api.VerifyProgress)) error {
	r, ctx, done, err := m.repairing(ctx)
	if err != nil {
		return err
	}
	defer done()
	state := m.node.State()
	partitions, err := inScope(state, what)
	if err != nil {
		return err
	}
	everywhere := len(copyHolders(state)) > 0
	most := 0
	if list {
		most = differencesMax
	}
	var mu sync.Mutex
	progress := api.VerifyProgress{PartitionsTotal: len(partitions)}
	each(ctx, state.Settings.TransferConcurrency, partitions, func(p ring.PartitionID) {
		var copies []ring.MemberID
		if everywhere {
			copies = m.coord.fallbacks(state, p, state.Ring.Replicas())
		}
		v := handoff.NewVerify(handoff.VerifyConfig{
			Partition: p, Owners: state.Ring.Owners(p), Copies: copies, Types: typesOf(state), BucketType: what.BucketType,
			SecondLook: handoff.SecondLook, DifferencesMax: most,
		})
		rerr := r.transfers.run(ctx, p, v)
		found := v.Report()
		mu.Lock()
		defer mu.Unlock()
		progress.PartitionsDone++
		progress.KeysCompared += found.Keys
		progress.KeysDiffer += found.Differ
		progress.Differences, progress.Unreachable = differences(p, found.Differences), nil
		if rerr != nil {
			progress.Unreachable = []string{rerr.Error()}
		}
		report(progress)
	})
	return ended(ctx)
}

func differences(p ring.PartitionID, found []handoff.Difference) []api.Difference {
	var out []api.Difference
	for _, d := range found {
		difference := api.Difference{Key: d.Key, Partition: p}
		for _, c := range d.Copies {
			difference.Copies = append(difference.Copies, api.DifferenceCopy{Owner: c.Owner, Corrupt: c.Bad, Object: c.Object})
		}
		out = append(out, difference)
	}
	return out
}

// CheckTrees implements api.Backend.
func (m *Member) CheckTrees(ctx context.Context, p *ring.PartitionID, report func(api.TreeProgress)) error {
	r, ctx, done, err := m.repairing(ctx)
	if err != nil {
		return err
	}
	defer done()
	state := m.node.State()
	partitions, err := inScope(state, api.RepairScope{Partition: p})
	if err != nil {
		return err
	}
	var own []ring.PartitionID
	for _, p := range partitions {
		if state.Ring.IsOwner(p, state.Ring.Replicas(), m.dir.ID()) {
			own = append(own, p)
		}
	}
	var mu sync.Mutex
	progress := api.TreeProgress{PartitionsTotal: len(own)}
	report(progress)
	each(ctx, state.Settings.TransferConcurrency, own, func(p ring.PartitionID) {
		check, err := r.checkTree(ctx, p)
		mu.Lock()
		defer mu.Unlock()
		progress.PartitionsDone++
		progress.KeysChecked += check.checked
		progress.EntriesWrong += len(check.wrong)
		progress.SumsWrong += check.sums
		progress.Wrong, progress.Failed = check.wrong, nil
		if err != nil {
			progress.Failed = []string{fmt.Sprintf("partition %d: %v", p, err)}
		}
		report(progress)
	})
	return ended(ctx)
}

// Disk implements api.Backend.
func (m *Member) Disk() api.Disk {
	if m.disk == nil || !m.serving.Load() {
		return api.Disk{}
	}
	d := m.disk.state()
	d.StoreBytes = int64(m.store.Usage().DiskBytes)
	return d
}
