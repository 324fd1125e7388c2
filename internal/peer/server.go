package peer

import (
	"errors"
	"maps"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/ringd/ringd/internal/peer/peerpb"
	"github.com/ringd/ringd/ring"
)

// server is the service that peers reach.
type server struct {
	peerpb.UnimplementedPeerServer
	t *Transport
}

// Reasons for ending what a peer dialed.
var (
	errNotServing = errors.New("the member does not serve its peers yet")
	errNotReading = errors.New("the member does not read its answers")
	errNoHello    = errors.New("no hello in time")
)

// Exchange implements peerpb.PeerServer: it watches over the two goroutines of
// the stream, and its return breaks the stream.
func (s *server) Exchange(stream grpc.BidiStreamingServer[peerpb.Frame, peerpb.Frame]) error {
	t := s.t
	if !t.enter() {
		return toStatus(ErrClosed)
	}
	defer t.running.Done()
	handler := t.handler.Load()
	if handler == nil {
		return toStatus(errNotServing)
	}
	in := newIncoming(t, *handler, stream)
	if !t.spawn(func() {
		in.end(in.receive())
		in.leave()
	}) {
		return toStatus(ErrClosed)
	}
	timer := time.NewTimer(t.config.DialTimeout)
	defer timer.Stop()
	select {
	case <-in.greeted:
	case <-timer.C:
		in.end(errNoHello)
	case <-in.ended:
	case <-t.ctx.Done():
		in.end(ErrClosed)
	}
	return toStatus(in.watch())
}

// turnedMax bounds the dialers that were turned away and are remembered.
const turnedMax = 256

// turned remembers why dialers were turned away, to say it once.
type turned struct {
	mu struct {
		sync.Mutex
		last map[ring.MemberID]string
	}
}

// note reports whether the reason is another than the last.
func (d *turned) note(id ring.MemberID, reason string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.last[id] == reason {
		return false
	}
	if d.mu.last == nil || len(d.mu.last) >= turnedMax {
		d.mu.last = make(map[ring.MemberID]string)
	}
	d.mu.last[id] = reason
	return true
}

func (d *turned) forget(id ring.MemberID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.mu.last, id)
}

func (d *turned) reason(id ring.MemberID) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.last[id]
}

// Refused returns why members that dialed this one were turned away, those of
// other clusters included, as far as they are remembered.
func (t *Transport) Refused() map[ring.MemberID]string {
	t.turned.mu.Lock()
	defer t.turned.mu.Unlock()
	return maps.Clone(t.turned.mu.last)
}

// turnAway logs a refusal once per change.
func (t *Transport) turnAway(id ring.MemberID, err error) {
	if errors.Is(err, ErrRefused) && t.turned.note(id, err.Error()) {
		t.config.Logger.Warn("turned a peer away", "peer", id, "error", err)
	}
}
