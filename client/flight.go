package client

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

// parallelMax attempts of one request may be in flight: with three owners, one
// at each.
const parallelMax = 3

// Retries wait for a random time below retryMin, doubled with each, up to
// retryMax ("full jitter"): the first comes soon, as most failures are one
// member's; the later ones let a cluster in trouble recover.
const (
	retryMin = 10 * time.Millisecond
	retryMax = 500 * time.Millisecond
)

// answerSlack is the least part of the remaining time that the member is not
// given, so that its own word on a timeout, which says more, comes in time.
const answerSlack = 20 * time.Millisecond

// slowestLink, in bytes per second, is what large requests are given time for:
// a member is not silent while it is being sent one.
const slowestLink = 4 << 20

// operation is a request that can be sent many times.
type operation interface {
	head() *opHead
	// message is a new message for one attempt, to be answered in timeout.
	message(timeout time.Duration) *ringdv1.PipelineRequest
}

// opHead is what all operations have.
type opHead struct {
	name  string // for errors
	key   objectKey
	write bool
	id    RequestID // of a write
	size  int       // bytes of key, value and metadata
	// doubt: the write was sent before, and that may have been applied.
	doubt bool
}

// flight is one request under way. It belongs to the goroutine that runs it.
type flight struct {
	c     *Client
	op    operation
	head  *opHead
	tally tally
	// replies has room for one from each attempt that is not over.
	replies  chan reply
	timer    *time.Timer
	open     []*attempt  // in flight
	tried    []*endpoint // since all were
	attempts int
	retries  int
	address  string // of the last attempt

	// Since the client's start. retryAt and hedgeAt are 0 if not set.
	deadline, retryAt, hedgeAt time.Duration
}

// do sends op until it is settled, or the deadline has passed.
func (c *Client) do(ctx context.Context, op operation) (*ringdv1.PipelineResponse, error) {
	f, _ := c.flights.Get().(*flight)
	if f == nil {
		f = &flight{c: c, replies: make(chan reply, parallelMax), timer: time.NewTimer(time.Hour)}
	}
	f.op, f.head = op, op.head()
	f.tally = tally{write: f.head.write, doubt: f.head.doubt}
	f.deadline = c.deadline(ctx)
	c.budget.earn()
	response, err := f.run(ctx)
	f.timer.Stop()
	if err != nil {
		f.head.blame(err)
		err.Attempts = f.attempts
		if err.Address == "" {
			err.Address = f.address
		}
	}
	f.recycle()
	if err != nil {
		return nil, err
	}
	return response, nil
}

// deadline of a request under ctx, since the client's start.
func (c *Client) deadline(ctx context.Context) time.Duration {
	if at, ok := ctx.Deadline(); ok {
		return at.Sub(c.began)
	}
	return c.now() + c.config.Timeout
}

// blame says in err what it is about.
func (h *opHead) blame(err *Error) {
	err.Op, err.Bucket, err.Key, err.RequestID = h.name, h.key.bucket, h.key.key, h.id
}

// recycle keeps f for another request, unless a reply may still come.
func (f *flight) recycle() {
	if len(f.open) > 0 {
		return
	}
	c, replies, timer := f.c, f.replies, f.timer
	clear(f.tried)
	*f = flight{c: c, replies: replies, timer: timer, open: f.open[:0], tried: f.tried[:0]}
	c.flights.Put(f)
}

func (f *flight) run(ctx context.Context) (*ringdv1.PipelineResponse, *Error) {
	if ctx.Err() != nil {
		return nil, f.expire(context.Cause(ctx))
	}
	f.launch()
	for {
		f.timer.Reset(f.next() - f.c.now())
		select {
		case r := <-f.replies:
			if response, err, over := f.answered(r); over {
				return response, err
			}
		case <-f.timer.C:
			now := f.c.now()
			switch {
			case now >= f.deadline:
				return f.last(context.DeadlineExceeded)
			case f.retryAt > 0 && now >= f.retryAt:
				f.retryAt = 0
				f.launch()
			case f.hedgeAt > 0 && now >= f.hedgeAt:
				f.hedge(now)
			}
		case <-ctx.Done():
			return f.last(context.Cause(ctx))
		case <-f.c.ctx.Done():
			return f.last(ErrClosed)
		}
	}
}

// next is when something is to be done if no reply comes.
func (f *flight) next() time.Duration {
	at := f.deadline
	if f.retryAt > 0 {
		at = min(at, f.retryAt)
	}
	if f.hedgeAt > 0 {
		at = min(at, f.hedgeAt)
	}
	return at
}

// launch sends another attempt, to the best member that takes it.
func (f *flight) launch() {
	v := f.c.topology.current.Load()
	var refused *Error
	for len(f.open) < parallelMax {
		now := f.c.now()
		e := v.pick(f.head.key, now, f.tried)
		if e == nil && refused == nil {
			// All were tried: begin again, with those that are not at it.
			f.tried = f.tried[:0]
			for _, a := range f.open {
				f.tried = append(f.tried, a.endpoint)
			}
			e = v.pick(f.head.key, now, f.tried)
		}
		if e == nil {
			break
		}
		f.tried = append(f.tried, e)
		left := f.deadline - now
		timeout := max(left-max(left/20, answerSlack), time.Millisecond)
		a := &attempt{request: f.op.message(timeout), size: f.head.size, replies: f.replies, began: now, timeout: timeout}
		if refused = e.start(a); refused != nil {
			continue
		}
		f.tally.inFlight++
		f.attempts++
		f.open = append(f.open, a)
		f.address = e.address
		f.hedgeAt = now + f.patience()
		return
	}
	if refused != nil {
		f.tally.inFlight++
		f.attempts++
		f.retry(f.tally.ended(refused), refused)
	}
}

// answered takes in a reply. over: the request is settled.
func (f *flight) answered(r reply) (response *ringdv1.PipelineResponse, err *Error, over bool) {
	i := slices.Index(f.open, r.attempt)
	f.open = slices.Delete(f.open, i, i+1)
	if r.err == nil {
		f.abandon()
		return r.response, nil, true
	}
	if r.err.Code == CodeUnavailable || r.err.Code == CodeUnknown {
		f.c.topology.kick()
	}
	next := f.tally.ended(r.err)
	if next == stepEnd {
		f.abandon()
		return nil, f.tally.verdict(), true
	}
	f.retry(next, r.err)
	if f.retryAt >= f.deadline && len(f.open) == 0 {
		// There is no time for another attempt: the answer is known now.
		return nil, f.tally.verdict(), true
	}
	return nil, nil, false
}

// retry sets the time of the next attempt after err.
func (f *flight) retry(next step, err *Error) {
	if next != stepRetry {
		f.retryAt, f.hedgeAt = 0, 0
		return
	}
	if len(f.open) == 0 {
		f.hedgeAt = 0
	}
	at := f.c.now() + err.RetryAfter + jitter(f.retries)
	f.retries++
	f.retryAt = max(at, f.retryAt)
}

// patience is how long an attempt may take before it is doubted.
func (f *flight) patience() time.Duration {
	return f.c.config.AttemptAfter + time.Duration(f.head.size)*time.Second/slowestLink
}

// hedge sends the request to another member if the last is silent, or, within
// the budget, only slow.
func (f *flight) hedge(now time.Duration) {
	f.hedgeAt = now + f.patience()
	silent := false
	for _, a := range f.open {
		if now-a.began >= f.patience() && a.endpoint.silent(a.began) {
			silent = true
		}
	}
	if len(f.open) >= parallelMax || f.retryAt > 0 || f.tally.settled != nil {
		return
	}
	v := f.c.topology.current.Load()
	if len(v.members) <= len(f.open) {
		return // there is no one else to ask
	}
	if silent {
		f.c.topology.kick()
	} else if !f.c.budget.spend() {
		return
	}
	f.launch()
}

// last is the outcome when no more time is left, or the caller gave up.
func (f *flight) last(cause error) (*ringdv1.PipelineResponse, *Error) {
	for {
		select {
		case r := <-f.replies:
			if response, err, over := f.answered(r); over {
				return response, err
			}
		default:
			return nil, f.expire(cause)
		}
	}
}

func (f *flight) expire(cause error) *Error {
	for _, a := range f.open {
		if f.c.now() >= f.deadline {
			a.endpoint.silent(a.began)
		}
		f.tally.abandoned(a.endpoint.abandon(a))
	}
	err := f.tally.verdict()
	err.cause = cause
	return err
}

// abandon gives up all attempts in flight, as the request is settled.
func (f *flight) abandon() {
	for _, a := range f.open {
		f.tally.abandoned(a.endpoint.abandon(a))
	}
}

// jitter is how long to wait before a retry that follows others.
func jitter(retries int) time.Duration {
	return 1 + rand.N(min(retryMin<<min(retries, 10), retryMax))
}

// pause waits for d, and reports whether ctx lasted as long.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
