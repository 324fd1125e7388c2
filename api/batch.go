package api

import (
	"context"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/replica"
)

// batchParallel bounds the requests of one batch that are under way: enough to
// fill group commits, few enough that one batch does not fill the mailboxes.
const batchParallel = 64

// BatchGet implements ringdv1.KVServer.
func (s *KV) BatchGet(ctx context.Context, r *ringdv1.BatchGetRequest) (*ringdv1.BatchGetResponse, error) {
	if err := s.checkBatch(len(r.Requests), r); err != nil {
		return nil, statusOf(err)
	}
	out := &ringdv1.BatchGetResponse{Results: make([]*ringdv1.BatchGetResponse_Result, len(r.Requests))}
	most := int64(s.backend.State().Settings.BatchBytesMax)
	var bytes atomic.Int64 // of what was read so far
	each(len(r.Requests), func(i int) {
		var got *ringdv1.GetResponse
		err := error(errBatchFull)
		if bytes.Load() < most {
			got, err = s.get(ctx, r.Requests[i])
			bytes.Add(int64(proto.Size(got)))
		}
		result := &ringdv1.BatchGetResponse_Result{Response: got}
		if err != nil {
			result.Error = detail(err)
		}
		out.Results[i] = result
	})
	return out, nil
}

// errBatchFull stands for what a batch has no room to answer.
var errBatchFull = replica.Errorf(replica.KindOverloaded, "the batch's answers before this one have as many bytes as a batch may have: ask for it again")

// BatchPut implements ringdv1.KVServer.
func (s *KV) BatchPut(ctx context.Context, r *ringdv1.BatchPutRequest) (*ringdv1.BatchPutResponse, error) {
	if err := s.checkBatch(len(r.Requests), r); err != nil {
		return nil, statusOf(err)
	}
	out := &ringdv1.BatchPutResponse{Results: make([]*ringdv1.BatchPutResponse_Result, len(r.Requests))}
	each(len(r.Requests), func(i int) {
		put, err := s.put(ctx, r.Requests[i])
		result := &ringdv1.BatchPutResponse_Result{Response: put}
		if err != nil {
			result.Error = detail(err)
		}
		out.Results[i] = result
	})
	return out, nil
}

func (s *KV) checkBatch(n int, m proto.Message) error {
	state, err := stateOf(s.backend)
	if err != nil {
		return err
	}
	limits := state.Settings
	if n > limits.BatchMax {
		return replica.Invalid("requests", "the batch has %d requests, above the limit of %d", n, limits.BatchMax)
	}
	if size := proto.Size(m); size > limits.BatchBytesMax {
		return replica.Invalid("requests", "the batch has %d bytes, above the limit of %d", size, limits.BatchBytesMax)
	}
	return nil
}

// each calls do for 0 to n-1, at most batchParallel at a time, and returns when
// all have.
func each(n int, do func(int)) {
	var running sync.WaitGroup
	next := make(chan int)
	for range min(n, batchParallel) {
		running.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	running.Wait()
}
