package peer

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ringd/ringd/ring"
)

// counters of one peer, both directions.
type counters struct {
	framesSent, framesReceived     atomic.Uint64
	messagesSent, messagesReceived atomic.Uint64
	bytesSent, bytesReceived       atomic.Uint64
	stalls, connects, queueFull    atomic.Uint64
	incoming                       atomic.Int64
}

// received counts a frame.
func (c *counters) received(messages, bytes int) {
	c.framesReceived.Add(1)
	c.messagesReceived.Add(uint64(messages))
	c.bytesReceived.Add(uint64(bytes))
}

// Stats is a snapshot of what a Transport knows of one peer.
type Stats struct {
	Peer ring.MemberID
	// Connected counts the streams to the peer that are up, of Config.Streams,
	// Incoming those from it, the one for bulk included.
	Connected, Incoming int
	// Bulk: the stream for bulk to the peer is up.
	Bulk bool
	// Queued requests wait to be written, QueuedBytes in all; InFlight wait for
	// their answer.
	Queued, QueuedBytes, InFlight int
	// RTT is the moving average of the time from sending a request to its
	// answer, over the streams but for bulk; 0 as long as there was none.
	RTT time.Duration
	// Problem says why the peer is not connected, or turned away when it dials;
	// empty if all is well.
	Problem string
	// What the peer said of itself when it was last met.
	WireVersion  uint32
	Capabilities []string
	Epoch        ring.Epoch
	StartCount   uint64
	// Stalls counts streams given up because the peer did not read, Connects
	// those that came up, QueueFull the requests refused.
	Stalls, Connects, QueueFull uint64
	// Frames and messages of both kinds, requests and answers; bytes as
	// estimated before encoding.
	FramesSent, FramesReceived     uint64
	MessagesSent, MessagesReceived uint64
	BytesSent, BytesReceived       uint64
}

// Stats returns a snapshot for each peer that this member has, or had, to do
// with since its start, by id.
func (t *Transport) Stats() []Stats {
	t.mu.RLock()
	links := slices.Collect(maps.Values(t.mu.links))
	t.mu.RUnlock()
	out := make([]Stats, 0, len(links))
	for _, l := range links {
		out = append(out, l.stats())
	}
	slices.SortFunc(out, func(a, b Stats) int { return a.Peer.Compare(b.Peer) })
	return out
}

func (l *link) stats() Stats {
	c := &l.counters
	s := Stats{
		Peer: l.id, Incoming: int(c.incoming.Load()), StartCount: l.t.LastStart(l.id),
		Stalls: c.stalls.Load(), Connects: c.connects.Load(), QueueFull: c.queueFull.Load(),
		FramesSent: c.framesSent.Load(), FramesReceived: c.framesReceived.Load(),
		MessagesSent: c.messagesSent.Load(), MessagesReceived: c.messagesReceived.Load(),
		BytesSent: c.bytesSent.Load(), BytesReceived: c.bytesReceived.Load(),
	}
	l.mu.Lock()
	if s.Problem = l.mu.problem; s.Problem == "" {
		s.Problem = l.t.turned.reason(l.id)
	}
	s.WireVersion, s.Capabilities, s.Epoch = l.mu.hello.wire, l.mu.hello.capabilities, l.mu.hello.epoch
	l.mu.Unlock()
	measured := 0
	for _, ln := range l.lanes {
		ln.mu.Lock()
		switch {
		case ln.mu.state != laneUp:
		case ln == l.bulk:
			s.Bulk = true
		default:
			s.Connected++
		}
		s.Queued += ln.mu.queue.len()
		s.QueuedBytes += ln.mu.queue.bytes
		s.InFlight += len(ln.mu.flight)
		if ln.mu.rtt > 0 && ln != l.bulk {
			s.RTT += ln.mu.rtt
			measured++
		}
		ln.mu.Unlock()
	}
	if measured > 0 {
		s.RTT /= time.Duration(measured)
	}
	return s
}
