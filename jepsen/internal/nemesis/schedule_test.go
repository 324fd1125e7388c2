package nemesis

import (
	"slices"
	"testing"
	"time"
)

func TestScheduleIsDecidedBySeed(t *testing.T) {
	const total = 10 * time.Minute
	one, again := Schedule(1, "kill", total), Schedule(1, "kill", total)
	if !slices.Equal(one, again) {
		t.Errorf("the same seed gives\n%v\n%v", one, again)
	}
	if slices.Equal(one, Schedule(2, "kill", total)) {
		t.Error("another seed gives the same schedule")
	}
	if slices.Equal(one, Schedule(1, "pause", total)) {
		t.Error("another nemesis of a mix has the same schedule: they don't meet by chance")
	}
	// A longer run begins like a shorter one.
	if short := Schedule(1, "kill", total/2); !slices.Equal(short, one[:len(short)]) || len(short) == 0 {
		t.Errorf("half the time gives\n%v, not the first of\n%v", short, one)
	}
}

func TestScheduleAlternatesFaultsAndCalm(t *testing.T) {
	for seed := range uint64(200) {
		for _, total := range []time.Duration{atLeast, 10 * time.Second, time.Minute, 5 * time.Minute} {
			steps := Schedule(seed, "kill", total)
			if len(steps) == 0 {
				t.Fatalf("seed %d: nothing is broken in %v", seed, total)
			}
			calmSince := time.Duration(0)
			for i, s := range steps {
				calm := s.At - calmSince
				if calm <= 0 || calm > calmMax {
					t.Errorf("seed %d, %v: calm for %v before step %d", seed, total, calm, i)
				}
				if s.For <= 0 || s.For > holdMax {
					t.Errorf("seed %d, %v: step %d lasts %v", seed, total, i, s.For)
				}
				calmSince = s.At + s.For
			}
			if calmSince > total-tail {
				t.Errorf("seed %d: of %v the last fault is over after %v, later than %v before the end", seed, total, calmSince, tail)
			}
		}
	}
	if steps := Schedule(1, "kill", atLeast-1); len(steps) > 0 {
		t.Errorf("a run of %v has no room for %v", atLeast-1, steps)
	}
}
