package workload

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/jepsen/internal/history"
)

// perKey is how many elements a key of a set gets: as siblings, of which ringd
// allows a hundred.
const perKey = 8

// set has all clients add elements, each written once without a context, so that
// the elements of a key are its siblings.
type set struct{ next atomic.Int64 }

func (*set) Name() string { return "set" }

func (*set) Property() string {
	return "every acknowledged element is there in the end, and none that was never written"
}

func (*set) Setup(context.Context, *Session) error { return nil }

func setKey(i int64) string { return fmt.Sprintf("set-%d", i/perKey) }

func (w *set) Run(ctx context.Context, s *Session) {
	for ctx.Err() == nil {
		if s.Rand.IntN(4) == 0 && w.next.Load() > 0 {
			s.get(ctx, history.Op{Key: setKey(s.Rand.Int64N(w.next.Load()))})
			continue
		}
		m := s.any()
		i := w.next.Add(1) - 1
		op := history.Op{Kind: "add", Write: true, Key: setKey(i), Value: fmt.Sprint(i)}
		s.Do(ctx, m, op, func(ctx context.Context, op *history.Op) error {
			_, err := m.KV.Put(ctx, &ringdv1.PutRequest{Key: at(op.Key), Value: []byte(op.Value)})
			return err
		})
	}
}

func (w *set) Final(ctx context.Context, s *Session) error {
	var keys []string
	for i := int64(0); i < w.next.Load(); i += perKey {
		keys = append(keys, setKey(i))
	}
	return s.getAll(ctx, "", keys)
}

func (w *set) Check(h history.History) []history.Anomaly {
	written, final := make(map[string]int), make(map[string][]string)
	for _, op := range h.Ops {
		switch {
		case op.Write:
			written[op.Key+"="+op.Value] = op.ID
		case op.Final && op.Outcome == history.OK:
			final[op.Key] = op.Values
		}
	}
	var found []history.Anomaly
	for _, op := range h.Ops {
		values, read := final[op.Key]
		if op.Write && op.Outcome == history.OK && read && !slices.Contains(values, op.Value) {
			found = append(found, history.Anomaly{Property: "set", Key: op.Key, Ops: []int{op.ID}, Text: fmt.Sprintf("%s was acknowledged and is not there in the end: %v", op.Value, values)})
		}
		for _, v := range op.Values {
			if _, ok := written[op.Key+"="+v]; !op.Write && !ok {
				found = append(found, history.Anomaly{Property: "set", Key: op.Key, Ops: []int{op.ID}, Text: v + " was read and never written"})
			}
		}
	}
	return found
}
