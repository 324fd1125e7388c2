package member

import (
	"math"
	"sync"
	"time"

	"github.com/ringd/ringd/ring"
)

// latencies keeps, for each peer, what its answers took lately.
type latencies struct {
	mu struct {
		sync.Mutex
		peers map[ring.MemberID]*latency
	}
}

type latency struct {
	mean time.Duration // moving average of all answers
	p95  time.Duration // estimate of the 95th percentile of reads
	seen time.Time     // last observation
}

const (
	// lostLatency is what an answer that did not come counts as.
	lostLatency = time.Second
	// halfLife of a mean that nothing was added to: a peer that was slow is
	// tried again.
	halfLife = time.Second
)

// Shares of a new observation. The percentile moves up 19 times as far as down,
// so that it rests where one in twenty lies above (stochastic approximation,
// Robbins and Monro 1951).
const (
	meanShare = 0.05
	p95Step   = 0.01
)

func newLatencies() *latencies {
	l := new(latencies)
	l.mu.peers = make(map[ring.MemberID]*latency)
	return l
}

// observe adds what an answer of id took; answered is false if none came.
func (l *latencies) observe(now time.Time, id ring.MemberID, took time.Duration, read, answered bool) {
	if !answered {
		took = max(took, lostLatency)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p, ok := l.mu.peers[id]
	if !ok {
		p = &latency{mean: took}
		l.mu.peers[id] = p
	}
	p.mean += time.Duration(meanShare * float64(took-p.mean))
	p.seen = now
	if !read {
		return
	}
	if p.p95 == 0 {
		p.p95 = 2 * took
	}
	step := p95Step * float64(p.p95)
	if took > p.p95 {
		p.p95 += time.Duration(19 * step)
	} else {
		p.p95 -= time.Duration(step)
	}
}

// of returns what is known of id; zero if nothing is.
func (l *latencies) of(now time.Time, id ring.MemberID) latency {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, ok := l.mu.peers[id]
	if !ok {
		return latency{}
	}
	known := *p
	if idle := now.Sub(p.seen); idle > halfLife {
		known.mean = time.Duration(float64(known.mean) * math.Exp2(-float64(idle)/float64(halfLife)))
	}
	return known
}

// allowance caps hedged reads at a share of all reads.
type allowance struct {
	share float64 // earned by each read
	most  float64
	mu    struct {
		sync.Mutex
		left float64
	}
}

func (a *allowance) earn() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.left = min(a.most, a.mu.left+a.share)
}

func (a *allowance) has() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.mu.left >= 1
}

func (a *allowance) take() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.left--
}
