package slowlink

import (
	"container/heap"
	"sync"
	"time"
)

// packetsMax bounds the packets on their way: some hundred megabytes at most. What
// comes on top is lost.
const packetsMax = 1 << 16

// parcel is a packet on its way.
type parcel struct {
	at    time.Time
	order uint64 // among those of one time
	out   func() // sends it
}

// queue sends parcels when their time has come. Its run has to be run by one goroutine.
type queue struct {
	wake chan struct{} // has one if there is an earlier parcel than before

	mu struct {
		sync.Mutex
		parcels parcels
		order   uint64
	}
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

func (q *queue) add(at time.Time, out func()) {
	q.mu.Lock()
	if len(q.mu.parcels) >= packetsMax {
		q.mu.Unlock()
		return
	}
	q.mu.order++
	p := parcel{at, q.mu.order, out}
	heap.Push(&q.mu.parcels, p)
	first := q.mu.parcels[0].order == p.order
	q.mu.Unlock()
	if first {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
}

// due takes out the parcel whose time has come, or says how long until the next one's.
func (q *queue) due(now time.Time) (p parcel, ok bool, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.mu.parcels) == 0 {
		return parcel{}, false, time.Hour
	}
	if wait := q.mu.parcels[0].at.Sub(now); wait > 0 {
		return parcel{}, false, wait
	}
	return heap.Pop(&q.mu.parcels).(parcel), true, 0
}

// run sends until closing is closed. What is on its way then is lost.
func (q *queue) run(closing <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		p, ok, wait := q.due(time.Now())
		if ok {
			p.out()
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-q.wake:
		case <-closing:
			return
		}
	}
}

// parcels is a heap by time.
type parcels []parcel

func (p parcels) Len() int { return len(p) }
func (p parcels) Less(i, j int) bool {
	if p[i].at.Equal(p[j].at) {
		return p[i].order < p[j].order
	}
	return p[i].at.Before(p[j].at)
}
func (p parcels) Swap(i, j int) { p[i], p[j] = p[j], p[i] }

// Push implements heap.Interface.
func (p *parcels) Push(x any) { *p = append(*p, x.(parcel)) }

// Pop implements heap.Interface.
func (p *parcels) Pop() any {
	last := len(*p) - 1
	x := (*p)[last]
	(*p)[last] = parcel{}
	*p = (*p)[:last]
	return x
}
