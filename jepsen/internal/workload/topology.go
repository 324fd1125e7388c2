package workload

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/jepsen/internal/history"
)

const (
	// setting is one that counts, has room for many values, and does nothing here. It
	// is the only one that is changed: two that are changed through two members at a
	// time can undo each other (docs/operating.md).
	setting = "siblings_max"
	// settingFirst is above what it begins with.
	settingFirst = 1000
	// creators is how many clients try to create a bucket type, on average.
	creators = 3
	// topologyEvery is how long a client waits between two operations: all changes go
	// through one log, and each bucket type stays.
	topologyEvery = 50 * time.Millisecond
)

// topology has clients change what all members agree on, through different members.
type topology struct{ next atomic.Int64 }

func (*topology) Name() string { return "topology" }

func (*topology) Property() string {
	return "changes of what is agreed on are linearizable, and no member goes back behind what it showed or acknowledged"
}

func (*topology) Setup(context.Context, *Session) error { return nil }

// Kinds of operations. A bucket type's value is its default_ttl, which no two of
// those who try to create it share.
const (
	kindSet     = "set"
	kindSetting = "setting"
	kindCreate  = "create"
	kindType    = "type"
	// refused is the value of a create that was answered with "exists already".
	refused = "refused"
)

func typeName(n int64) string { return fmt.Sprintf("type-%d", n/creators) }

func (w *topology) Run(ctx context.Context, s *Session) {
	for ctx.Err() == nil {
		m, n := s.any(), w.next.Add(1)
		switch s.Rand.IntN(4) {
		case 0:
			w.set(ctx, s, m, n, false)
		case 1:
			w.create(ctx, s, m, n)
		case 2:
			lookAtType(ctx, s, m, typeName(s.Rand.Int64N(n)), false)
		default:
			lookAtSetting(ctx, s, m, false)
		}
		wait(ctx, topologyEvery)
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (w *topology) set(ctx context.Context, s *Session, m Member, n int64, final bool) history.Op {
	op := history.Op{Kind: kindSet, Write: true, Key: setting, Value: fmt.Sprint(settingFirst + n), Final: final}
	return s.Do(ctx, m, op, inOneLife(m, func(ctx context.Context, op *history.Op) error {
		_, err := m.Admin.UpdateSettings(ctx, &ringdv1.UpdateSettingsRequest{Values: map[string]string{setting: op.Value}})
		return err
	}))
}

func (w *topology) create(ctx context.Context, s *Session, m Member, n int64) {
	op := history.Op{Kind: kindCreate, Write: true, Key: typeName(n), Value: fmt.Sprint(n)}
	s.Do(ctx, m, op, func(ctx context.Context, op *history.Op) error {
		ttl := durationpb.New(time.Duration(n) * time.Hour)
		_, err := m.Admin.CreateBucketType(ctx, &ringdv1.CreateBucketTypeRequest{BucketType: &ringdv1.BucketType{Name: op.Key, DefaultTtl: ttl}})
		// A member that was removed refuses with the same code.
		if status.Code(err) == codes.FailedPrecondition && strings.Contains(err.Error(), "exists already") {
			op.Values = []string{refused}
		}
		return err
	})
}

func lookAtSetting(ctx context.Context, s *Session, m Member, final bool) history.Op {
	return s.Do(ctx, m, history.Op{Kind: kindSetting, Key: setting, Final: final}, inOneLife(m, func(ctx context.Context, op *history.Op) error {
		r, err := m.Admin.GetSettings(ctx, &ringdv1.GetSettingsRequest{})
		if err != nil {
			return err
		}
		for _, one := range r.Settings {
			if one.Name == setting {
				op.Values = []string{one.Value}
				return nil
			}
		}
		return errors.New("there is no such setting")
	}))
}

// inOneLife has an operation say by Level which process of which member it asked; it
// says none if that was not the same before and after.
func inOneLife(m Member, call func(context.Context, *history.Op) error) func(context.Context, *history.Op) error {
	life := func(ctx context.Context) string {
		r, err := m.Admin.Status(ctx, &ringdv1.StatusRequest{})
		if err != nil {
			return ""
		}
		return lifeOf(r)
	}
	return func(ctx context.Context, op *history.Op) error {
		before := life(ctx)
		err := call(ctx, op)
		if life(ctx) == before {
			op.Level = before
		}
		return err
	}
}

func lookAtType(ctx context.Context, s *Session, m Member, name string, final bool) history.Op {
	return s.Do(ctx, m, history.Op{Kind: kindType, Key: name, Final: final}, func(ctx context.Context, op *history.Op) error {
		r, err := m.Admin.DescribeBucketType(ctx, &ringdv1.DescribeBucketTypeRequest{Name: name})
		if status.Code(err) == codes.NotFound {
			return nil
		}
		if err == nil {
			op.Values = []string{strconv.Itoa(int(r.BucketType.GetDefaultTtl().AsDuration() / time.Hour))}
		}
		return err
	})
}

func (w *topology) Final(ctx context.Context, s *Session) (err error) {
	// Members show what they know, and hear of changes a little later. One that has acknowledged
	// a change knows all before it.
	members := s.Members()
	for _, m := range members {
		err = errors.Join(err, until(ctx, func() history.Op { return w.set(ctx, s, m, w.next.Add(1), true) }),
			until(ctx, func() history.Op { return lookAtSetting(ctx, s, m, true) }))
	}
	for n := int64(0); n <= w.next.Load(); n += creators {
		m := members[s.Rand.IntN(len(members))]
		err = errors.Join(err, until(ctx, func() history.Op { return lookAtType(ctx, s, m, typeName(n), true) }))
	}
	return err
}

func (*topology) Check(h history.History) []history.Anomaly {
	return append(judgeLinear(h.Ops), judgeOnward(h.Ops)...)
}
