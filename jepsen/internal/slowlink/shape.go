package slowlink

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// queueBytesMax bounds what waits for its turn at a limited rate, as a router's
// queue does: what comes on top is lost. It holds some large segments.
const queueBytesMax = 1 << 20

// Shape is what becomes of packets on their way. The zero Shape changes nothing.
type Shape struct {
	// Delay of each, and up to Jitter more. They stay in order.
	Delay, Jitter time.Duration
	// Loss, Duplicate and Reorder are shares, from 0 to 1. A packet that is reordered
	// has no delay, so that it overtakes others: without a Delay there is nothing to overtake.
	Loss, Duplicate, Reorder float64
	// BytesPerSecond is the rate; 0 is no limit.
	BytesPerSecond int64
}

// Validate says what is wrong with the shape.
func (s Shape) Validate() error {
	if s.Delay < 0 || s.Jitter < 0 {
		return errors.New("slowlink: a delay can't be negative")
	}
	for name, share := range map[string]float64{"loss": s.Loss, "duplicate": s.Duplicate, "reorder": s.Reorder} {
		if share < 0 || share > 1 {
			return fmt.Errorf("slowlink: the share %s is %v, and has to be between 0 and 1", name, share)
		}
	}
	switch {
	case s.BytesPerSecond < 0:
		return errors.New("slowlink: a rate can't be negative; 0 is no limit")
	case s.Reorder > 0 && s.Delay == 0:
		return errors.New("slowlink: reordering needs a delay, which what overtakes does not have")
	}
	return nil
}

// And is what becomes of packets whose way has both shapes.
func (s Shape) And(o Shape) Shape {
	both := Shape{
		Delay: s.Delay + o.Delay, Jitter: s.Jitter + o.Jitter,
		Loss:           either(s.Loss, o.Loss),
		Duplicate:      either(s.Duplicate, o.Duplicate),
		Reorder:        either(s.Reorder, o.Reorder),
		BytesPerSecond: max(s.BytesPerSecond, o.BytesPerSecond),
	}
	if s.BytesPerSecond > 0 && o.BytesPerSecond > 0 {
		both.BytesPerSecond = min(s.BytesPerSecond, o.BytesPerSecond)
	}
	return both
}

// either is the probability of one or the other, which know nothing of each other.
func either(p, q float64) float64 { return p + q - p*q }

// way is one direction between two hosts. It is not safe for use by several
// goroutines.
type way struct {
	shape Shape
	free  time.Time // when all that came before has gone out, at the rate
	last  time.Time // when the last that was not reordered arrives
}

// deliver returns when a packet of so many bytes arrives: never, once or twice.
func (w *way) deliver(now time.Time, bytes int, random *rand.Rand) []time.Time {
	s := w.shape
	if s.Loss > 0 && random.Float64() < s.Loss {
		return nil
	}
	at := now
	if s.BytesPerSecond > 0 {
		if w.free.Before(now) {
			w.free = now
		}
		waiting := w.free.Sub(now).Seconds() * float64(s.BytesPerSecond)
		if waiting > queueBytesMax {
			return nil
		}
		w.free = w.free.Add(time.Duration(float64(bytes) / float64(s.BytesPerSecond) * float64(time.Second)))
		at = w.free
	}
	if s.Reorder == 0 || random.Float64() >= s.Reorder {
		at = at.Add(s.Delay)
		if s.Jitter > 0 {
			at = at.Add(time.Duration(random.Int64N(int64(s.Jitter))))
		}
		if at.Before(w.last) {
			at = w.last
		}
		w.last = at
	}
	if s.Duplicate > 0 && random.Float64() < s.Duplicate {
		return []time.Time{at, at}
	}
	return []time.Time{at}
}
