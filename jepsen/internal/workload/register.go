package workload

import (
	"context"
	"fmt"
	"sync/atomic"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/jepsen/internal/history"
)

// registers is how many keys there are: each is written several times in a second,
// by several clients at a time now and then.
const registers = 60

// register has all clients write strictly what replaces what they read.
type register struct{ next atomic.Int64 }

func (*register) Name() string { return "register" }

func (*register) Property() string {
	return "strict reads find every strict write that was acknowledged before, or what replaced it, and nothing that was replaced"
}

func (*register) Setup(context.Context, *Session) error { return nil }

func registerKey(i int) string { return fmt.Sprintf("register-%d", i) }

func (w *register) Run(ctx context.Context, s *Session) {
	for ctx.Err() == nil {
		if s.Rand.IntN(foreignEvery) == 0 {
			w.putForeign(ctx, s, registerKey(s.Rand.IntN(registers)))
		}
		overwrite(ctx, s, &w.next, registerKey(s.Rand.IntN(registers)))
	}
}

func (w *register) Final(ctx context.Context, s *Session) error {
	var keys []string
	for i := range registers {
		keys = append(keys, registerKey(i))
	}
	return s.getAll(ctx, strictRead, keys)
}

// overwrite looks at what the owners hold, or reads a key strictly and, two times in
// three, replaces what it found by the next value, and looks for it at once: what owners
// lack they get within seconds.
func overwrite(ctx context.Context, s *Session, next *atomic.Int64, key string) {
	if s.Rand.IntN(4) == 0 {
		inspect(ctx, s, history.Op{Kind: kindHolders, Key: key})
		return
	}
	op, seen := s.get(ctx, history.Op{Key: key, Level: strictRead})
	if op.Outcome != history.OK || s.Rand.IntN(3) == 0 {
		return
	}
	op = s.put(ctx, history.Op{Key: key, Value: fmt.Sprint(next.Add(1)), Replaces: op.Values}, seen)
	switch {
	case op.Outcome != history.OK:
	case s.Rand.IntN(2) == 0:
		s.get(ctx, history.Op{Key: key, Level: strictRead})
	default:
		inspect(ctx, s, history.Op{Kind: kindHolders, Key: key})
	}
}

// foreign is the kind of a write with the context of another key, which has to be
// refused: it would cover what its client never saw.
const (
	foreign      = "put-foreign"
	foreignEvery = 50
	isForeign    = "a context is good for its key only"
)

func (w *register) putForeign(ctx context.Context, s *Session, key string) {
	_, seen := s.get(ctx, history.Op{Key: key, Level: strictRead})
	other := registerKey(s.Rand.IntN(registers))
	if other == key || len(seen) == 0 {
		return
	}
	op := history.Op{Kind: foreign, Write: true, Key: other, Value: fmt.Sprint(w.next.Add(1))}
	m := s.any()
	options, level := s.strictly()
	op.Level = level
	s.Do(ctx, m, op, func(ctx context.Context, op *history.Op) error {
		_, err := m.KV.Put(ctx, &ringdv1.PutRequest{Key: at(op.Key), Value: valueOf(op.Key, op.Value), Context: seen, Options: options})
		return err
	})
}

func (*register) Check(h history.History) []history.Anomaly {
	found := judgeStrict(h.Ops)
	for _, op := range h.Ops {
		if op.Kind == foreign && op.Outcome == history.OK {
			found = append(found, history.Anomaly{Property: isForeign, Key: op.Key, Ops: []int{op.ID}, Text: op.Value + " was taken with the context of another key"})
		}
	}
	return found
}
