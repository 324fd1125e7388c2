package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	"github.com/ringd/ringd/internal/peer/peerpb"
	"github.com/ringd/ringd/ring"
)

// raftAddr is an address as gRPC or the caller names it.
type raftAddr string

// Network implements net.Addr.
func (raftAddr) Network() string { return "ringd-raft" }

// String implements net.Addr.
func (a raftAddr) String() string { return string(a) }

// raftListener hands incoming connections of the log to who accepts them.
type raftListener struct {
	self   ring.MemberID
	log    string
	conns  chan net.Conn // not buffered: who is not accepted waits
	closed chan struct{}
	once   sync.Once
}

func newRaftListener(self ring.MemberID, log string) *raftListener {
	return &raftListener{self: self, log: log, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *raftListener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *raftListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *raftListener) Addr() net.Addr { return raftAddr(l.self.String()) }

// RaftConns returns a listener of the connections that other members' DialRaft
// makes for a log; those for another are refused. There is one at a time: the one
// before is closed.
func (t *Transport) RaftConns(log string) net.Listener {
	l := newRaftListener(t.config.Self, log)
	if before := t.raft.Swap(l); before != nil {
		before.Close()
	}
	if t.ctx.Err() != nil {
		l.Close()
	}
	return l
}

// DialRaft is DialRaftTo whatever member is at addr.
func (t *Transport) DialRaft(ctx context.Context, addr, log string) (net.Conn, error) {
	return t.DialRaftTo(ctx, ring.MemberID{}, addr, log)
}

// DialRaftTo opens a connection of the agreed log to the member at addr, once
// the other side has accepted it, and refuses another member than to: a leader
// that takes the acknowledgements of one voter for those of another, because an
// address has changed hands, would count them twice. A member that takes part in
// another log is refused, too, and that is an ErrOtherLog. It has a TCP connection of
// its own, and lasts until Close, of either side or the transport. Errors:
// ErrRefused, ErrUnreachable, ErrClosed, or that of ctx.
func (t *Transport) DialRaftTo(ctx context.Context, to ring.MemberID, addr, log string) (net.Conn, error) {
	conn, err := t.config.connTo(addr)
	if err != nil {
		return nil, err
	}
	streamCtx, cancel := context.WithCancel(t.ctx)
	stop := context.AfterFunc(ctx, cancel)
	stream, id, err := t.greetRaft(streamCtx, conn, to, log)
	if !stop() {
		err = ctx.Err()
	}
	var c *tunnel
	if err == nil {
		c = newTunnel(stream, raftAddr(t.config.Self.String()), raftAddr(addr), func() { stream.CloseSend() })
		done := &raftDialed{tunnel: c, cancel: cancel}
		if err = t.starts.admit(id.member, id.start, done); err == nil {
			if t.spawn(func() { t.keepDialed(streamCtx, done, conn, id.member) }) {
				return c, nil
			}
			t.starts.leave(id.member, done)
			err = ErrClosed
		}
	}
	cancel()
	conn.Close()
	if t.ctx.Err() != nil {
		return nil, ErrClosed
	}
	if errors.Is(err, ErrRefused) || ctx.Err() != nil {
		return nil, fmt.Errorf("raft to %s: %w", addr, err)
	}
	return nil, fmt.Errorf("raft to %s: %w: %w", addr, ErrUnreachable, err)
}

func (t *Transport) greetRaft(ctx context.Context, conn *grpc.ClientConn, to ring.MemberID, log string) (grpc.BidiStreamingClient[peerpb.Bytes, peerpb.Bytes], hello, error) {
	stream, err := peerpb.NewPeerClient(conn).Raft(ctx)
	if err != nil {
		return nil, hello{}, fromStatus(err)
	}
	if err := stream.Send(&peerpb.Bytes{Hello: t.logHello(to, log)}); err != nil && !errors.Is(err, io.EOF) {
		return nil, hello{}, fromStatus(err)
	}
	first, err := stream.Recv()
	if err != nil {
		return nil, hello{}, fromStatus(err)
	}
	h, err := t.parseHello(first.GetHello())
	if err == nil {
		err = t.checkCluster(h)
	}
	if err == nil && !to.IsZero() && h.member != to {
		err = refuse("this is member %v, not %v: the address has moved", h.member, to)
	}
	if err == nil {
		err = checkLog(log, h)
	}
	return stream, h, err
}

// raftDialed is a dialed connection as starts sees it.
type raftDialed struct {
	tunnel *tunnel
	cancel context.CancelFunc
}

func (d *raftDialed) end(error) { d.cancel() }

// keepDialed runs a dialed connection until it is over.
func (t *Transport) keepDialed(ctx context.Context, d *raftDialed, conn *grpc.ClientConn, id ring.MemberID) {
	var both sync.WaitGroup
	both.Go(func() { d.tunnel.finish(wrote(d.tunnel.receive())) })
	both.Go(d.tunnel.send)
	d.tunnel.linger(ctx, d.tunnel.over)
	d.cancel()
	both.Wait()
	t.starts.leave(id, d)
	conn.Close()
}

// wrote is what Write returns after receiving ended with err.
func wrote(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrClosedPipe
	}
	return err
}

// Raft implements peerpb.PeerServer: its return ends the connection.
func (s *server) Raft(stream grpc.BidiStreamingServer[peerpb.Bytes, peerpb.Bytes]) error {
	t := s.t
	if !t.enter() {
		return toStatus(ErrClosed)
	}
	defer t.running.Done()
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	defer context.AfterFunc(t.ctx, func() { cancel(ErrClosed) })()

	remote := raftAddr("")
	if p, ok := peer.FromContext(ctx); ok {
		remote = raftAddr(p.Addr.String())
	}
	l := t.raft.Load()
	if l == nil {
		return toStatus(errNotServing)
	}
	c := newTunnel(stream, l.Addr(), remote, func() {})
	greeted := make(chan hello, 1)
	if !t.spawn(func() { s.receiveRaft(stream, l.log, c, greeted, cancel) }) {
		return toStatus(ErrClosed)
	}
	timer := time.NewTimer(t.config.DialTimeout)
	defer timer.Stop()
	var id hello
	select {
	case id = <-greeted:
	case <-timer.C:
		return toStatus(errNoHello)
	case <-ctx.Done():
		return toStatus(context.Cause(ctx))
	}
	in := &raftAccepted{cancel: cancel}
	if err := t.starts.admit(id.member, id.start, in); err != nil {
		t.turnAway(id.member, err)
		return toStatus(err)
	}
	defer t.starts.leave(id.member, in)
	select {
	case l.conns <- c:
	case <-l.closed:
		return toStatus(errNotServing)
	case <-ctx.Done():
		return toStatus(context.Cause(ctx))
	}
	if err := stream.Send(&peerpb.Bytes{Hello: t.logHello(id.member, l.log)}); err != nil {
		c.finish(err)
		return err
	}
	if !t.spawn(c.send) {
		c.finish(ErrClosed)
		return toStatus(ErrClosed)
	}
	// What was written before Close is sent before the stream ends.
	c.linger(ctx, c.sent)
	if ctx.Err() != nil {
		c.finish(context.Cause(ctx))
		return toStatus(context.Cause(ctx))
	}
	return nil
}

// receiveRaft reads the hello, and then for the connection. Only the dialer's
// end of writing leaves the stream as it is.
func (s *server) receiveRaft(stream grpc.BidiStreamingServer[peerpb.Bytes, peerpb.Bytes], log string, c *tunnel, greeted chan<- hello, cancel context.CancelCauseFunc) {
	first, err := stream.Recv()
	if err != nil {
		cancel(err)
		return
	}
	h, err := s.t.parseHello(first.GetHello())
	if err == nil {
		err = s.t.checkIncoming(h)
	}
	if err == nil {
		err = s.t.checkOther(h)
	}
	if err == nil {
		err = checkLog(log, h)
	}
	if err != nil {
		s.t.turnAway(h.member, err)
		cancel(err)
		return
	}
	greeted <- h
	if err := c.receive(); !errors.Is(err, io.EOF) {
		cancel(err)
	}
}

// raftAccepted is an incoming connection as starts sees it.
type raftAccepted struct{ cancel context.CancelCauseFunc }

func (a *raftAccepted) end(err error) { a.cancel(err) }
