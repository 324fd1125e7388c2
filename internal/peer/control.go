package peer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ringd/ringd/internal/peer/peerpb"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

const (
	// controlConnsMax bounds the connections for calls, which are rare: more
	// members than one talks to in a minute.
	controlConnsMax = 64
	// controlIdle is how long an unused one is kept open.
	controlIdle = time.Minute
)

// controlConns are connections for calls, by address: whom one calls may have no
// member id yet.
type controlConns struct {
	mu struct {
		sync.Mutex
		byAddr map[string]*controlConn
	}
}

type controlConn struct {
	conn  *grpc.ClientConn
	calls int  // under way; guarded by controlConns.mu
	stale bool // closed with the last call
}

func (c *controlConns) init() { c.mu.byAddr = make(map[string]*controlConn) }

func (c *controlConns) get(config *Config, addr string) (*controlConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.byAddr == nil {
		return nil, ErrClosed
	}
	if cc := c.mu.byAddr[addr]; cc != nil {
		cc.calls++
		return cc, nil
	}
	if len(c.mu.byAddr) >= controlConnsMax {
		c.clearLocked()
	}
	conn, err := config.connTo(addr, grpc.WithIdleTimeout(controlIdle))
	if err != nil {
		return nil, err
	}
	cc := &controlConn{conn: conn, calls: 1}
	c.mu.byAddr[addr] = cc
	return cc, nil
}

func (c *controlConns) put(cc *controlConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cc.calls--; cc.calls == 0 && cc.stale {
		cc.conn.Close()
	}
}

func (c *controlConns) clearLocked() {
	for addr, cc := range c.mu.byAddr {
		cc.stale = true
		if cc.calls == 0 {
			cc.conn.Close()
		}
		delete(c.mu.byAddr, addr)
	}
}

// close lets no more calls in, and closes what no call uses.
func (c *controlConns) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clearLocked()
	c.mu.byAddr = nil
}

// Call has the member at addr answer a call by its Handler's Control. Errors: a
// *replica.Error from the other side's Handler; ErrRefused if the two are of
// different clusters; ErrUnreachable if the other side is not there, does not
// serve yet, or went away during the call; ErrBroken for other faults; ErrClosed;
// or that of ctx. But for a refusal, a call that failed may have been carried out.
func (t *Transport) Call(ctx context.Context, addr, kind string, body []byte) ([]byte, error) {
	if !t.enter() {
		return nil, ErrClosed
	}
	defer t.running.Done()
	cc, err := t.control.get(&t.config, addr)
	if err != nil {
		return nil, err
	}
	defer t.control.put(cc)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	answer, err := peerpb.NewPeerClient(cc.conn).Control(ctx, &peerpb.ControlRequest{
		Hello: t.ownHello(ring.MemberID{}), Kind: kind, Body: body,
	})
	switch {
	case err == nil && answer.GetError() != nil:
		return nil, unpackError(answer.GetError())
	case err == nil:
		return answer.GetBody(), nil
	case t.ctx.Err() != nil:
		return nil, ErrClosed
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s to %s: %w", kind, addr, ctx.Err())
	}
	return nil, fmt.Errorf("%s to %s: %w", kind, addr, callError(err))
}

// callError puts gRPC's codes into the package's errors. UNAVAILABLE is a
// connection that can't be made, and one that broke: gRPC doesn't tell.
func callError(err error) error {
	text := fromStatus(err)
	switch {
	case errors.Is(text, ErrRefused):
		return text
	case status.Code(err) == codes.Unavailable:
		return fmt.Errorf("%w: %w", ErrUnreachable, text)
	}
	return fmt.Errorf("%w: %w", ErrBroken, text)
}

// Control implements peerpb.PeerServer. Start counts are not checked: asking for
// one's own is a call too.
func (s *server) Control(ctx context.Context, in *peerpb.ControlRequest) (*peerpb.ControlResponse, error) {
	t := s.t
	if !t.enter() {
		return nil, toStatus(ErrClosed)
	}
	defer t.running.Done()
	handler := t.handler.Load()
	if handler == nil {
		return nil, toStatus(errNotServing)
	}
	h, err := t.parseHello(in.GetHello())
	if err == nil {
		err = t.checkIncoming(h)
	}
	if err != nil {
		t.turnAway(h.member, err)
		return nil, toStatus(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	body, err := (*handler).Control(ctx, in.GetKind(), in.GetBody())
	if err != nil {
		var e *replica.Error
		if !errors.As(err, &e) {
			e = replica.Errorf(replica.KindInternal, "%v", err)
		}
		return &peerpb.ControlResponse{Error: packError(e)}, nil
	}
	return &peerpb.ControlResponse{Body: body}, nil
}
