package peer

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/ringd/ringd/internal/clock"
	"github.com/ringd/ringd/internal/peer/peerpb"
)

// frameSender is what streams of both directions have in common.
type frameSender interface {
	Send(*peerpb.Frame) error
}

// stallRate is what a frame may take beside Config.StallAfter: the slowest link
// that members are meant to be run over, in bytes per second.
const stallRate = 1 << 20

// epoch is before any frame. Times are counted from it, and not from 1970, because a wall
// clock that is set while a frame is being written would make it stalled, or never.
var epoch = clock.Now().Add(-time.Nanosecond)

// pump is the one writer of a stream.
type pump struct {
	stream   frameSender
	counters *counters
	wire     uint32 // the version that is spoken
	// take appends what waits, up to a frame's worth, to its argument.
	take func([]item) []item
	// reject takes back an item that can't be encoded.
	reject func(item, error)

	// began is when the frame that is being written was handed over, in nanoseconds
	// since epoch; 0 if none is. bytes is its size.
	began, bytes atomic.Int64

	items []item
	frame peerpb.Frame
	slots []*peerpb.Envelope // reused: gRPC has encoded a frame when Send returns
}

// run writes what waits whenever wake says so, until ctx ends or the stream
// breaks.
func (p *pump) run(ctx context.Context, wake <-chan struct{}) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-wake:
		}
		for {
			// Lets those that are about to queue something do so: a frame of sixteen
			// messages costs little more than one of one.
			runtime.Gosched()
			p.items = p.take(p.items[:0])
			if len(p.items) == 0 {
				break
			}
			if err := p.write(clock.Now()); err != nil {
				return err
			}
		}
	}
}

func (p *pump) write(now time.Time) error {
	n, bytes := 0, 0
	for i := range p.items {
		it := &p.items[i]
		if n == len(p.slots) {
			p.slots = append(p.slots, new(peerpb.Envelope))
		}
		err := checkWire(&it.env, p.wire)
		if err == nil {
			err = encode(p.slots[n], &it.env, it.id, now)
		}
		if err != nil {
			p.reject(*it, err)
			continue
		}
		n++
		bytes += it.bytes
	}
	clear(p.items)
	if n == 0 {
		return nil
	}
	p.frame.Envelopes = p.slots[:n]
	p.bytes.Store(int64(bytes))
	p.began.Store(int64(now.Sub(epoch)))
	err := p.stream.Send(&p.frame)
	p.began.Store(0)
	for _, slot := range p.slots[:n] {
		slot.Message = nil // it holds on to values
	}
	if err == nil {
		p.counters.framesSent.Add(1)
		p.counters.messagesSent.Add(uint64(n))
		p.counters.bytesSent.Add(uint64(bytes))
	}
	return err
}

// stalled reports whether the peer has not taken a frame in time.
func (p *pump) stalled(now time.Time, after time.Duration) bool {
	began := p.began.Load()
	if began == 0 {
		return false
	}
	allowed := after + time.Duration(p.bytes.Load())*(time.Second/stallRate)
	return now.Sub(epoch)-time.Duration(began) > allowed
}
