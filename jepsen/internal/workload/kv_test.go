package workload

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/jepsen/internal/history"
)

func answered(t *testing.T, code codes.Code, maybe bool) error {
	t.Helper()
	st, err := status.New(code, "no").WithDetails(&ringdv1.ErrorDetail{MaybeApplied: maybe})
	if err != nil {
		t.Fatal(err)
	}
	return st.Err()
}

func TestWorst(t *testing.T) {
	lost, refused := answered(t, codes.Unavailable, true), answered(t, codes.FailedPrecondition, false)
	for _, c := range []struct {
		name         string
		before, then error
		want         error
	}{
		{"an attempt was acknowledged in the end", lost, nil, nil},
		{"one may have had an effect, another was refused", lost, refused, lost},
		{"both had none", refused, answered(t, codes.Unavailable, false), nil},
	} {
		got := worst(c.before, c.then)
		if c.want == nil && got == c.then {
			continue
		}
		if !errors.Is(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

type silent struct{ ringdv1.AdminClient }

func (silent) Ring(context.Context, *ringdv1.RingRequest, ...grpc.CallOption) (*ringdv1.RingResponse, error) {
	return &ringdv1.RingResponse{
		Epoch: &ringdv1.Epoch{Number: 1}, Members: []*ringdv1.Member{{Name: "m0"}, {Name: "m1"}},
		Rows: []*ringdv1.RingResponse_Partition{{Owners: []uint32{1}}},
	}, nil
}

type noRecord struct{}

func (noRecord) Begin(op history.Op) history.Op { return op }
func (noRecord) End(op history.Op) history.Op   { return op }

// TestAttempts: a write that is tried again is one operation, and is not taken for one
// that was tried once.
func TestAttempts(t *testing.T) {
	lost := answered(t, codes.Unavailable, true)
	seen := make(map[bool]bool)
	for seed := range uint64(50) {
		s := &Session{
			Rand: rand.New(rand.NewPCG(seed, 0)), Record: noRecord{}, Timeout: time.Minute,
			Members: func() []Member { return []Member{{Name: "m0", Admin: silent{}}, {Name: "m1", Admin: silent{}}} },
		}
		calls := 0
		op := s.write(t.Context(), history.Op{Key: "k"}, func(context.Context, ringdv1.KVClient) error {
			calls++
			return lost
		})
		tried := calls > 1
		seen[tried] = true
		if op.Outcome != history.Unknown || op.Attempts != calls && tried {
			t.Errorf("seed %d: %d calls: %+v", seed, calls, op)
		}
		if want := calls == 1 && op.Member == "m1"; op.Once != want {
			t.Errorf("seed %d: %d calls, at %s: once is %v", seed, calls, op.Member, op.Once)
		}
	}
	if len(seen) != 2 {
		t.Errorf("writes were tried again: %v", seen)
	}
}
