package client

import (
	"context"
	"fmt"
	"time"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

// attempt is one sending of a request to one member. The endpoint owns it from
// start until it sends the one reply, or until abandon.
type attempt struct {
	request  *ringdv1.PipelineRequest
	size     int // bytes of key, value and metadata
	replies  chan<- reply
	endpoint *endpoint
	began    time.Duration // since the client's start
	timeout  time.Duration

	id     uint64
	index  int                // in the endpoint's queue; -1: not there
	cancel context.CancelFunc // of a unary call; else nil
}

// reply ends an attempt: with a response, or an error. The receiver has room
// for one from each of its attempts, so that nobody waits for it.
type reply struct {
	attempt  *attempt
	response *ringdv1.PipelineResponse
	err      *Error
}

// pipelinedBytesMax: larger requests are calls of their own, so that small ones
// don't wait behind them and one that is too large for the member breaks no
// stream.
const pipelinedBytesMax = 256 << 10

// start takes a on, or refuses it at once.
func (e *endpoint) start(a *attempt) *Error {
	a.endpoint, a.index = e, -1
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mu.closed {
		return &Error{Code: CodeUnavailable, Address: e.address, Message: "the connection was closed"}
	}
	waiting := len(e.mu.queue) + len(e.mu.sent)
	if limit := e.c.config.InFlightMax; waiting >= limit {
		return &Error{Code: CodeOverloaded, Address: e.address, Message: fmt.Sprintf("%d requests are in flight to one member, the client's InFlightMax", limit)}
	}
	if limit := e.c.config.InFlightBytesMax; waiting > 0 && e.mu.bytes+a.size > limit {
		return &Error{Code: CodeOverloaded, Address: e.address, Message: fmt.Sprintf("%d bytes are in flight to one member, the client's InFlightBytesMax is %d", e.mu.bytes, limit)}
	}
	e.mu.nextID++
	a.id = e.mu.nextID
	a.request.Id = a.id
	e.mu.bytes += a.size
	if e.mu.unary || a.size > pipelinedBytesMax {
		e.startUnaryLocked(a)
		return nil
	}
	a.index = len(e.mu.queue)
	e.mu.queue = append(e.mu.queue, a)
	if !e.mu.running {
		e.mu.running = true
		e.wg.Go(e.pipeline)
	}
	if len(e.mu.queue) == 1 {
		select {
		case e.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// abandon gives a up; no one waits for its reply, which may still come. It
// reports whether a may have reached the member.
func (e *endpoint) abandon(a *attempt) (sent bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a.index >= 0 {
		e.unqueueLocked(a)
		e.mu.bytes -= a.size
		return false
	}
	if e.mu.sent[a.id] == a {
		delete(e.mu.sent, a.id)
		e.mu.bytes -= a.size
		if a.cancel != nil {
			a.cancel()
		}
	}
	return true
}

func (e *endpoint) unqueueLocked(a *attempt) {
	q := e.mu.queue
	last := len(q) - 1
	q[a.index] = q[last]
	q[a.index].index = a.index
	q[last] = nil
	e.mu.queue = q[:last]
	a.index = -1
}

// failAll ends all attempts: those sent with err, which leaves a doubt about
// writes; those waiting were surely not applied.
func (e *endpoint) failAll(err *Error) {
	e.mu.Lock()
	ended := make([]reply, 0, len(e.mu.queue)+len(e.mu.sent))
	for _, a := range e.mu.queue {
		a.index = -1
		unsent := *err
		unsent.Code, unsent.MaybeApplied, unsent.Address = CodeUnavailable, false, e.address
		ended = append(ended, reply{attempt: a, err: &unsent})
		e.mu.bytes -= a.size
	}
	clear(e.mu.queue)
	e.mu.queue = e.mu.queue[:0]
	for id, a := range e.mu.sent {
		if a.cancel != nil && !e.mu.closed {
			continue // a unary call ends by itself
		}
		broken := *err
		broken.MaybeApplied, broken.Address = true, e.address
		ended = append(ended, reply{attempt: a, err: &broken})
		delete(e.mu.sent, id)
		e.mu.bytes -= a.size
	}
	e.mu.Unlock()
	for _, r := range ended {
		r.attempt.replies <- r
	}
}

// startUnaryLocked makes a call of its own for a.
func (e *endpoint) startUnaryLocked(a *attempt) {
	ctx, cancel := context.WithTimeout(e.ctx, a.timeout)
	a.cancel = cancel
	e.mu.sent[a.id] = a
	e.wg.Go(func() {
		defer cancel()
		response, err := e.unary(ctx, a)
		e.mu.Lock()
		waited := e.mu.sent[a.id] == a
		if waited {
			delete(e.mu.sent, a.id)
			e.mu.bytes -= a.size
		}
		e.mu.Unlock()
		if waited {
			a.replies <- reply{attempt: a, response: response, err: err}
		}
	})
}

func (e *endpoint) unary(ctx context.Context, a *attempt) (*ringdv1.PipelineResponse, *Error) {
	if err := e.identified(ctx); err != nil {
		return nil, err
	}
	cc, err := e.conn()
	if err != nil {
		return nil, err
	}
	kv := ringdv1.NewKVClient(cc)
	out := &ringdv1.PipelineResponse{Id: a.id}
	var failure error
	switch r := a.request.GetRequest().(type) {
	case *ringdv1.PipelineRequest_Get:
		var got *ringdv1.GetResponse
		got, failure = kv.Get(ctx, r.Get)
		out.Response = &ringdv1.PipelineResponse_Get{Get: got}
	case *ringdv1.PipelineRequest_Put:
		var got *ringdv1.PutResponse
		got, failure = kv.Put(ctx, r.Put)
		out.Response = &ringdv1.PipelineResponse_Put{Put: got}
	case *ringdv1.PipelineRequest_Delete:
		var got *ringdv1.DeleteResponse
		got, failure = kv.Delete(ctx, r.Delete)
		out.Response = &ringdv1.PipelineResponse_Delete{Delete: got}
	}
	if failure != nil {
		return nil, e.called(ctx, failure)
	}
	e.health.heard(e.c.now())
	return out, nil
}

// called takes in the error of a unary call: an answer of the member's, or a
// connection that broke.
func (e *endpoint) called(ctx context.Context, failure error) *Error {
	err := fromStatus(failure)
	err.Address = e.address
	switch {
	case !err.MaybeApplied || hasDetail(failure):
		e.health.heard(e.c.now())
	case ctx.Err() == nil:
		e.health.failed(e.c.now())
		e.c.topology.kick()
	}
	return err
}
