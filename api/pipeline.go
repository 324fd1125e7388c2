package api

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/protobuf/proto"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/replica"
)

// pipelineMax bounds the requests of one stream that are under way. One more is
// refused at once.
const pipelineMax = 4096

// responsesMax and responseBytesMax bound what is sent in one message. A single
// larger response goes alone.
const (
	responsesMax     = 256
	responseBytesMax = 256 << 10
)

// Pipeline implements ringdv1.KVServer. Requests run side by side; what is
// answered while the stream is busy goes out together.
func (s *KV) Pipeline(stream ringdv1.KV_PipelineServer) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	// With room for all that may be under way, no request waits to be answered.
	answers := make(chan *ringdv1.PipelineResponse, 2*pipelineMax)
	slots := make(chan struct{}, pipelineMax)
	var running sync.WaitGroup
	sent := make(chan error, 1)
	go func() {
		err := sendPipeline(stream, answers)
		if err != nil {
			cancel()
		}
		sent <- err
	}()
	err := s.receivePipeline(ctx, stream, answers, slots, &running)
	running.Wait()
	close(answers)
	return errors.Join(err, <-sent)
}

func (s *KV) receivePipeline(ctx context.Context, stream ringdv1.KV_PipelineServer, answers chan<- *ringdv1.PipelineResponse, slots chan struct{}, running *sync.WaitGroup) error {
	for {
		batch, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, r := range batch.Requests {
			select {
			case slots <- struct{}{}:
			default:
				refused := replica.Errorf(replica.KindOverloaded, "the stream has %d requests under way, its limit", pipelineMax)
				select {
				case answers <- &ringdv1.PipelineResponse{Id: r.Id, Response: &ringdv1.PipelineResponse_Error{Error: detail(refused)}}:
				case <-ctx.Done():
					return statusOf(ctx.Err())
				}
				continue
			}
			running.Go(func() {
				answer := s.pipelined(ctx, r)
				<-slots
				select {
				case answers <- answer:
				case <-ctx.Done():
				}
			})
		}
	}
}

// sendPipeline sends answers until there are no more, several together where
// they wait. After an error it goes on taking them.
func sendPipeline(stream ringdv1.KV_PipelineServer, answers <-chan *ringdv1.PipelineResponse) error {
	var failed error
	for a := range answers {
		out := &ringdv1.PipelineResponses{Responses: []*ringdv1.PipelineResponse{a}}
		size := proto.Size(a)
	more:
		for len(out.Responses) < responsesMax && size < responseBytesMax {
			select {
			case a, ok := <-answers:
				if !ok {
					break more
				}
				out.Responses = append(out.Responses, a)
				size += proto.Size(a)
			default:
				break more
			}
		}
		if failed == nil {
			failed = stream.Send(out)
		}
	}
	return failed
}

func (s *KV) pipelined(ctx context.Context, r *ringdv1.PipelineRequest) *ringdv1.PipelineResponse {
	out := &ringdv1.PipelineResponse{Id: r.Id}
	var err error
	switch q := r.Request.(type) {
	case *ringdv1.PipelineRequest_Get:
		var a *ringdv1.GetResponse
		a, err = s.get(ctx, q.Get)
		out.Response = &ringdv1.PipelineResponse_Get{Get: a}
	case *ringdv1.PipelineRequest_Put:
		var a *ringdv1.PutResponse
		a, err = s.put(ctx, q.Put)
		out.Response = &ringdv1.PipelineResponse_Put{Put: a}
	case *ringdv1.PipelineRequest_Delete:
		var a *ringdv1.DeleteResponse
		a, err = s.delete(ctx, q.Delete)
		out.Response = &ringdv1.PipelineResponse_Delete{Delete: a}
	default:
		err = replica.Invalid("request", "is missing, or of a kind that this member does not know")
	}
	if err != nil {
		out.Response = &ringdv1.PipelineResponse_Error{Error: detail(err)}
	}
	return out
}
