package slowlink

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestDeliver: when packets arrive that leave a millisecond after each other.
func TestDeliver(t *testing.T) {
	const packets, bytes = 2000, 1000
	for _, c := range []struct {
		name  string
		shape Shape
		// of all that arrive
		delayMin, delayMax time.Duration
		lost, twice        float64 // shares, give or take a twentieth
		inOrder            bool
	}{
		{"nothing", Shape{}, 0, 0, 0, 0, true},
		{"delay", Shape{Delay: 40 * time.Millisecond}, 40 * time.Millisecond, 40 * time.Millisecond, 0, 0, true},
		{"jitter", Shape{Delay: 10 * time.Millisecond, Jitter: 30 * time.Millisecond}, 10 * time.Millisecond, 40 * time.Millisecond, 0, 0, true},
		{"loss", Shape{Loss: 0.3}, 0, 0, 0.3, 0, true},
		{"all lost", Shape{Loss: 1}, 0, 0, 1, 0, true},
		{"duplicate", Shape{Duplicate: 0.3}, 0, 0, 0, 0.3, true},
		{"reorder", Shape{Delay: 5 * time.Millisecond, Reorder: 0.2}, 0, 5 * time.Millisecond, 0, 0, false},
		{"rate that suffices", Shape{BytesPerSecond: 2e6}, 500 * time.Microsecond, 500 * time.Microsecond, 0, 0, true},
		// Half of it passes, and before that the queue fills.
		{"rate that does not", Shape{BytesPerSecond: 5e5}, 2 * time.Millisecond, 2*time.Millisecond + queueBytesMax*time.Second/5e5, 0, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			w := &way{shape: c.shape}
			now := time.Unix(1000, 0)
			var last time.Time
			lost, twice, late := 0, 0, 0
			for range packets {
				now = now.Add(time.Millisecond)
				times := w.deliver(now, bytes, random)
				switch len(times) {
				case 0:
					lost++
				case 2:
					twice++
				}
				for _, at := range times {
					if d := at.Sub(now); d < c.delayMin || d > c.delayMax {
						t.Fatalf("a delay of %v, want from %v to %v", d, c.delayMin, c.delayMax)
					}
					if at.Before(last) {
						late++
					}
					last = at
				}
			}
			if got := float64(lost) / packets; got < c.lost-0.05 || got > c.lost+0.05 {
				t.Errorf("%v are lost, want %v", got, c.lost)
			}
			if got := float64(twice) / packets; got < c.twice-0.05 || got > c.twice+0.05 {
				t.Errorf("%v come twice, want %v", got, c.twice)
			}
			if (late == 0) != c.inOrder {
				t.Errorf("%d arrive before one that left earlier, and in order should be %v", late, c.inOrder)
			}
		})
	}
}

// TestFullQueue: what does not fit into the queue of a limited rate is lost, and the
// rest comes out at that rate.
func TestFullQueue(t *testing.T) {
	const rate, bytes, packets = 1_000_000, 1000, 5000
	random := rand.New(rand.NewPCG(1, 2))
	w := &way{shape: Shape{BytesPerSecond: rate}}
	now := time.Unix(1000, 0)
	var arrived int
	var last time.Time
	for range packets { // all at once
		for _, at := range w.deliver(now, bytes, random) {
			arrived++
			last = at
		}
	}
	if want := queueBytesMax/bytes + 2; arrived < want-2 || arrived > want {
		t.Errorf("%d arrived, want the %d that the queue holds", arrived, want)
	}
	if took := last.Sub(now).Seconds() * rate / bytes; int(took+0.5) != arrived {
		t.Errorf("%d arrived in the time of %v", arrived, took)
	}
}

func TestAnd(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct{ a, b, want Shape }{
		{Shape{}, Shape{}, Shape{}},
		{Shape{Delay: ms, Jitter: 2 * ms}, Shape{Delay: 3 * ms, Jitter: 4 * ms}, Shape{Delay: 4 * ms, Jitter: 6 * ms}},
		{Shape{Loss: 0.5, Duplicate: 1}, Shape{Loss: 0.5}, Shape{Loss: 0.75, Duplicate: 1}},
		{Shape{Delay: ms, Reorder: 0.25}, Shape{}, Shape{Delay: ms, Reorder: 0.25}},
		{Shape{BytesPerSecond: 10}, Shape{}, Shape{BytesPerSecond: 10}},
		{Shape{BytesPerSecond: 10}, Shape{BytesPerSecond: 20}, Shape{BytesPerSecond: 10}},
	} {
		if got := c.a.And(c.b); got != c.want {
			t.Errorf("%+v and %+v: %+v", c.a, c.b, got)
		}
		if got := c.b.And(c.a); got != c.want {
			t.Errorf("%+v and %+v: %+v", c.b, c.a, got)
		}
	}
}

func TestShapesRefused(t *testing.T) {
	for _, bad := range []Shape{
		{Delay: -1}, {Jitter: -1}, {Loss: 1.1}, {Loss: -0.1}, {Duplicate: 2}, {BytesPerSecond: -1}, {Reorder: 0.5},
	} {
		if bad.Validate() == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}
