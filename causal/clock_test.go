package causal_test

import (
	"testing"
	"time"

	"github.com/ringd/ringd/causal"
	"pgregory.net/rapid"
)

const millisecond = causal.HLC(1 << 16)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestClockFollowsTheWallAndNeverGoesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h causal.HLC
		for range rapid.IntRange(1, 50).Draw(t, "events") {
			wall := noon.Add(time.Duration(rapid.IntRange(-1000, 1000).Draw(t, "wall")) * time.Millisecond)
			next := h.Next(wall)
			if next <= h || next.Time().Before(wall) {
				t.Fatalf("%v after %v at %v", next, h, wall)
			}
			if next != h+1 && !next.Time().Equal(wall) {
				t.Fatalf("%v is neither the wall's %v nor just after %v", next, wall, h)
			}
			h = next
		}
	})
}

func TestClockText(t *testing.T) {
	h := causal.HLC(0).Next(noon)
	if !h.Time().Equal(noon) || h.String() != "2026-11-21T12:00:00.000Z+0" {
		t.Errorf("%v at %v", h, noon)
	}
	if h = h.Next(noon).Next(noon.Add(-time.Hour)); h.String() != "2026-11-21T12:00:00.000Z+2" {
		t.Errorf("two events later: %v", h)
	}
}

func TestClockCarries(t *testing.T) {
	full := causal.HLC(0).Next(noon) + millisecond - 1
	if got := full.Next(noon); got != causal.HLC(0).Next(noon.Add(time.Millisecond)) {
		t.Errorf("after %v comes %v", full, got)
	}
}

func TestClockOutOfRange(t *testing.T) {
	if got := causal.HLC(0).Next(time.Unix(-5, 0)); got != 1 {
		t.Errorf("before 1970: %v", got)
	}
	if got := causal.HLC(0).Next(time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)); got>>16 != 1<<48-1 {
		t.Errorf("after the last millisecond: %v", got)
	}
}

func TestObserveTakesNoMoreThanTheSkewAllowed(t *testing.T) {
	const skew = 500 * time.Millisecond
	mine := causal.HLC(0).Next(noon)
	last := causal.HLC(0).Next(noon.Add(skew)) + millisecond - 1
	for name, c := range map[string]struct {
		remote, want causal.HLC
		refused      bool
	}{
		"older":         {mine - 5, mine, false},
		"ahead":         {mine + 7, mine + 7, false},
		"last allowed":  {last, last, false},
		"too far ahead": {last + 1, mine, true},
		"the very last": {1<<64 - 1, mine, true},
	} {
		got, err := mine.Observe(c.remote, noon, skew)
		if got != c.want || (err != nil) != c.refused {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if next := got.Next(noon); !c.refused && (next <= c.remote || next <= mine) {
			t.Errorf("%s: the next is %v", name, next)
		}
	}
}
