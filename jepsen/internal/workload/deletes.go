package workload

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/ringd/ringd/jepsen/internal/history"
)

const (
	// keysDeleted are written and deleted at a time, until there were deletesPerKey
	// times as many writes: then all clients go over to others. A delete without a
	// context that has no answer excuses for ever whatever is missing of its key, and
	// one key in four has such deletes.
	keysDeleted   = 40
	deletesPerKey = 25
)

// deletes has all clients write, delete and write again.
type deletes struct{ next atomic.Int64 }

func (*deletes) Name() string { return "deletes" }

func (*deletes) Property() string {
	return "what an acknowledged delete replaces never comes back, and what it did not see stays"
}

func (*deletes) Setup(context.Context, *Session) error { return nil }

func deletedKey(generation int64, i int) string { return fmt.Sprintf("deletes-%d-%d", generation, i) }

// mayBeBlind says whether the key has deletes without a context.
func mayBeBlind(key string) bool { return strings.HasSuffix(key, "1") || strings.HasSuffix(key, "7") }

func (w *deletes) generation() int64 { return w.next.Load() / (keysDeleted * deletesPerKey) }

func (w *deletes) Run(ctx context.Context, s *Session) {
	for ctx.Err() == nil {
		generation := w.generation()
		// What was deleted before comes back late, if it does.
		if generation > 0 && s.Rand.IntN(4) == 0 {
			s.get(ctx, history.Op{Key: deletedKey(s.Rand.Int64N(generation), s.Rand.IntN(keysDeleted)), Level: strictRead})
			continue
		}
		op, seen := s.get(ctx, history.Op{Key: deletedKey(generation, s.Rand.IntN(keysDeleted)), Level: strictRead})
		if op.Outcome != history.OK {
			continue
		}
		next := history.Op{Key: op.Key, Replaces: op.Values}
		switch n := s.Rand.IntN(8); {
		case n < 2 && len(op.Values) > 0:
			s.del(ctx, next, seen)
		case n == 2 && mayBeBlind(op.Key):
			s.del(ctx, next, nil)
		case n < 6:
			next.Value = fmt.Sprint(w.next.Add(1))
			s.put(ctx, next, seen)
		case n == 6 && len(op.Values) < 5:
			// A sibling, which the deletes of those who did not see it leave.
			next.Value, next.Replaces = fmt.Sprint(w.next.Add(1)), nil
			s.put(ctx, next, nil)
		}
	}
}

func (w *deletes) Final(ctx context.Context, s *Session) error {
	var keys []string
	for g := range w.generation() + 1 {
		for i := range keysDeleted {
			keys = append(keys, deletedKey(g, i))
		}
	}
	return s.getAll(ctx, strictRead, keys)
}

func (*deletes) Check(h history.History) []history.Anomaly { return judgeLineages(h.Ops) }
