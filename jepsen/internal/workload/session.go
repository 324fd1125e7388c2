package workload

import (
	"context"
	"math/rand/v2"
	"time"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/jepsen/internal/history"
)

// Member is a member as clients reach it. It may be dead, cut off or paused.
type Member struct {
	Name string
	KV   ringdv1.KVClient
	// Admin is for setting up and for looking at the ring; faults are the nemeses'.
	Admin ringdv1.AdminClient
}

// Recorder keeps operations. It is safe for use by several clients.
type Recorder interface {
	// Begin gives the operation its id and the time at which it begins.
	Begin(op history.Op) history.Op
	// End keeps the operation, with the time at which it ends.
	End(op history.Op) history.Op
}

// Session is one client: whom it may ask, and a seed of its own.
type Session struct {
	Client int
	Rand   *rand.Rand
	// Members returns those that are up to be asked now: the membership changes
	// in a run.
	Members func() []Member
	Record  Recorder
	// Timeout of one operation.
	Timeout time.Duration
}

// Do makes one operation at the member: call fills in what it saw, and its error
// decides the outcome.
func (s *Session) Do(ctx context.Context, m Member, op history.Op, call func(context.Context, *history.Op) error) history.Op {
	op.Client, op.Member = s.Client, m.Name
	op = s.Record.Begin(op)
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	err := call(ctx, &op)
	op.Outcome = outcome(op, err)
	if err != nil {
		op.Error = err.Error()
	}
	return s.Record.End(op)
}
