package replica

import "time"

// Return says what a write answers beside its context.
type Return uint8

// What a write may answer.
const (
	ReturnNothing Return = iota
	ReturnHead           // the object without values
	ReturnBody           // the object as it is after the write
)

// Tri is a choice that may be left to the bucket type.
type Tri uint8

// The three choices.
const (
	Default Tri = iota
	On
	Off
)

func (t Tri) or(def bool) bool {
	if t == Default {
		return def
	}
	return t == On
}

// Options are what a request may say about replicas; zero values leave it to
// the bucket type.
type Options struct {
	R, W, PR, PW, DW Count
	Sloppy           Tri
	RepairBlocking   Tri
	Timeout          time.Duration
}

// Quorums are a request's options once resolved: plain numbers.
// Invariant: 1 <= R,W <= N; 0 <= PR,PW,DW <= N; R >= PR; W >= PW, DW.
type Quorums struct {
	N, R, W, PR, PW, DW int
	Sloppy              bool
	RepairBlocking      bool
	LastWriteWins       bool
	Everywhere          bool // n is all, and N the number of owners
	Timeout             time.Duration
}

// Resolve applies the bucket type's defaults to o and checks the result. The
// error is of kind Invalid and names the field. As in Riak, r below pr, and w
// below pw or dw, are raised to them.
func Resolve(t BucketType, o Options) (Quorums, error) {
	q := Quorums{
		N:              t.N,
		Sloppy:         o.Sloppy.or(!t.Strict),
		RepairBlocking: o.RepairBlocking.or(t.RepairBlocking),
		LastWriteWins:  t.LastWriteWins,
		Everywhere:     t.Everywhere,
		Timeout:        o.Timeout,
	}
	if q.Timeout == 0 {
		q.Timeout = t.Time
	}
	if q.Timeout < 0 {
		return Quorums{}, Invalid("timeout", "the timeout is %v: it has to be above 0", q.Timeout)
	}
	for _, f := range []struct {
		name      string
		asked     Count
		byDefault Count
		least     int
		to        *int
	}{
		{"r", o.R, t.R, 1, &q.R},
		{"w", o.W, t.W, 1, &q.W},
		{"pr", o.PR, t.PR, 0, &q.PR},
		{"pw", o.PW, t.PW, 0, &q.PW},
		{"dw", o.DW, t.DW, 0, &q.DW},
	} {
		c := f.asked
		if c == Unset {
			c = f.byDefault
		}
		got := c.Resolve(t.N)
		if c == Unset || got < f.least || got > t.N {
			return Quorums{}, Invalid(f.name, "%s is %v, and bucket type %q has n=%d: use %d to %d, quorum or all", f.name, c, t.Name, t.N, f.least, t.N)
		}
		*f.to = got
	}
	// dw is a default of its own: one that the request did not ask for does not
	// raise the w that it did ask for.
	if o.DW == Unset && o.W != Unset && q.DW > q.W {
		q.DW = q.W
	}
	q.R = max(q.R, q.PR)
	q.W = max(q.W, q.PW, q.DW)
	return q, nil
}
