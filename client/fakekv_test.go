package client_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

func (m *member) Pipeline(stream grpc.BidiStreamingServer[ringdv1.PipelineRequests, ringdv1.PipelineResponses]) error {
	ctx, cut := context.WithCancel(stream.Context())
	var sending sync.Mutex
	defer func() {
		sending.Lock()
		defer sending.Unlock()
		cut()
	}()
	m.mu.Lock()
	none := m.mu.noPipeline
	m.mu.cut = append(m.mu.cut, cut)
	m.mu.Unlock()
	if none {
		return status.Error(codes.Unimplemented, "no pipelines here")
	}
	frames := make(chan *ringdv1.PipelineRequests)
	go func() { // ends with the stream
		defer close(frames)
		for {
			f, err := stream.Recv()
			if err != nil {
				return
			}
			select {
			case frames <- f:
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		var f *ringdv1.PipelineRequests
		select {
		case f = <-frames:
		case <-ctx.Done():
		}
		if f == nil {
			return status.Error(codes.Unavailable, "cut")
		}
		m.mu.Lock()
		quick := m.mu.quick
		busy := m.mu.hook != nil || m.mu.deaf != nil
		m.mu.Unlock()
		if quick {
			out := &ringdv1.PipelineResponses{Responses: make([]*ringdv1.PipelineResponse, len(f.Requests))}
			for i, r := range f.Requests {
				out.Responses[i] = &ringdv1.PipelineResponse{Id: r.Id, Response: &ringdv1.PipelineResponse_Put{Put: &ringdv1.PutResponse{}}}
			}
			if err := stream.Send(out); err != nil {
				return err
			}
			continue
		}
		if !busy {
			out := &ringdv1.PipelineResponses{}
			for _, r := range f.Requests {
				out.Responses = append(out.Responses, m.answer(ctx, r, "pipeline"))
			}
			sending.Lock()
			stream.Send(out)
			sending.Unlock()
			continue
		}
		for _, r := range f.Requests {
			m.answering.Go(func() {
				a := m.answer(ctx, r, "pipeline")
				sending.Lock()
				defer sending.Unlock()
				if ctx.Err() == nil {
					stream.Send(&ringdv1.PipelineResponses{Responses: []*ringdv1.PipelineResponse{a}})
				}
			})
		}
	}
}

func (m *member) Get(ctx context.Context, r *ringdv1.GetRequest) (*ringdv1.GetResponse, error) {
	a := m.answer(ctx, &ringdv1.PipelineRequest{Request: &ringdv1.PipelineRequest_Get{Get: r}}, "unary")
	if d := a.GetError(); d != nil {
		return nil, statusOf(d)
	}
	return a.GetGet(), nil
}

func (m *member) Put(ctx context.Context, r *ringdv1.PutRequest) (*ringdv1.PutResponse, error) {
	a := m.answer(ctx, &ringdv1.PipelineRequest{Request: &ringdv1.PipelineRequest_Put{Put: r}}, "unary")
	if d := a.GetError(); d != nil {
		return nil, statusOf(d)
	}
	return a.GetPut(), nil
}

func (m *member) Delete(ctx context.Context, r *ringdv1.DeleteRequest) (*ringdv1.DeleteResponse, error) {
	a := m.answer(ctx, &ringdv1.PipelineRequest{Request: &ringdv1.PipelineRequest_Delete{Delete: r}}, "unary")
	if d := a.GetError(); d != nil {
		return nil, statusOf(d)
	}
	return a.GetDelete(), nil
}

func (m *member) BatchGet(ctx context.Context, b *ringdv1.BatchGetRequest) (*ringdv1.BatchGetResponse, error) {
	out := &ringdv1.BatchGetResponse{}
	for _, r := range b.Requests {
		a := m.answer(ctx, &ringdv1.PipelineRequest{Request: &ringdv1.PipelineRequest_Get{Get: r}}, "batch")
		out.Results = append(out.Results, &ringdv1.BatchGetResponse_Result{Response: a.GetGet(), Error: a.GetError()})
	}
	return out, ctx.Err()
}

func (m *member) BatchPut(ctx context.Context, b *ringdv1.BatchPutRequest) (*ringdv1.BatchPutResponse, error) {
	out := &ringdv1.BatchPutResponse{}
	for _, r := range b.Requests {
		a := m.answer(ctx, &ringdv1.PipelineRequest{Request: &ringdv1.PipelineRequest_Put{Put: r}}, "batch")
		out.Results = append(out.Results, &ringdv1.BatchPutResponse_Result{Response: a.GetPut(), Error: a.GetError()})
	}
	return out, ctx.Err()
}

// listPage is how many names stand in one page of a listing.
const listPage = 3

func (m *member) list(part func(name []string) (string, bool), cursor []byte, hook func() error, send func(names [][]byte, cursor []byte) error) error {
	m.c.mu.Lock()
	var names []string
	for name, o := range m.c.mu.objects {
		if n, ok := part(strings.Split(name, "\x00")); ok && len(o.siblings) > 0 && bytes.Compare([]byte(n), cursor) > 0 {
			names = append(names, n)
		}
	}
	m.c.mu.Unlock()
	slices.Sort(names)
	names = slices.Compact(names)
	for page := range slices.Chunk(names, listPage) {
		if err := hook(); err != nil {
			return err
		}
		var out [][]byte
		for _, n := range page {
			out = append(out, []byte(n))
		}
		if err := send(out, out[len(out)-1]); err != nil {
			return err
		}
	}
	return nil
}

// listHook runs the member's hook, without a request, before each page.
func (m *member) listHook(ctx context.Context) func() error {
	return func() error {
		m.hear(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		m.mu.Lock()
		h := m.mu.hook
		m.mu.Unlock()
		if h == nil {
			return nil
		}
		if d := h(ctx, m, nil).GetError(); d != nil {
			return statusOf(d)
		}
		return nil
	}
}

func (m *member) ListKeys(r *ringdv1.ListKeysRequest, s grpc.ServerStreamingServer[ringdv1.ListKeysResponse]) error {
	m.c.record(m, string(r.Bucket), "", "list")
	part := func(n []string) (string, bool) { return n[2], n[0] == r.BucketType && n[1] == string(r.Bucket) }
	return m.list(part, r.Cursor, m.listHook(s.Context()), func(names [][]byte, cursor []byte) error {
		return s.Send(&ringdv1.ListKeysResponse{Keys: names, Cursor: cursor})
	})
}

func (m *member) ListBuckets(r *ringdv1.ListBucketsRequest, s grpc.ServerStreamingServer[ringdv1.ListBucketsResponse]) error {
	part := func(n []string) (string, bool) { return n[1], n[0] == r.BucketType }
	return m.list(part, r.Cursor, m.listHook(s.Context()), func(names [][]byte, cursor []byte) error {
		return s.Send(&ringdv1.ListBucketsResponse{Buckets: names, Cursor: cursor})
	})
}
