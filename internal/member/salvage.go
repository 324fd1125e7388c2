package member

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ringd/ringd/api"
	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/handoff"
	"github.com/ringd/ringd/internal/clock"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
	"github.com/ringd/ringd/storage/pebblestore"
	"github.com/ringd/ringd/vnode"
)

const (
	// salvagePage bounds the bytes of the objects that are read of one partition
	// before they are given to its owners, unless one is larger by itself;
	// salvageObjects how many those are.
	salvagePage    = 1 << 20
	salvageObjects = 1024
	// salvageTries bounds how often a page is given to an owner that is none any more,
	// because slots moved meanwhile.
	salvageTries = 3
	// salvageHints bounds the hints that are written side by side.
	salvageHints = 64
	// salvageCache is what reading once, in order, has use for.
	salvageCache = 16 << 20
)

// salvage is one under way.
type salvage struct {
	repair *repairer
	coord  *coordinator
	old    *cluster.OldDir
	store  storage.Reader
	report func(api.SalvageProgress)

	mu struct {
		sync.Mutex
		progress api.SalvageProgress
	}
}

// Salvage implements api.Backend.
func (m *Member) Salvage(ctx context.Context, directory string, report func(api.SalvageProgress)) error {
	if m.isGateway() {
		return replica.Errorf(replica.KindPrecondition, "member %s is a gateway: salvage at a storage member", m.config.Name)
	}
	r, ctx, done, err := m.repairing(ctx)
	if err != nil {
		return err
	}
	defer done()
	state := m.node.State()
	partitions, err := inScope(state, api.RepairScope{})
	if err != nil {
		return err
	}
	old, err := cluster.OpenOldDir(directory)
	if err != nil {
		return err
	}
	defer old.Close()
	if err := old.CheckSalvage(state); err != nil {
		return err
	}
	o := pebblestore.DefaultOptions()
	o.ReadOnly, o.CacheBytes, o.Logger = true, salvageCache, m.config.Logger
	store, err := pebblestore.Open(old.Path("store"), o)
	if err != nil {
		return replica.Errorf(replica.KindPrecondition, "what the data directory %s holds can't be read: %v", directory, err)
	}
	defer store.Close()
	m.config.Logger.Warn("salvaging what a former member holds", "directory", directory, "member", old.Name(), "id", old.ID())
	s := &salvage{repair: r, coord: m.coord, old: old, store: store, report: report}
	s.count(func(p *api.SalvageProgress) {
		p.Member, p.Name, p.PartitionsTotal = old.ID(), old.Name(), len(partitions)
	})
	each(ctx, state.Settings.TransferConcurrency, partitions, func(p ring.PartitionID) { s.partition(ctx, p) })
	return ended(ctx)
}

// count changes the progress, and reports it.
func (s *salvage) count(f func(*api.SalvageProgress)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.mu.progress)
	s.report(s.mu.progress)
}

func (s *salvage) leave(p ring.PartitionID, objects int, err error) {
	s.count(func(sum *api.SalvageProgress) {
		sum.ObjectsLeft += objects
		sum.LastError = err
		if !slices.Contains(sum.PartitionsLeft, p) {
			sum.PartitionsLeft = append(slices.Clone(sum.PartitionsLeft), p)
		}
	})
}

// partition has the owners merge all that the store holds of p.
func (s *salvage) partition(ctx context.Context, p ring.PartitionID) {
	r := s.coord.node.State().Ring
	sound := func(f vnode.Found) bool {
		k := f.Item.Key
		if f.Err == nil && r.Partition(k.Type, k.Bucket, k.Key) != p {
			f.Err = errors.New("it is not of this partition")
		}
		if f.Err != nil {
			s.count(func(sum *api.SalvageProgress) {
				sum.RecordsDamaged++
				sum.LastError = fmt.Errorf("partition %d: the record of %q in bucket %q is damaged: %w", p, k.Key, k.Bucket, f.Err)
			})
		}
		return f.Err == nil
	}
	if err := pages(ctx, s.store, p, r.Replicas(), sound, func(items []replica.Item) bool {
		s.page(ctx, p, items)
		return true
	}); err != nil {
		s.leave(p, 0, fmt.Errorf("partition %d: the rest can't be read: %w", p, err))
	}
	s.count(func(sum *api.SalvageProgress) { sum.PartitionsDone++ })
}

// pages yields what a store holds of a partition, in its vnode and in hints for so many
// slots, as far as wanted says so, a page at a time: until yield returns false, or ctx ends. An
// error is of the disk.
func pages(ctx context.Context, store storage.Reader, p ring.PartitionID, slots int, wanted func(vnode.Found) bool, yield func([]replica.Item) bool) error {
	var page []replica.Item
	bytes, more := 0, true
	flush := func() {
		if len(page) > 0 {
			more = yield(page)
		}
		page, bytes = nil, 0
	}
	err := vnode.Find(store, p, slots, func(f vnode.Found) bool {
		if wanted(f) {
			page, bytes = append(page, f.Item), bytes+len(f.Item.Object)
		}
		if bytes >= salvagePage || len(page) >= salvageObjects {
			flush()
		}
		return more && ctx.Err() == nil
	})
	if more {
		flush()
	}
	return err
}

// page has the owners merge objects, by the n of their bucket types.
func (s *salvage) page(ctx context.Context, p ring.PartitionID, items []replica.Item) {
	bytes := 0
	byN := make(map[int][]replica.Item)
	for _, item := range items {
		bytes += len(item.Object)
		t, _, err := s.coord.bucketType(ctx, item.Key.Type)
		if err != nil {
			s.leave(p, 1, err)
			continue
		}
		byN[t.N] = append(byN[t.N], item)
	}
	for n, of := range byN {
		var owners sync.WaitGroup
		var mu sync.Mutex
		left := make(map[int]bool) // by index
		for slot := range n {
			owners.Go(func() {
				for _, i := range s.give(ctx, p, slot, of) {
					mu.Lock()
					left[i] = true
					mu.Unlock()
				}
			})
		}
		owners.Wait()
		if len(left) > 0 {
			s.count(func(sum *api.SalvageProgress) { sum.ObjectsLeft += len(left) })
		}
	}
	s.count(func(sum *api.SalvageProgress) {
		sum.ObjectsRead += len(items)
		sum.BytesRead += int64(bytes)
	})
}

// give has the owner of a slot merge objects, or keeps them for it as hints. It
// returns the indexes of those that it could do neither with.
func (s *salvage) give(ctx context.Context, p ring.PartitionID, slot int, items []replica.Item) []int {
	var last *replica.Error
	for range salvageTries {
		owner := s.coord.node.State().Ring.Owners(p)[slot]
		if owner != s.coord.self && !s.coord.up(owner) {
			break
		}
		op := handoff.NewSalvage(p, slot, s.old.ID(), owner, items, s.repair.transfers)
		last = s.repair.transfers.run(ctx, p, op)
		if n := op.Changed(); n > 0 {
			s.count(func(sum *api.SalvageProgress) { sum.CopiesChanged += n })
		}
		if last == nil {
			return nil
		}
		if last.Kind != replica.KindStaleRing && last.Kind != replica.KindNotOwner {
			break
		}
		// The refusal has brought the newer ring, or the leader has it.
		if err := s.coord.node.Refresh(ctx); err != nil {
			break
		}
	}
	var mu sync.Mutex
	var left []int
	indexes := make([]int, len(items))
	for i := range indexes {
		indexes[i] = i
	}
	hinted := 0
	each(ctx, salvageHints, indexes, func(i int) {
		changed, err := s.hint(ctx, p, slot, items[i])
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			left, last = append(left, i), err
		case changed:
			hinted++
		}
	})
	if ctx.Err() != nil {
		return indexes
	}
	if hinted > 0 {
		s.count(func(sum *api.SalvageProgress) { sum.ObjectsHinted += hinted })
	}
	if len(left) > 0 {
		s.leave(p, 0, last)
	}
	return left
}

// hint keeps an object for the owner of a slot.
func (s *salvage) hint(ctx context.Context, p ring.PartitionID, slot int, item replica.Item) (changed bool, err *replica.Error) {
	answers := make(chan replica.Message, 1)
	s.coord.local(replica.Envelope{
		From: s.coord.self, To: s.coord.self, Epoch: s.coord.node.State().Ring.Epoch(), Partition: p, Fallback: true,
		Deadline: clock.Now().Add(answerWithin), Message: replica.Store{Key: item.Key, Slot: slot, Object: item.Object},
	}, func(a replica.Envelope) { answers <- a.Message })
	timer := time.NewTimer(answerWithin)
	defer timer.Stop()
	select {
	case m := <-answers:
		switch m := m.(type) {
		case replica.StoreAnswer:
			return m.Changed, nil
		case replica.Failure:
			return false, m.Err
		default:
			return false, replica.Errorf(replica.KindInternal, "a vnode answered with %T", m)
		}
	case <-timer.C:
		return false, replica.Errorf(replica.KindUnknown, "partition %d: no answer within %v", p, answerWithin)
	case <-ctx.Done():
		return false, replica.Errorf(replica.KindUnavailable, "the member is stopping, or the caller left")
	}
}
