package quorum

import (
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// Op is one request in flight.
type Op interface {
	// Step takes one event. The first is replica.Begin.
	Step(now time.Time, e replica.Event) Effects
}

// Result is what the client gets. Err is nil if the rest counts.
type Result struct {
	Object  causal.Object // reads; writes as replica.Return says
	Context causal.Context
	List    List
	Err     *replica.Error
}

// Effects is what the caller of Step has to do.
type Effects struct {
	Sends []replica.Send
	// Tick is when to call with a Tick; zero is never. It replaces what earlier
	// effects asked for.
	Tick time.Time
	// Result, if not nil, goes to the client. It comes once.
	Result *Result
	// Finished: no event needs to be delivered any more.
	Finished bool
	// Hedged: the Tick's allowance was used.
	Hedged bool
	// Repairs counts owners that are being repaired after a read.
	Repairs int
}

// Candidate is an owner or a fallback, as the member that coordinates sees it.
type Candidate struct {
	ID ring.MemberID
	// Up is false if gossip says dead, or there is no connection. A member is
	// up for itself.
	Up bool
	// Latency orders the owners for reading: what answers lately took.
	Latency time.Duration
}

// View is what an op knows of the world when it begins.
type View struct {
	Self ring.MemberID
	// Owners in the order of their slots, as many as the bucket type's n.
	Owners []Candidate
	// Fallbacks in the order of the preference list. Without sloppy quorums they
	// are given hints, and nothing else.
	Fallbacks []Candidate
	Quorums   replica.Quorums
	// Copies are the members that hold one besides the owners, if n is all.
	Copies   []ring.MemberID
	Deadline time.Time
	// ReadAfter replaces an owner that has not answered for that long by the
	// next.
	ReadAfter time.Duration
	// SloppyAfter is how long a write waits for an owner before a fallback takes its
	// share.
	SloppyAfter time.Duration
	// HedgeAfter asks one more owner, if a Tick allows it. Zero is never.
	HedgeAfter time.Duration
	// SiblingsMax and ObjectBytesMax as in replica.Coordinate.
	SiblingsMax, ObjectBytesMax int
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

func unknown(needed, got int, maybe bool) *replica.Error {
	return &replica.Error{
		Kind: replica.KindUnknown, Message: "the deadline passed before enough owners answered: the outcome is unknown",
		Needed: needed, Got: got, MaybeApplied: maybe,
	}
}

func unavailable(needed, got int, maybe bool, last *replica.Error) *replica.Error {
	e := &replica.Error{
		Kind: replica.KindUnavailable, Message: "not enough owners",
		Needed: needed, Got: got, MaybeApplied: maybe,
	}
	if last != nil {
		e.Message += ": " + last.Error()
	}
	return e
}
