package client

import (
	"context"
	"io"
	"runtime"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

// A frame ends at this many requests or bytes, whichever comes first: enough
// that its cost is spread, few enough that the member can begin early.
const (
	frameRequestsMax = 256
	frameBytesMax    = 512 << 10
)

type pipelineStream = grpc.BidiStreamingClient[ringdv1.PipelineRequests, ringdv1.PipelineResponses]

// pipeline is the endpoint's writer: it opens a stream when something waits,
// and sends all that waits in one frame. One goroutine, until close.
func (e *endpoint) pipeline() {
	for {
		select {
		case <-e.wake:
		case <-e.ctx.Done():
			return
		}
		if !e.waiting() {
			continue
		}
		ctx, cancel := context.WithCancel(e.ctx)
		stream, err := e.open(ctx, cancel)
		if err == nil {
			err = e.serve(ctx, cancel, stream)
		}
		cancel()
		if err != nil && e.ctx.Err() == nil {
			e.failAll(err)
		}
	}
}

func (e *endpoint) waiting() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.mu.queue) > 0
}

// open connects, makes sure of who answers, and opens a stream under ctx. Only
// the opening is bounded; cancel ends ctx.
func (e *endpoint) open(ctx context.Context, cancel context.CancelFunc) (pipelineStream, *Error) {
	bound := time.AfterFunc(openTimeout, cancel)
	stream, err := e.stream(ctx)
	if !bound.Stop() && e.ctx.Err() == nil {
		return nil, e.refused(&Error{Code: CodeUnavailable, Message: "connecting took too long"})
	}
	return stream, err
}

func (e *endpoint) stream(ctx context.Context) (pipelineStream, *Error) {
	if err := e.identify(ctx); err != nil {
		return nil, err
	}
	cc, err := e.conn()
	if err != nil {
		return nil, err
	}
	stream, failure := ringdv1.NewKVClient(cc).Pipeline(ctx)
	if failure != nil {
		return nil, e.refused(fromStatus(failure))
	}
	return stream, nil
}

// serve sends what waits and delivers what comes until the stream ends, and
// says how it ended; nil if the member turned out to have no Pipeline.
func (e *endpoint) serve(ctx context.Context, cancel context.CancelFunc, stream pipelineStream) *Error {
	ended := make(chan error, 1)
	e.wg.Go(func() { ended <- e.receive(stream) })
	var frame ringdv1.PipelineRequests
	var failure error
	for failure == nil {
		// Callers that are about to ask are let go first: their requests
		// share the frame.
		runtime.Gosched()
		frame.Requests = e.take(frame.Requests[:0])
		if len(frame.Requests) == 0 {
			select {
			case <-e.wake:
			case failure = <-ended:
			}
			continue
		}
		if stream.Send(&frame) != nil {
			cancel() // in case that it was not the stream's end
			failure = <-ended
		}
		clear(frame.Requests)
	}
	if status.Code(failure) == codes.Unimplemented {
		e.toUnary()
		return nil
	}
	err := fromStatus(failure)
	if err.Code != CodeDenied {
		err.Code = CodeUnavailable
	}
	if failure == io.EOF {
		err.Message = "the member ended the stream"
	}
	e.health.failed(e.c.now())
	e.c.topology.kick()
	return err
}

// take moves what waits, up to a frame, to what was sent.
func (e *endpoint) take(frame []*ringdv1.PipelineRequest) []*ringdv1.PipelineRequest {
	e.mu.Lock()
	defer e.mu.Unlock()
	bytes, n := 0, 0
	for _, a := range e.mu.queue {
		if n == frameRequestsMax || n > 0 && bytes+a.size > frameBytesMax {
			break
		}
		n++
		bytes += a.size
		a.index = -1
		e.mu.sent[a.id] = a
		frame = append(frame, a.request)
	}
	rest := copy(e.mu.queue, e.mu.queue[n:])
	clear(e.mu.queue[rest:])
	e.mu.queue = e.mu.queue[:rest]
	for i, a := range e.mu.queue {
		a.index = i
	}
	return frame
}

// receive delivers answers until the stream ends.
func (e *endpoint) receive(stream pipelineStream) error {
	var waited []*attempt
	for {
		frame, err := stream.Recv()
		if err != nil {
			return err
		}
		e.health.heard(e.c.now())
		waited = waited[:0]
		e.mu.Lock()
		for _, r := range frame.GetResponses() {
			a := e.mu.sent[r.GetId()] // nil if it was abandoned
			if a != nil {
				delete(e.mu.sent, a.id)
				e.mu.bytes -= a.size
			}
			waited = append(waited, a)
		}
		e.mu.Unlock()
		for i, r := range frame.GetResponses() {
			if a := waited[i]; a != nil {
				a.replies <- answer(a, r)
			}
		}
	}
}

// answer is a member's word on an attempt.
func answer(a *attempt, r *ringdv1.PipelineResponse) reply {
	switch {
	case r.GetError() != nil:
		err := fromDetail(r.GetError())
		err.Address = a.endpoint.address
		return reply{attempt: a, err: err}
	case !answers(r, a.request):
		return reply{attempt: a, err: &Error{Code: CodeInternal, MaybeApplied: true, Address: a.endpoint.address, Message: "the member answered another kind of request"}}
	}
	return reply{attempt: a, response: r}
}

func answers(r *ringdv1.PipelineResponse, to *ringdv1.PipelineRequest) bool {
	switch to.GetRequest().(type) {
	case *ringdv1.PipelineRequest_Get:
		return r.GetGet() != nil
	case *ringdv1.PipelineRequest_Put:
		return r.GetPut() != nil
	}
	return r.GetDelete() != nil
}

// toUnary makes calls of their own for all that waits and for all that was put
// on a stream which the member does not have.
func (e *endpoint) toUnary() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mu.unary = true
	if e.mu.closed {
		return
	}
	for _, a := range e.mu.sent {
		if a.cancel == nil {
			e.startUnaryLocked(a)
		}
	}
	for _, a := range e.mu.queue {
		a.index = -1
		e.startUnaryLocked(a)
	}
	clear(e.mu.queue)
	e.mu.queue = e.mu.queue[:0]
}

func hasDetail(err error) bool {
	for _, d := range status.Convert(err).Details() {
		if _, ok := d.(*ringdv1.ErrorDetail); ok {
			return true
		}
	}
	return false
}
