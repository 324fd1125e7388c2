package hosts

import (
	"testing"
	"time"

	"github.com/ringd/ringd/jepsen/internal/slowlink"
)

// TestSlow: a slow way is cut as any other is, two faults of one way add up, and each
// ends by itself.
func TestSlow(t *testing.T) {
	t.Parallel()
	n, h := newNetwork(t, 2)
	a, b := socket(t, h[0]), socket(t, h[1])
	there := OneWay(h[:1], h[1:])
	slow := func() *SlowFault {
		t.Helper()
		f, err := n.Slow(there, slowlink.Shape{Delay: 2 * silence})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	heal := func(f interface{ Heal() error }) {
		t.Helper()
		if err := f.Heal(); err != nil {
			t.Fatal(err)
		}
	}
	// late reports that what is sent arrives, but not before so long.
	late := func(least time.Duration) {
		t.Helper()
		began := time.Now()
		if arrive(t, a, b, 1, patience) != 1 {
			t.Error("a packet on a slow way did not arrive")
		}
		if took := time.Since(began); took < least {
			t.Errorf("a packet took %v, want %v or more", took, least)
		}
	}
	if !reaches(t, a, b, true) || !reaches(t, b, a, true) {
		t.Fatal("the hosts don't reach each other")
	}
	first := slow()
	late(2 * silence)
	second := slow()
	late(4 * silence)
	heal(first)
	late(2 * silence)

	cut, err := n.Cut(there)
	if err != nil {
		t.Fatal(err)
	}
	if arrive(t, a, b, 1, 4*silence) > 0 {
		t.Error("a packet came through a cut, by a slow way")
	}
	if !reaches(t, b, a, true) {
		t.Error("the other way is cut, too")
	}
	heal(cut)
	late(2 * silence)
	heal(second)
	if !reaches(t, a, b, true) {
		t.Error("a way that was healed is not fast again")
	}
}
