package member

import (
	"errors"
	"sync"
	"time"

	"github.com/ringd/ringd/internal/clock"
	"github.com/ringd/ringd/internal/peer"
	"github.com/ringd/ringd/quorum"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/vnode/executor"
)

// flight drives one quorum.Op: it carries out the op's effects and brings it
// the answers, until the op has finished. The client may have its answer long
// before: late replies belong to the flight.
type flight struct {
	c         *coordinator
	partition ring.PartitionID
	epoch     ring.Epoch
	deadline  time.Time
	began     time.Time
	result    chan quorum.Result // of capacity 1

	mu struct {
		sync.Mutex
		op       quorum.Op
		timer    *time.Timer
		tick     time.Time
		finished bool
	}
}

// launch begins op. The caller receives from the flight's result.
func (c *coordinator) launch(op quorum.Op, p ring.PartitionID, epoch ring.Epoch, deadline time.Time) *flight {
	f := &flight{c: c, partition: p, epoch: epoch, deadline: deadline, began: clock.Now(), result: make(chan quorum.Result, 1)}
	f.mu.op = op
	f.step(replica.Begin{})
	return f
}

func (f *flight) step(e replica.Event) {
	f.mu.Lock()
	if f.mu.finished {
		f.mu.Unlock()
		return
	}
	fx := f.mu.op.Step(clock.Now(), e)
	if fx.Finished {
		f.mu.finished = true
		if f.mu.timer != nil {
			f.mu.timer.Stop()
		}
	} else {
		f.scheduleLocked(fx.Tick)
	}
	f.mu.Unlock()

	if fx.Result != nil {
		f.result <- *fx.Result
	}
	if fx.Hedged {
		f.c.hedges.take()
		f.c.stats.hedges.Inc()
	}
	f.c.stats.repairs.Add(float64(fx.Repairs))
	for _, s := range fx.Sends {
		f.send(s)
	}
}

func (f *flight) scheduleLocked(at time.Time) {
	if at.IsZero() || at.Equal(f.mu.tick) {
		return
	}
	f.mu.tick = at
	if f.mu.timer == nil {
		f.mu.timer = time.AfterFunc(time.Until(at), f.tick)
		return
	}
	f.mu.timer.Reset(time.Until(at))
}

func (f *flight) tick() {
	f.mu.Lock()
	f.mu.tick = time.Time{}
	f.mu.Unlock()
	f.step(replica.Tick{MayHedge: f.c.hedges.has()})
}

// send delivers one message; its outcome comes back as an event, from another
// goroutine or from here.
func (f *flight) send(s replica.Send) {
	f.c.ask(replica.Envelope{
		From: f.c.self, To: s.To, Epoch: f.epoch, Partition: f.partition, Fallback: s.Fallback,
		Deadline: f.deadline, Message: s.Message,
	}, s.Seq, f.step)
}

// ask sends a message to a vnode, of this member too, and hands back what comes
// of it as the event of a step machine. Then must not block.
func (c *coordinator) ask(env replica.Envelope, seq uint32, then func(replica.Event)) {
	if env.To == c.self {
		c.local(env, func(answer replica.Envelope) { then(replica.Answer{Seq: seq, Message: answer.Message}) })
		return
	}
	sent := clock.Now()
	_, isRead := env.Message.(replica.Read)
	c.peers.Send(env, func(answer replica.Envelope, err error) {
		now := clock.Now()
		if isRequest(env.Message) {
			c.latency.observe(now, env.To, now.Sub(sent), isRead, err == nil)
		}
		if err != nil {
			then(replica.Lost{Seq: seq, Sent: peer.MayHaveArrived(err)})
			return
		}
		if failure, ok := answer.Message.(replica.Failure); ok {
			c.learn(env.To, answer.Epoch, failure)
		}
		then(replica.Answer{Seq: seq, Message: answer.Message})
	})
}

// isRequest says that m is of a client's request, whose latency tells how fast a
// member answers those.
func isRequest(m replica.Message) bool {
	switch m.(type) {
	case replica.Read, replica.Store, replica.Forward, replica.List:
		return true
	}
	return false
}

// local hands a message to this member's own vnode.
func (c *coordinator) local(env replica.Envelope, reply executor.Reply) {
	if c.pool == nil {
		reply(answerTo(env, replica.Failure{Err: errGateway}))
		return
	}
	err := c.pool.Submit(env, reply)
	if err == nil {
		return
	}
	kind := replica.KindUnavailable
	if errors.Is(err, executor.ErrFull) {
		kind = replica.KindOverloaded
		c.stats.refused.Inc()
	}
	e := replica.Errorf(kind, "member %v: %v", c.self, err)
	e.RetryAfter = retryAfter
	reply(replica.Envelope{
		ID: env.ID, From: c.self, To: env.From, Epoch: env.Epoch, Partition: env.Partition,
		Message: replica.Failure{Err: e},
	})
}

// retryAfter is what a refused request is told: about the time in which a full
// mailbox is worked off.
const retryAfter = 100 * time.Millisecond
