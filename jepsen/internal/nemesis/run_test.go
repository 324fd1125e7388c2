package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringd/ringd/jepsen/internal/cluster"
	"github.com/ringd/ringd/jepsen/internal/history"
)

// told is a Log that keeps what it is told.
type told struct {
	sync.Mutex
	begun, healed []history.Fault
	skipped       []string
}

func (l *told) Begun(f history.Fault) {
	l.Lock()
	defer l.Unlock()
	l.begun = append(l.begun, f)
}

func (l *told) Healed(f history.Fault) {
	l.Lock()
	defer l.Unlock()
	l.healed = append(l.healed, f)
}

func (l *told) Skipped(name string, why error) {
	l.Lock()
	defer l.Unlock()
	l.skipped = append(l.skipped, fmt.Sprintf("%s: %v", name, why))
}

// fake is a nemesis that takes a while to begin, and to heal.
func fake(name string, start, heal time.Duration, startErr, healErr error) *Nemesis {
	return &Nemesis{Name: name, Start: func(ctx context.Context, _ *cluster.Cluster, _ *rand.Rand) (*Active, error) {
		sleep(ctx, start)
		if startErr != nil {
			return nil, startErr
		}
		return &Active{Heal: func(ctx context.Context) error {
			sleep(ctx, heal)
			return errors.Join(ctx.Err(), healErr)
		}}, nil
	}}
}

// runFor runs nemeses in a time of its own, and returns how long that took.
func runFor(t *testing.T, total, until time.Duration, list ...*Nemesis) (*told, time.Duration, error) {
	t.Helper()
	log := &told{}
	var took time.Duration
	var err error
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		since := func() time.Duration { return time.Since(began) }
		ctx, cancel := context.WithTimeout(t.Context(), until)
		defer cancel()
		err = Run(ctx, nil, list, 1, total, since, log)
		took = since()
	})
	return log, took, err
}

func TestRunKeepsToSchedules(t *testing.T) {
	const total = time.Minute
	log, took, err := runFor(t, total, total, fake("a", 0, 0, nil, nil), fake("b", 0, 0, nil, nil))
	if err != nil || len(log.skipped) > 0 || took > total {
		t.Errorf("%v, %v, %v", err, log.skipped, took)
	}
	for _, name := range []string{"a", "b"} {
		var want, got []Step
		for _, s := range Schedule(1, name, total) {
			want = append(want, Step{At: s.At, For: s.For})
		}
		for _, f := range log.healed {
			if f.Name == name {
				got = append(got, Step{At: f.Begin, For: f.End - f.Begin})
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if len(log.begun) != len(log.healed) {
		t.Errorf("%d faults begin, %d end", len(log.begun), len(log.healed))
	}
}

// TestSlowFaultsAreHealed: what takes longer than its step pushes the others back,
// and nothing begins too late to be over in time.
func TestSlowFaultsAreHealed(t *testing.T) {
	const total = time.Minute
	for i := range 50 {
		name := fmt.Sprint(i)
		log, _, err := runFor(t, total, total, fake(name, 5*time.Second, 7*time.Second, nil, nil))
		if err != nil {
			t.Fatal(err)
		}
		end := -calmMin
		for _, f := range log.healed {
			if f.Begin < end+calmMin || f.Begin > total-tail {
				t.Errorf("%s: a fault begins at %v, after one that ended at %v", name, f.Begin, end)
			}
			end = f.End
		}
		if n := len(Schedule(1, name, total)); len(log.healed) < 2 || len(log.healed) > n {
			t.Errorf("%s: %d faults of %d in the schedule", name, len(log.healed), n)
		}
	}
}

func TestInterruptedRunIsHealed(t *testing.T) {
	const total = time.Minute
	first := Schedule(1, "a", total)[0]
	log, took, err := runFor(t, total, first.At+first.For/2, fake("a", 0, time.Second, nil, nil))
	if want := first.At + first.For/2 + time.Second; err != nil || len(log.healed) != 1 || took != want {
		t.Errorf("%v, %d faults healed, over after %v, want %v", err, len(log.healed), took, want)
	}
}

func TestFaultsThatGoWrong(t *testing.T) {
	const total = 30 * time.Second
	log, _, err := runFor(t, total, total,
		fake("nobody", 0, 0, ErrNobody, nil),
		fake("breach", 0, 0, fmt.Errorf("starting: %w", &Breach{Text: "it served"}), nil),
		fake("stuck", 0, 0, nil, errors.New("it does not come back")),
		fake("hangs", 0, time.Hour, nil, nil))
	if err == nil {
		t.Fatal("nothing is wrong")
	}
	for _, want := range []string{"breach: starting: it served", "stuck of []: it does not come back", "hangs of []: context deadline exceeded"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "nobody") || len(log.skipped) == 0 || !strings.HasPrefix(log.skipped[0], "nobody") {
		t.Errorf("skipped: %q; errors:\n%v", log.skipped, err)
	}
}
