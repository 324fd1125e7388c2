package workload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/jepsen/internal/history"
)

const (
	// keys are so many that all partitions have some, and that most are not written
	// again in a run: those have to be brought over whole when slots move.
	keys = 4000
	// keysPerBatch when they are written first.
	keysPerBatch = 100
	// firstValue is what every key begins with.
	firstValue = "first"
)

// keyspace has thousands of keys, of which clients replace some, one by one.
type keyspace struct {
	next   atomic.Int64
	recent recent
}

// recentMax is how many keys are remembered that were written last: about what is
// written in two seconds, in which slots change hands.
const recentMax = 256

// recent are the keys that were written last. Their owners are looked at a little
// later, and nobody reads them meanwhile: a read repairs what it finds.
type recent struct {
	mu struct {
		sync.Mutex
		keys []string
	}
}

func (r *recent) add(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.keys = append(r.mu.keys, key)
	r.mu.keys = r.mu.keys[max(0, len(r.mu.keys)-recentMax):]
}

// one returns one of the keys; empty if there is none.
func (r *recent) one(rng *rand.Rand) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.mu.keys) == 0 {
		return ""
	}
	return r.mu.keys[rng.IntN(len(r.mu.keys))]
}

func (*keyspace) Name() string { return "keyspace" }

func (*keyspace) Property() string {
	return "of thousands of keys none is lost, none is stale, and all are listed"
}

func keyspaceKey(i int) string { return fmt.Sprintf("keyspace-%d", i) }

func (w *keyspace) Setup(ctx context.Context, s *Session) error {
	for first := 0; first < keys; first += keysPerBatch {
		ask := &ringdv1.BatchPutRequest{}
		for i := range keysPerBatch {
			key := keyspaceKey(first + i)
			put := &ringdv1.PutRequest{Key: at(key), Value: valueOf(key, firstValue), RequestId: s.requestID()}
			put.Options, _ = s.strictly()
			ask.Requests = append(ask.Requests, put)
		}
		for {
			err := putBatch(ctx, s.any(), ask)
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return err
			}
		}
	}
	return nil
}

func putBatch(ctx context.Context, m Member, ask *ringdv1.BatchPutRequest) error {
	r, err := m.KV.BatchPut(ctx, ask)
	if err != nil {
		return err
	}
	for _, one := range r.Results {
		if one.Error != nil {
			return fmt.Errorf("%s: %s", m.Name, one.Error.Message)
		}
	}
	return nil
}

func (w *keyspace) Run(ctx context.Context, s *Session) {
	for ctx.Err() == nil {
		if key := w.recent.one(s.Rand); key != "" && s.Rand.IntN(2) == 0 {
			inspect(ctx, s, history.Op{Kind: kindHolders, Key: key})
			continue
		}
		op, seen := s.get(ctx, history.Op{Key: keyspaceKey(s.Rand.IntN(keys)), Level: strictRead})
		if op.Outcome != history.OK {
			continue
		}
		op = s.put(ctx, history.Op{Key: op.Key, Value: fmt.Sprint(w.next.Add(1)), Replaces: op.Values}, seen)
		if op.Outcome == history.OK {
			w.recent.add(op.Key)
		}
	}
}

func (w *keyspace) Final(ctx context.Context, s *Session) error {
	var all []string
	for i := range keys {
		all = append(all, keyspaceKey(i))
	}
	if err := s.getAll(ctx, strictRead, all); err != nil {
		return err
	}
	for {
		op := w.list(ctx, s)
		if op.Outcome == history.OK {
			return nil
		}
		if ctx.Err() != nil {
			return errors.New("listing the keys in the end: " + op.Error)
		}
	}
}

// list is the kind of the operation that lists the keys, which are its values.
const list = "list"

func (w *keyspace) list(ctx context.Context, s *Session) history.Op {
	m := s.any()
	return s.Do(ctx, m, history.Op{Kind: list, Final: true}, func(ctx context.Context, op *history.Op) error {
		stream, err := m.KV.ListKeys(ctx, &ringdv1.ListKeysRequest{Bucket: at("").Bucket, R: count(2)})
		if err != nil {
			return err
		}
		for {
			page, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				slices.Sort(op.Values)
				return nil
			}
			if err != nil {
				return err
			}
			for _, key := range page.Keys {
				op.Values = append(op.Values, string(key))
			}
		}
	})
}

const isListed = "every key is listed once"

func (*keyspace) Check(h history.History) (found []history.Anomaly) {
	var ops []history.Op
	for i := range keys {
		ops = append(ops, history.Op{ID: -1, Kind: "put", Write: true, Key: keyspaceKey(i), Value: firstValue, Begin: -2, End: -1, Level: strictWrite, Outcome: history.OK})
	}
	for _, op := range h.Ops {
		if op.Kind != list {
			ops = append(ops, op)
		} else if op.Outcome == history.OK {
			found = append(found, judgeList(op)...)
		}
	}
	return append(found, judgeStrict(ops)...)
}

// judgeList: no key is ever deleted.
func judgeList(op history.Op) (found []history.Anomaly) {
	tell := func(key, text string) {
		found = append(found, history.Anomaly{Property: isListed, Key: key, Ops: []int{op.ID}, Text: text})
	}
	times := make(map[string]int)
	for _, key := range op.Values {
		times[key]++
	}
	for i := range keys {
		key := keyspaceKey(i)
		if times[key] != 1 {
			tell(key, fmt.Sprintf("it is listed %d times", times[key]))
		}
		delete(times, key)
	}
	for key := range times {
		tell(key, "it is listed and was never written")
	}
	return found
}
