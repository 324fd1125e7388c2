package client

import (
	"context"
	"sync"
	"time"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

// A batch is cut into calls of this size per member: within what members take
// by default (1,000 requests, 16 MiB), and small enough to be worked on at
// several members, and to be sent anew, in parallel.
const (
	batchRequestsMax = 250
	batchBytesMax    = 4 << 20
)

// batchCallsMax calls, and as many times eight single requests, of one batch
// are in flight.
const batchCallsMax = 8

// batchPatience times AttemptAfter, and at most half of the time left, is what
// a call of a batch may take before its requests are sent one by one.
const batchPatience = 8

// GetResult is the outcome of one read of a batch, as of [Bucket.Get].
type GetResult struct {
	Object Object
	Err    error
}

// PutResult is the outcome of one put of a batch, as of [Bucket.Put].
type PutResult struct {
	Written Written
	Err     error
}

// PutItem is one put of a batch.
type PutItem struct {
	Key     string
	Value   []byte
	Options []PutOption // beside those of the batch
}

// BatchGet reads many keys, each by itself: the result has an outcome for each,
// in the order of keys.
func (b *Bucket) BatchGet(ctx context.Context, keys []string, opts ...GetOption) []GetResult {
	ops := make([]operation, len(keys))
	for i, k := range keys {
		ops[i] = b.get(k, opts)
	}
	results := make([]GetResult, len(keys))
	for i, o := range b.c.batch(ctx, ops, callBatchGet) {
		if results[i].Err = o.err; o.err == nil {
			results[i].Object, results[i].Err = ops[i].(*getOp).result(o.response.GetGet())
		}
	}
	return results
}

// BatchPut writes many keys, each by itself and in no order: the result has an
// outcome for each, in the order of items.
func (b *Bucket) BatchPut(ctx context.Context, items []PutItem, opts ...PutOption) []PutResult {
	ops := make([]operation, len(items))
	for i, item := range items {
		ops[i] = b.put(item.Key, item.Value, append(opts[:len(opts):len(opts)], item.Options...))
	}
	results := make([]PutResult, len(items))
	for i, o := range b.c.batch(ctx, ops, callBatchPut) {
		if results[i].Err = o.err; o.err == nil {
			results[i].Written = ops[i].(*putOp).result(o.response.GetPut())
		}
	}
	return results
}

// outcome of one request of a batch.
type outcome struct {
	response *ringdv1.PipelineResponse
	err      error
}

// batchCall sends ops in one message. The result is parallel to ops; nil with
// an error of the whole call.
type batchCall func(ctx context.Context, kv ringdv1.KVClient, ops []operation, timeout time.Duration) ([]*ringdv1.PipelineResponse, error)

func callBatchGet(ctx context.Context, kv ringdv1.KVClient, ops []operation, timeout time.Duration) ([]*ringdv1.PipelineResponse, error) {
	request := &ringdv1.BatchGetRequest{}
	for _, op := range ops {
		request.Requests = append(request.Requests, op.(*getOp).request(timeout))
	}
	got, err := kv.BatchGet(ctx, request)
	out := make([]*ringdv1.PipelineResponse, 0, len(ops))
	for _, r := range got.GetResults() {
		p := &ringdv1.PipelineResponse{Response: &ringdv1.PipelineResponse_Get{Get: r.GetResponse()}}
		if r.GetError() != nil {
			p.Response = &ringdv1.PipelineResponse_Error{Error: r.GetError()}
		}
		out = append(out, p)
	}
	return out, err
}

func callBatchPut(ctx context.Context, kv ringdv1.KVClient, ops []operation, timeout time.Duration) ([]*ringdv1.PipelineResponse, error) {
	request := &ringdv1.BatchPutRequest{}
	for _, op := range ops {
		request.Requests = append(request.Requests, op.(*putOp).request(timeout))
	}
	got, err := kv.BatchPut(ctx, request)
	out := make([]*ringdv1.PipelineResponse, 0, len(ops))
	for _, r := range got.GetResults() {
		p := &ringdv1.PipelineResponse{Response: &ringdv1.PipelineResponse_Put{Put: r.GetResponse()}}
		if r.GetError() != nil {
			p.Response = &ringdv1.PipelineResponse_Error{Error: r.GetError()}
		}
		out = append(out, p)
	}
	return out, err
}

// batch sends ops in few calls, each to the first owner, and what those leave
// open one by one.
func (c *Client) batch(ctx context.Context, ops []operation, call batchCall) []outcome {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.config.Timeout)
		defer cancel()
	}
	results := make([]outcome, len(ops))
	var wg sync.WaitGroup
	calls := make(chan struct{}, batchCallsMax)
	singles := make(chan struct{}, 8*batchCallsMax)
	for _, part := range c.parts(ops) {
		calls <- struct{}{}
		wg.Go(func() {
			open := c.callPart(ctx, part, ops, results, call)
			<-calls
			var rest sync.WaitGroup
			for _, i := range open {
				singles <- struct{}{}
				rest.Go(func() {
					results[i].response, results[i].err = c.do(ctx, ops[i])
					<-singles
				})
			}
			rest.Wait()
		})
	}
	wg.Wait()
	return results
}

// part of a batch: indexes of the requests that go to one member.
type part struct {
	to      *endpoint
	indexes []int
	bytes   int
}

func (c *Client) parts(ops []operation) []*part {
	v := c.topology.current.Load()
	now := c.now()
	var all []*part
	filling := make(map[*endpoint]*part)
	for i, op := range ops {
		h := op.head()
		e := v.pick(h.key, now, nil)
		p := filling[e]
		if p == nil || len(p.indexes) == batchRequestsMax || p.bytes+h.size > batchBytesMax {
			p = &part{to: e}
			filling[e] = p
			all = append(all, p)
		}
		p.indexes = append(p.indexes, i)
		p.bytes += h.size
	}
	return all
}

// callPart makes the call of one part, and returns the indexes of the requests
// that it did not settle.
func (c *Client) callPart(ctx context.Context, p *part, ops []operation, results []outcome, call batchCall) (open []int) {
	if len(p.indexes) == 1 || ctx.Err() != nil {
		return p.indexes
	}
	if p.to.identified(ctx) != nil {
		return p.indexes
	}
	cc, failed := p.to.conn()
	if failed != nil {
		return p.indexes
	}
	patience := min(batchPatience*c.config.AttemptAfter, (c.deadline(ctx)-c.now())/2)
	bound, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	stop := context.AfterFunc(p.to.ctx, cancel)
	defer stop()
	mine := make([]operation, len(p.indexes))
	for k, i := range p.indexes {
		mine[k] = ops[i]
	}
	began := c.now()
	answers, failure := call(bound, ringdv1.NewKVClient(cc), mine, patience)
	var whole *Error
	switch {
	case failure != nil:
		whole = p.to.called(bound, failure)
		if bound.Err() != nil {
			p.to.silent(began)
		}
	case len(answers) != len(mine):
		whole = &Error{Code: CodeInternal, MaybeApplied: true, Message: "the member answered another number of requests", Address: p.to.address}
	default:
		p.to.health.heard(c.now())
	}
	for k, i := range p.indexes {
		err := whole
		if err == nil {
			r := answer(&attempt{endpoint: p.to, request: mine[k].message(0)}, answers[k])
			if err = r.err; err == nil {
				results[i].response = r.response
				continue
			}
		}
		h := mine[k].head()
		t := tally{write: h.write, inFlight: 1, doubt: h.doubt}
		// A whole call that was refused may be so for its size alone.
		if t.ended(err) == stepEnd && whole == nil {
			final := t.verdict()
			h.blame(final)
			final.Attempts = 1
			results[i].err = final
			continue
		}
		h.doubt = t.doubt
		open = append(open, i)
	}
	return open
}
