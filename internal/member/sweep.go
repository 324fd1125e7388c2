package member

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// sweeper deletes what has expired. Reads don't wait for it: they don't show such
// values. A deletion of the sweeper's is one like any other, so that all owners
// take it and forget it in the end; of the owners of a partition, the first that
// is up sweeps it.
type sweeper struct {
	coord   *coordinator
	repair  *repairer
	every   time.Duration
	deleted prometheus.Counter
	log     *slog.Logger
	// next is the partition with which a turn begins: behind the one in which the
	// turn before came to its bound, so that none waits for ever.
	next ring.PartitionID
}

const (
	// sweepPage is how many keys a vnode is asked for at a time: it looks at all of
	// them in one step.
	sweepPage = 256
	// sweepParallel deletions are under way at once: few beside what clients do.
	sweepParallel = 16
	// sweepDeletesMax bounds the deletions of one turn, and sweepFailuresMax the
	// keys of one partition that are left for a later one.
	sweepDeletesMax  = 100_000
	sweepFailuresMax = 4 * sweepPage
	// sweptExpiry, long ago by any clock, keeps the sweep's deletions from being
	// shown: one that comes in the same moment as a put would else be a sibling of
	// the new value that nobody made.
	sweptExpiry = 1
)

func newSweeper(m *Member) *sweeper {
	s := &sweeper{
		coord: m.coord, repair: m.repair, every: m.config.SweepEvery, log: m.config.Logger,
		deleted: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "ringd", Name: "expired_deleted_total", Help: "Keys deleted because all their values had expired.",
		}),
	}
	m.stats.registry.MustRegister(s.deleted)
	return s
}

// run sweeps until ctx ends. Members that started together don't sweep together:
// the pause is between half and one and a half of what was set.
func (s *sweeper) run(ctx context.Context) {
	for {
		timer := time.NewTimer(s.every/2 + rand.N(s.every))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		s.turn(ctx)
	}
}

// turn sweeps the partitions that are this member's to sweep, up to the bound.
func (s *sweeper) turn(ctx context.Context) {
	left, r := sweepDeletesMax, s.coord.node.State().Ring
	if !r.HasOwners() {
		return
	}
	for range r.Partitions() {
		if left <= 0 || ctx.Err() != nil {
			return
		}
		if s.isFirst(r.Owners(s.next)) {
			left -= s.partition(ctx, s.next, left)
		}
		s.next = (s.next + 1) % ring.PartitionID(r.Partitions())
	}
}

// isFirst reports whether this member is the first of the owners that is up. Two
// that disagree about who is both delete, which does no harm.
func (s *sweeper) isFirst(owners []ring.MemberID) bool {
	for _, id := range owners {
		if id == s.coord.self {
			return true
		}
		if s.coord.up(id) {
			return false
		}
	}
	return false
}

// partition deletes up to most keys of p, and returns how many it tried.
func (s *sweeper) partition(ctx context.Context, p ring.PartitionID, most int) int {
	tried, failed := make(map[replica.Key]bool), 0
	var last error
	for len(tried) < most && failed < sweepFailuresMax && ctx.Err() == nil {
		// What could not be deleted is listed again, before what comes behind it.
		answer := s.expired(ctx, p, failed+sweepPage)
		var fresh []replica.Write
		for i, k := range answer.Keys {
			if !tried[k] {
				tried[k] = true
				fresh = append(fresh, replica.Write{Key: k, Delete: true, Context: causal.Context{Seen: answer.Contexts[i]}, IfMatch: true, Expiry: sweptExpiry})
			}
		}
		if len(fresh) == 0 {
			break
		}
		n, err := s.delete(ctx, fresh)
		failed += n
		if err != nil {
			last = err
		}
	}
	if last != nil && ctx.Err() == nil {
		s.log.Warn("keys that have expired could not be deleted yet", "partition", p, "keys", failed, "error", last)
	}
	return len(tried)
}

// expired asks this member's vnode for keys whose values have all expired. No
// answer is none.
func (s *sweeper) expired(ctx context.Context, p ring.PartitionID, limit int) replica.ExpiredAnswer {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	answer, _ := s.repair.own(ctx, p, false, replica.Expired{Limit: limit}).(replica.ExpiredAnswer)
	return answer
}

// delete carries out writes, and returns how many failed, and the last reason
// that is worth telling. The condition is for bucket types in which the last write
// wins: there a delete replaces whatever its coordinator has, and that may be newer
// than what had expired.
func (s *sweeper) delete(ctx context.Context, writes []replica.Write) (failed int, last error) {
	var mu sync.Mutex
	var running sync.WaitGroup
	room := make(chan struct{}, sweepParallel)
	for _, w := range writes {
		room <- struct{}{}
		running.Go(func() {
			defer func() { <-room }()
			_, err := s.coord.Write(ctx, w, false)
			if err == nil {
				s.deleted.Inc()
				return
			}
			mu.Lock()
			defer mu.Unlock()
			failed++
			if k := replica.KindOf(err); k != replica.KindPrecondition && k != replica.KindAborted {
				last = err
			}
		})
	}
	running.Wait()
	return failed, last
}

// BucketType implements api.Backend.
func (m *Member) BucketType(ctx context.Context, name string) (replica.BucketType, error) {
	c, leave, err := m.enter()
	if err != nil {
		return replica.BucketType{}, err
	}
	defer leave()
	t, _, err := c.bucketType(ctx, name)
	return t, err
}
