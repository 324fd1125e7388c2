package workload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"google.golang.org/grpc"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/jepsen/internal/history"
)

// replicaKeys are few, so that each is looked at often.
const replicaKeys = 40

// replicas has clients write in all ways, and look at what every owner holds.
type replicas struct{ next atomic.Int64 }

func (*replicas) Name() string { return "replicas" }

func (*replicas) Property() string {
	return "no dot is given twice; in the end owners hold the same, hash trees stand for it, and a repair sends nothing"
}

func (*replicas) Setup(context.Context, *Session) error { return nil }

func replicaKey(i int) string { return fmt.Sprintf("replicas-%d", i) }

// siblingsWanted is how many siblings a key may have before they are replaced.
const siblingsWanted = 20

func (w *replicas) Run(ctx context.Context, s *Session) {
	for ctx.Err() == nil {
		key := replicaKey(s.Rand.IntN(replicaKeys))
		if s.Rand.IntN(4) == 0 {
			inspect(ctx, s, history.Op{Kind: kindInspect, Key: key})
			continue
		}
		// A sloppy read, so that clients go on where no owner is in reach.
		op, seen := s.get(ctx, history.Op{Key: key})
		next := history.Op{Key: key, Replaces: op.Values}
		switch n := s.Rand.IntN(6); {
		case n == 0 && len(op.Values) > 0:
			s.del(ctx, next, seen)
		case n < 3 && len(op.Values) < siblingsWanted:
			w.join(ctx, s, key)
		case op.Outcome == history.OK:
			next.Value = fmt.Sprint(w.next.Add(1))
			s.put(ctx, next, seen)
		}
	}
}

// join writes sloppily and without a context.
func (w *replicas) join(ctx context.Context, s *Session, key string) {
	m := s.any()
	op := history.Op{Kind: "put", Write: true, Key: key, Value: fmt.Sprint(w.next.Add(1))}
	s.Do(ctx, m, op, func(ctx context.Context, op *history.Op) error {
		_, err := m.KV.Put(ctx, &ringdv1.PutRequest{Key: at(op.Key), Value: valueOf(op.Key, op.Value)})
		return err
	})
}

// Kinds of what members are asked to do or to show.
const (
	kindInspect = "inspect"
	kindVerify  = "verify"
	kindRepair  = "repair"
	kindTrees   = "trees"
)

func (w *replicas) Final(ctx context.Context, s *Session) error {
	var keys []string
	for i := range replicaKeys {
		keys = append(keys, replicaKey(i))
	}
	err := s.getAll(ctx, strictRead, keys)
	for _, key := range keys {
		err = errors.Join(err, until(ctx, func() history.Op { return inspect(ctx, s, history.Op{Kind: kindInspect, Key: key, Final: true}) }))
	}
	members := s.Members()
	err = errors.Join(err, until(ctx, func() history.Op { return verify(ctx, s, members[0]) }))
	for _, m := range members {
		err = errors.Join(err, until(ctx, func() history.Op { return repair(ctx, s, m) }),
			until(ctx, func() history.Op { return trees(ctx, s, m) }))
	}
	return err
}

// until does an operation until it is answered.
func until(ctx context.Context, do func() history.Op) error {
	for {
		op := do()
		if op.Outcome == history.OK {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s %s in the end: %s", op.Kind, op.Key, op.Error)
		}
	}
}

func verify(ctx context.Context, s *Session, m Member) history.Op {
	return s.Do(ctx, m, history.Op{Kind: kindVerify, Final: true}, func(ctx context.Context, op *history.Op) error {
		stream, err := m.Admin.Verify(ctx, &ringdv1.VerifyRequest{})
		return last(stream, err, func(p *ringdv1.VerifyProgress) error {
			if len(p.Unreachable) > 0 {
				return errors.New(p.Unreachable[0])
			}
			wrong(op, p.Done && p.KeysDiffer > 0, "%d of %d keys differ", p.KeysDiffer, p.KeysCompared)
			return nil
		})
	})
}

func repair(ctx context.Context, s *Session, m Member) history.Op {
	return s.Do(ctx, m, history.Op{Kind: kindRepair, Final: true}, func(ctx context.Context, op *history.Op) error {
		stream, err := m.Admin.Repair(ctx, &ringdv1.RepairRequest{})
		return last(stream, err, func(p *ringdv1.RepairProgress) error {
			if p.Done && p.SessionsFailed > 0 {
				return errors.New(p.LastError)
			}
			wrong(op, p.Done && p.ObjectsSent+p.KeysDiffered > 0, "a repair found %d keys that differed, and sent %d objects", p.KeysDiffered, p.ObjectsSent)
			return nil
		})
	})
}

func trees(ctx context.Context, s *Session, m Member) history.Op {
	return s.Do(ctx, m, history.Op{Kind: kindTrees, Final: true}, func(ctx context.Context, op *history.Op) error {
		stream, err := m.Admin.CheckTrees(ctx, &ringdv1.CheckTreesRequest{})
		return last(stream, err, func(p *ringdv1.CheckTreesProgress) error {
			if len(p.Failed) > 0 {
				return errors.New(p.Failed[0])
			}
			wrong(op, p.Done && p.EntriesWrong+p.SumsWrong > 0, "%d entries and %d sums of hash trees were wrong", p.EntriesWrong, p.SumsWrong)
			return nil
		})
	})
}

// wrong notes what a member says is wrong.
func wrong(op *history.Op, is bool, format string, args ...any) {
	if is {
		op.Values = append(op.Values, fmt.Sprintf(format, args...))
	}
}

// last has each message of a stream looked at, to its end.
func last[T any](stream grpc.ServerStreamingClient[T], err error, each func(*T) error) error {
	for err == nil {
		var m *T
		if m, err = stream.Recv(); err == nil {
			err = each(m)
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (*replicas) Check(h history.History) []history.Anomaly {
	var found []history.Anomaly
	var clients, inspected []history.Op
	for _, op := range h.Ops {
		switch op.Kind {
		case kindVerify, kindRepair, kindTrees:
			for _, text := range op.Values {
				found = append(found, history.Anomaly{Property: isEqual, Ops: []int{op.ID}, Text: op.Member + ": " + text})
			}
		case kindInspect:
			if op.Outcome == history.OK {
				inspected = append(inspected, op)
			}
		default:
			clients = append(clients, op)
		}
	}
	found = append(found, judgeCopies(inspected)...)
	return slices.Concat(found, judgeLineages(clients))
}
