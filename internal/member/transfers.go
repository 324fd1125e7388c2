package member

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/ringd/ringd/handoff"
	"github.com/ringd/ringd/internal/clock"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// transfers runs the ops of package handoff.
type transfers struct {
	coord   *coordinator
	limiter *rate.Limiter // bytes; its burst is at least burstMin

	mu struct {
		sync.Mutex
		running map[*transfer]struct{}
	}
}

// transfer is one op under way.
type transfer struct {
	op    handoff.Op
	began time.Time
	mu    struct {
		sync.Mutex
		progress handoff.Progress
	}
}

const (
	// answerWithin is when a message of a transfer counts as lost: its receiver has
	// far shorter queues.
	answerWithin = 15 * time.Second
	// eventsMax bounds the answers that wait for an op: more than it has open.
	eventsMax = 256
	// burstMin lets the largest message through at once.
	burstMin = 32 << 20
)

func newTransfers(c *coordinator, bytesPerSecond int64) *transfers {
	t := &transfers{coord: c, limiter: rate.NewLimiter(0, 0)}
	t.mu.running = make(map[*transfer]struct{})
	t.setRate(bytesPerSecond)
	return t
}

func (t *transfers) setRate(bytesPerSecond int64) {
	if t.limiter.Limit() != rate.Limit(bytesPerSecond) {
		t.limiter.SetLimit(rate.Limit(bytesPerSecond))
		t.limiter.SetBurst(max(int(bytesPerSecond), burstMin))
	}
}

// Take implements handoff.Throttle.
func (t *transfers) Take(now time.Time, bytes int) time.Duration {
	return t.limiter.ReserveN(now, min(bytes, t.limiter.Burst())).DelayFrom(now)
}

// run drives an op to its end, or until ctx ends.
func (t *transfers) run(ctx context.Context, p ring.PartitionID, op handoff.Op) *replica.Error {
	tr := &transfer{op: op, began: clock.Now()}
	t.mu.Lock()
	t.mu.running[tr] = struct{}{}
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		delete(t.mu.running, tr)
		t.mu.Unlock()
	}()

	epoch := t.coord.node.State().Ring.Epoch()
	events := make(chan replica.Event, eventsMax)
	gone := make(chan struct{})
	defer close(gone)
	then := func(e replica.Event) {
		select {
		case events <- e:
		case <-gone:
		}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var e replica.Event = replica.Begin{}
	for {
		fx := op.Step(clock.Now(), e)
		tr.mu.Lock()
		tr.mu.progress = op.Progress()
		tr.mu.Unlock()
		for _, s := range fx.Sends {
			t.coord.ask(replica.Envelope{
				From: t.coord.self, To: s.To, Epoch: epoch, Partition: p, Fallback: s.Fallback,
				Deadline: clock.Now().Add(answerWithin), Message: s.Message,
			}, s.Seq, then)
		}
		if fx.Finished {
			return fx.Err
		}
		// Without a tick it waits for answers. One that never comes ends it: what
		// was not done will be found again.
		wait, silent := answerWithin, true
		if !fx.Tick.IsZero() {
			if until := time.Until(fx.Tick); until < wait {
				wait, silent = until, false
			}
		}
		timer.Reset(wait)
		select {
		case e = <-events:
		case <-timer.C:
			if silent {
				return replica.Errorf(replica.KindUnknown, "partition %d: no answer within %v", p, answerWithin)
			}
			e = replica.Tick{}
		case <-ctx.Done():
			return replica.Errorf(replica.KindUnavailable, "partition %d: the member is stopping, or the caller left", p)
		}
	}
}

// snapshot lists what is under way.
func (t *transfers) snapshot() []runningTransfer {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]runningTransfer, 0, len(t.mu.running))
	for tr := range t.mu.running {
		tr.mu.Lock()
		out = append(out, runningTransfer{tr.mu.progress, tr.began})
		tr.mu.Unlock()
	}
	return out
}

type runningTransfer struct {
	handoff.Progress
	began time.Time
}
