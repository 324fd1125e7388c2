package pebblestore

import (
	"sync"
	"sync/atomic"
)

// gate lets calls in until it is closed, and knows when the last one has left:
// Pebble panics if it is used after it was closed. Unlike a RWMutex it lets a
// call make another (a scan's yield that reads) while somebody waits to close.
type gate struct {
	// state is the number of calls inside, and shut once closed.
	state   atomic.Int64
	empty   sync.Once
	drained chan struct{}
}

const shut = 1 << 62

func newGate() *gate { return &gate{drained: make(chan struct{})} }

// enter reports whether the call may go on. If so, it has to leave.
func (g *gate) enter() bool {
	if g.state.Add(1)&shut == 0 {
		return true
	}
	g.leave()
	return false
}

func (g *gate) leave() {
	if g.state.Add(-1) == shut {
		g.empty.Do(func() { close(g.drained) })
	}
}

// close lets nobody in any more and waits for those inside.
func (g *gate) close() {
	if g.state.Or(shut) == 0 {
		g.empty.Do(func() { close(g.drained) })
	}
	<-g.drained
}
