package workload

import (
	"context"
	"fmt"
	"sync/atomic"

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
		op, seen := s.get(ctx, history.Op{Key: registerKey(s.Rand.IntN(registers)), Level: strictRead})
		if op.Outcome != history.OK || s.Rand.IntN(3) == 0 {
			continue
		}
		s.put(ctx, history.Op{Key: op.Key, Value: fmt.Sprint(w.next.Add(1)), Replaces: op.Values}, seen)
	}
}

func (w *register) Final(ctx context.Context, s *Session) error {
	var keys []string
	for i := range registers {
		keys = append(keys, registerKey(i))
	}
	return s.getAll(ctx, strictRead, keys)
}

func (*register) Check(h history.History) []history.Anomaly { return judgeLineages(h.Ops) }
