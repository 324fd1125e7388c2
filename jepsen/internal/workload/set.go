package workload

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/jepsen/internal/history"
)

// All are the workloads, each time made anew: what one of them keeps is of one run.
func All() []Workload { return []Workload{&set{}} }

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

func at(key string) *ringdv1.Key { return &ringdv1.Key{Bucket: []byte("jepsen"), Key: []byte(key)} }

func (w *set) Run(ctx context.Context, s *Session) {
	for ctx.Err() == nil {
		members := s.Members()
		m := members[s.Rand.IntN(len(members))]
		if s.Rand.IntN(4) == 0 && w.next.Load() > 0 {
			w.read(ctx, s, m, setKey(s.Rand.Int64N(w.next.Load())), false)
			continue
		}
		i := w.next.Add(1) - 1
		op := history.Op{Kind: "add", Write: true, Key: setKey(i), Value: fmt.Sprint(i)}
		s.Do(ctx, m, op, func(ctx context.Context, op *history.Op) error {
			_, err := m.KV.Put(ctx, &ringdv1.PutRequest{Key: at(op.Key), Value: []byte(op.Value)})
			return err
		})
	}
}

func (w *set) read(ctx context.Context, s *Session, m Member, key string, final bool) history.Op {
	return s.Do(ctx, m, history.Op{Kind: "read", Key: key, Final: final}, func(ctx context.Context, op *history.Op) error {
		r, err := m.KV.Get(ctx, &ringdv1.GetRequest{Key: at(op.Key)})
		if err != nil {
			return err
		}
		for _, sibling := range r.Siblings {
			op.Values = append(op.Values, string(sibling.Value))
		}
		slices.Sort(op.Values)
		return nil
	})
}

func (w *set) Final(ctx context.Context, s *Session) error {
	for i := int64(0); i < w.next.Load(); i += perKey {
		for {
			members := s.Members()
			op := w.read(ctx, s, members[s.Rand.IntN(len(members))], setKey(i), true)
			if op.Outcome == history.OK {
				break
			}
			if ctx.Err() != nil {
				return fmt.Errorf("reading %s in the end: %s", op.Key, op.Error)
			}
		}
	}
	return nil
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
