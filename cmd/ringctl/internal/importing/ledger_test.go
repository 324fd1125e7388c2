package importing

import (
	"slices"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// Whatever order items end in, a journal never says of one that it is done
// which isn't.
func TestLedgerNeverForgets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "items")
		order := rapid.Permutation(numbersTo(n)).Draw(t, "order")
		ended := order[:rapid.IntRange(0, n).Draw(t, "ended")]
		l := newLedger(nil)
		for i := range n {
			l.admit(int64(i+1), 10)
		}
		stored := make(map[int64]bool)
		for _, number := range ended {
			ok := rapid.Bool().Draw(t, "ok")
			l.finish(number, 10, ok)
			stored[number] = ok
		}
		s := l.snapshot()
		again := newLedger(&Journal{state: journalState{Through: s.through, Failed: s.failed}})
		ahead := 0
		for number := int64(1); number <= int64(n); number++ {
			if again.done(number) && !stored[number] {
				t.Fatalf("item %d of %d is said to be done, after %v", number, n, ended)
			}
			if stored[number] && !again.done(number) {
				ahead++
			}
		}
		if len(ended) == n && ahead > 0 {
			t.Fatalf("%d items would be done again after all ended", ahead)
		}
	})
}

func numbersTo(n int) []int64 {
	var all []int64
	for i := range n {
		all = append(all, int64(i+1))
	}
	return all
}

func TestLedgerHoldsBack(t *testing.T) {
	for name, c := range map[string]struct {
		number int64
		size   int
		free   func(*ledger)
	}{
		"bytes":         {2, bytesInFlightMax, func(l *ledger) { l.finish(1, 10, true) }},
		"bytes dropped": {2, bytesInFlightMax, func(l *ledger) { l.drop(10) }},
		"far ahead":     {aheadMax + 1, 10, func(l *ledger) { l.finish(1, 10, false) }},
		"closed":        {aheadMax + 1, 10, func(l *ledger) { l.close() }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLedger(nil)
				l.admit(1, 10)
				admitted := make(chan struct{})
				go func() {
					l.admit(c.number, c.size)
					close(admitted)
				}()
				synctest.Wait()
				select {
				case <-admitted:
					t.Fatal("it did not wait")
				default:
				}
				c.free(l)
				<-admitted
			})
		})
	}
}

func TestLedgerWithTooManyFailures(t *testing.T) {
	l := newLedger(nil)
	const n = journalFailuresMax + 100
	for number := int64(1); number <= n; number++ {
		l.admit(number, 1)
		l.finish(number, 1, false)
	}
	if s := l.snapshot(); len(s.failed) != journalFailuresMax || s.through != journalFailuresMax || !slices.IsSorted(s.failed) {
		t.Errorf("%d failures through %d are recorded", len(s.failed), s.through)
	}
}
