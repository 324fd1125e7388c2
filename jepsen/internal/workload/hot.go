package workload

import (
	"context"
	"fmt"
	"sync/atomic"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/jepsen/internal/history"
)

const hotKey = "hot"

// hot has all clients write one key, each only if nothing came between.
type hot struct{ next atomic.Int64 }

func (*hot) Name() string { return "hot" }

func (*hot) Property() string {
	return "of conditional writes of one key, those that are refused have no effect, and those that are not are there or were replaced"
}

func (*hot) Setup(context.Context, *Session) error { return nil }

func (w *hot) Run(ctx context.Context, s *Session) {
	for ctx.Err() == nil {
		op, seen := s.get(ctx, history.Op{Key: hotKey, Level: strictRead})
		if op.Outcome != history.OK {
			continue
		}
		ask := &ringdv1.PutRequest{
			Key: at(hotKey), Value: fmt.Append(nil, w.next.Add(1)), Context: seen, RequestId: s.requestID(),
			// Before the first write there is nothing to match.
			IfMatch: len(op.Values) > 0, IfAbsent: len(op.Values) == 0,
		}
		next := history.Op{Kind: "put-if", Key: hotKey, Value: string(ask.Value), Replaces: op.Values}
		ask.Options, next.Level = s.strictly()
		s.write(ctx, next, func(ctx context.Context, kv ringdv1.KVClient) error {
			_, err := kv.Put(ctx, ask)
			return err
		})
	}
}

func (*hot) Final(ctx context.Context, s *Session) error {
	return s.getAll(ctx, strictRead, []string{hotKey})
}

// Check needs no rule of its own: a refused write has failed, and what failed is not
// to be seen. Two that found the same may both succeed, as siblings.
func (*hot) Check(h history.History) []history.Anomaly { return judgeLineages(h.Ops) }
