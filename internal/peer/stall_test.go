package peer

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/ringd/ringd/internal/peer/peerpb"
	"github.com/ringd/ringd/replica"
)

// silentServer accepts connections and never says a word.
func silentServer(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
		for _, c := range conns {
			c.Close()
		}
	})
	return l.Addr().String()
}

// deaf is a member that says hello and then reads nothing, until it is healed:
// then the streams end that it does not read.
type deaf struct {
	peerpb.UnimplementedPeerServer
	hello  func() *peerpb.Hello
	inner  peerpb.PeerServer
	healed chan struct{}
}

func (d *deaf) Exchange(stream grpc.BidiStreamingServer[peerpb.Frame, peerpb.Frame]) error {
	select {
	case <-d.healed:
		return d.inner.Exchange(stream)
	default:
	}
	if _, err := stream.Recv(); err != nil {
		return err
	}
	if err := stream.Send(&peerpb.Frame{Hello: d.hello()}); err != nil {
		return err
	}
	select {
	case <-d.healed:
	case <-stream.Context().Done():
	}
	return nil
}

// A peer that stops reading costs a bounded number of requests, which end as
// broken or unsent, and is met again when it is well.
func TestPeerThatStopsReading(t *testing.T) {
	var n network
	b := startMember(t, &n, 2, echo{}, nil)
	d := &deaf{inner: &server{t: b.Transport}, hello: func() *peerpb.Hello { return b.ownHello(id(1)) }, healed: make(chan struct{})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(b.config.ServerOptions()...)
	peerpb.RegisterPeerServer(s, d)
	served := make(chan struct{})
	go func() { defer close(served); s.Serve(l) }()
	defer func() { s.Stop(); <-served }()
	n.set(id(2), l.Addr().String())

	a := startMember(t, &n, 1, echo{}, func(c *Config) {
		c.Streams, c.StallAfter = 1, 50*time.Millisecond
		c.FrameBytes = 1 << 10 // whose transfer is allowed no time to speak of
	})
	eventually(t, "connected", func() bool { return a.Connected(id(2)) })
	// More than the windows and buffers between the two take in.
	const requests = 1000
	outcomes := make(chan error, 2*requests)
	for range requests {
		a.Send(replica.Envelope{To: id(2), Message: store(10_000)}, func(_ replica.Envelope, err error) { outcomes <- err })
	}
	broken, unsent := 0, 0
	late := time.After(patience)
	for range requests {
		var err error
		select {
		case err = <-outcomes:
		case <-late:
			t.Fatal("requests are held for ever")
		}
		switch {
		case errors.Is(err, ErrBroken) && MayHaveArrived(err):
			broken++
		case errors.Is(err, ErrUnreachable) && !MayHaveArrived(err):
			unsent++
		default:
			t.Fatalf("outcome: %v", err)
		}
	}
	if broken == 0 || unsent == 0 {
		t.Errorf("%d broken, %d unsent", broken, unsent)
	}
	if s := a.statsOf(2); s.Stalls == 0 {
		t.Errorf("stats: %+v", s)
	}
	close(d.healed)
	eventually(t, "an answer after it was healed", func() bool {
		return get(t, a.ask(2, 0, store(1), time.Time{})).err == nil
	})
	if len(outcomes) != 0 {
		t.Error("a request had two outcomes")
	}
}

// rawExchange speaks the protocol to a member without a Transport.
func rawExchange(t *testing.T, m *member, from, to byte, start uint64) grpc.BidiStreamingClient[peerpb.Frame, peerpb.Frame] {
	t.Helper()
	conn, err := m.config.connTo(m.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	stream, err := peerpb.NewPeerClient(conn).Exchange(ctx)
	if err != nil {
		t.Fatal(err)
	}
	self, other := id(from), id(to)
	hello := &peerpb.Hello{ClusterId: "c1", Member: self[:], To: other[:], StartCount: start, WireMin: 1, WireMax: 1}
	if err := stream.Send(&peerpb.Frame{Hello: hello}); err != nil {
		t.Fatal(err)
	}
	return stream
}

// A peer that asks and does not read its answers is cut off, and the handler is
// never held up by it.
func TestPeerThatDoesNotReadAnswers(t *testing.T) {
	var n network
	var received atomic.Int64
	b := startMember(t, &n, 2, echo{answer: func(replica.Envelope) replica.Message {
		received.Add(1)
		return replica.ReadAnswer{Object: make([]byte, 100_000)}
	}}, func(c *Config) { c.QueueBytes = 1 << 20; c.StallAfter = patience })
	stream := rawExchange(t, b, 1, 2, 1)
	ended := make(chan error, 1)
	go func() {
		for i := uint64(1); ; i++ {
			e := &peerpb.Envelope{Id: i, Message: &peerpb.Envelope_Read{Read: &peerpb.Read{Key: packKey(replica.Key{})}}}
			if err := stream.Send(&peerpb.Frame{Envelopes: []*peerpb.Envelope{e}}); err != nil {
				ended <- err
				return
			}
			if i > 1<<20 {
				ended <- nil
				return
			}
		}
	}()
	eventually(t, "the stream is given up", func() bool { s := b.statsOf(1); return s.QueueFull > 0 && s.Incoming == 0 })
	// What was sent before is still there to read; then comes why.
	for {
		_, err := stream.Recv()
		if err != nil {
			if got := fromStatus(err).Error(); !strings.Contains(got, "does not read its answers") {
				t.Errorf("ended with %q", got)
			}
			break
		}
	}
	if err := <-ended; err == nil {
		t.Error("the stream took requests without end")
	}
}
