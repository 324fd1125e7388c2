package workload

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/jepsen/internal/history"
)

// sessionKeys are few, so that clients meet.
const sessionKeys = 30

// sessions has clients read with repair_blocking, and write several times in a row
// with the contexts that their writes gave them. What one client was told binds what
// all clients are told after: that is more than their sessions need.
type sessions struct{ next atomic.Int64 }

func (*sessions) Name() string { return "sessions" }

func (*sessions) Property() string {
	return "a client finds what it wrote, and what a read with repair_blocking found, or what replaced it, whichever member it asks"
}

func (*sessions) Setup(context.Context, *Session) error { return nil }

func sessionKey(i int) string { return fmt.Sprintf("sessions-%d", i) }

func (w *sessions) Run(ctx context.Context, s *Session) {
	for ctx.Err() == nil {
		key := sessionKey(s.Rand.IntN(sessionKeys))
		read := history.Op{Key: key, Level: repairedRead}
		op, seen := s.get(ctx, read)
		found := op.Values
		for op.Outcome == history.OK && s.Rand.IntN(3) > 0 {
			next := history.Op{Key: key, Value: fmt.Sprint(w.next.Add(1)), Replaces: found}
			op, found, seen = s.putOn(ctx, next, seen, s.Rand.IntN(2) == 0)
		}
		s.get(ctx, read)
	}
}

// putOn writes, and returns the context to go on with and the values that this
// context covers: the one written or, where whole, all that are there then.
func (s *Session) putOn(ctx context.Context, op history.Op, seen []byte, whole bool) (_ history.Op, found []string, next []byte) {
	ask := &ringdv1.PutRequest{Key: at(op.Key), Value: valueOf(op.Key, op.Value), Context: seen, RequestId: s.requestID()}
	ask.Options, op.Level = s.strictly()
	if whole {
		ask.Return = ringdv1.PutRequest_RETURN_BODY
	}
	op.Kind = "put"
	op = s.write(ctx, op, func(ctx context.Context, kv ringdv1.KVClient) error {
		r, err := kv.Put(ctx, ask)
		if err != nil {
			return err
		}
		found, next = []string{op.Value}, r.Context
		for _, sibling := range r.Siblings {
			if text := textOf(sibling.Value); !sibling.Tombstone && text != op.Value {
				found = append(found, text)
			}
		}
		slices.Sort(found)
		return nil
	})
	return op, found, next
}

func (w *sessions) Final(ctx context.Context, s *Session) error {
	var keys []string
	for i := range sessionKeys {
		keys = append(keys, sessionKey(i))
	}
	return s.getAll(ctx, repairedRead, keys)
}

func (*sessions) Check(h history.History) []history.Anomaly { return judgeLineages(h.Ops) }
