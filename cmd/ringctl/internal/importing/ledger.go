package importing

import (
	"maps"
	"slices"
	"sync"
)

// ledger knows which items are done, and holds the reader back while too much
// is in flight. Items are numbered without gaps, but for those that a former
// run is done with.
type ledger struct {
	mu struct {
		sync.Mutex
		// through: all items up to it are done. Invariant: through+1 is not in
		// ahead.
		through int64
		ahead   map[int64]struct{}
		failed  map[int64]struct{}
		// frozen is what snapshot answers once failed got too large.
		frozen *snapshot
		bytes  int
		closed bool
	}
	room *sync.Cond
}

// snapshot is what a journal records.
type snapshot struct {
	through int64
	failed  []int64
}

func newLedger(j *Journal) *ledger {
	l := &ledger{}
	l.room = sync.NewCond(&l.mu)
	l.mu.ahead = make(map[int64]struct{})
	l.mu.failed = make(map[int64]struct{})
	if j != nil {
		l.mu.through = j.state.Through
		for _, n := range j.state.Failed {
			l.mu.failed[n] = struct{}{}
		}
	}
	return l
}

// done reports whether a former run stored item number.
func (l *ledger) done(number int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, failed := l.mu.failed[number]
	return number <= l.mu.through && !failed
}

// admit waits until an item of that size may be on its way, or the ledger is
// closed. Its caller calls finish or drop for it later.
func (l *ledger) admit(number int64, size int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.mu.closed && (l.mu.bytes > 0 && l.mu.bytes+size > bytesInFlightMax || number > l.mu.through+aheadMax) {
		l.room.Wait()
	}
	l.mu.bytes += size
}

// finish says that item number was stored, or failed for good.
func (l *ledger) finish(number int64, size int, stored bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.bytes -= size
	if stored {
		delete(l.mu.failed, number)
	} else {
		if len(l.mu.failed) >= journalFailuresMax && l.mu.frozen == nil {
			s := l.snapshotLocked()
			l.mu.frozen = &s
		}
		l.mu.failed[number] = struct{}{}
	}
	if number > l.mu.through {
		l.mu.ahead[number] = struct{}{}
	}
	for {
		if _, ok := l.mu.ahead[l.mu.through+1]; !ok {
			break
		}
		l.mu.through++
		delete(l.mu.ahead, l.mu.through)
	}
	l.room.Broadcast()
}

// drop says that nobody works on an admitted item any more, and that it is not
// done. All items behind it stay ahead.
func (l *ledger) drop(size int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.bytes -= size
	l.room.Broadcast()
}

// close lets admit no longer wait.
func (l *ledger) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.closed = true
	l.room.Broadcast()
}

func (l *ledger) snapshot() snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.frozen != nil {
		return *l.mu.frozen
	}
	return l.snapshotLocked()
}

// snapshotLocked leaves out failures ahead of through: those are tried again
// anyway.
func (l *ledger) snapshotLocked() snapshot {
	failed := slices.Sorted(maps.Keys(l.mu.failed))
	n, _ := slices.BinarySearch(failed, l.mu.through+1)
	return snapshot{l.mu.through, failed[:n]}
}
