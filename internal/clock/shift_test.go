//go:build clockshift

package clock

import (
	"context"
	"testing"
	"time"
)

// TestShift: the wall clock is shifted, and what elapses is not.
func TestShift(t *testing.T) {
	defer offset.Store(0)
	for _, by := range []time.Duration{0, time.Millisecond, -time.Minute, 36 * time.Hour, -24 * 365 * time.Hour} {
		offset.Store(0)
		before := Now()
		offset.Store(int64(by))
		after := Now()
		if d := after.Sub(before); d < 0 || d > time.Minute/2 {
			t.Errorf("shifted by %v: %v elapsed", by, d)
		}
		if d := after.UnixMilli() - before.UnixMilli() - by.Milliseconds(); d < -1 || d > 30_000 {
			t.Errorf("shifted by %v: the wall clock is %d ms off", by, d)
		}
		if d := time.Until(after.Add(time.Hour)); d < time.Hour-time.Minute/2 || d > time.Hour {
			t.Errorf("shifted by %v: an hour from then is in %v", by, d)
		}
		ctx, cancel := context.WithDeadline(context.Background(), after.Add(time.Hour))
		if ctx.Err() != nil {
			t.Errorf("shifted by %v: a deadline in an hour is over", by)
		}
		cancel()
	}
}
