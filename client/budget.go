package client

import "sync/atomic"

// budget bounds how many requests are sent twice to a share of all: each
// request earns the share, each hedge spends one. It may be shared by
// goroutines.
type budget struct {
	shareMilli int64
	milli      atomic.Int64 // invariant: 0 to hedgeBurst*1000
}

// hedgeBurst hedges may be made at once after a calm time: about what a client
// has in flight at one member when a single one of its partitions is slow.
const hedgeBurst = 16

func newBudget(share float64) *budget {
	b := &budget{shareMilli: int64(share * 1000)}
	if b.shareMilli > 0 {
		b.milli.Store(hedgeBurst * 1000)
	}
	return b
}

func (b *budget) earn() {
	for {
		have := b.milli.Load()
		next := min(have+b.shareMilli, hedgeBurst*1000)
		if next == have || b.milli.CompareAndSwap(have, next) {
			return
		}
	}
}

func (b *budget) spend() bool {
	for {
		have := b.milli.Load()
		if have < 1000 {
			return false
		}
		if b.milli.CompareAndSwap(have, have-1000) {
			return true
		}
	}
}
