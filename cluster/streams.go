package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/ringd/ringd/ring"
)

// streams carries raft between members, found by their ids. It owns the
// connections of both directions: raft's transport leaves those that it
// accepted open.
type streams struct {
	n        *Node
	log      string // as State.log
	listener net.Listener
	ctx      context.Context
	cancel   context.CancelFunc

	mu struct {
		sync.Mutex
		ended bool
		open  map[*stream]bool
	}
}

var _ raft.StreamLayer = (*streams)(nil)

func newStreams(n *Node, log string) *streams {
	s := &streams{n: n, log: log, listener: n.wire.RaftConns(log)}
	s.ctx, s.cancel = context.WithCancel(n.ctx)
	s.mu.open = make(map[*stream]bool)
	return s
}

// stream is a connection that its owner can close.
type stream struct {
	net.Conn
	of *streams
}

// Close implements net.Conn.
func (c *stream) Close() error {
	c.of.mu.Lock()
	delete(c.of.mu.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// own closes the connection if there are to be none any more.
func (s *streams) own(conn net.Conn) (net.Conn, error) {
	c := &stream{Conn: conn, of: s}
	s.mu.Lock()
	ended := s.mu.ended
	if !ended {
		s.mu.open[c] = true
	}
	s.mu.Unlock()
	if ended {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	return c, nil
}

// Dial implements raft.StreamLayer.
func (s *streams) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	id, err := ring.ParseMemberID(string(address))
	if err != nil {
		return nil, err
	}
	addr, ok := s.n.Resolve(id)
	if !ok {
		return nil, fmt.Errorf("raft: the address of member %v is not known", id)
	}
	ctx, cancel := context.WithTimeout(s.ctx, min(timeout, raftDial))
	defer cancel()
	conn, err := s.n.wire.DialRaft(ctx, id, addr, s.log)
	if errors.Is(err, ErrOtherLog) && s.ctx.Err() == nil {
		s.n.exchange(addr)
	}
	if err != nil {
		return nil, err
	}
	return s.own(conn)
}

// Accept implements net.Listener.
func (s *streams) Accept() (net.Conn, error) {
	conn, err := s.listener.Accept()
	if err != nil {
		return nil, err
	}
	return s.own(conn)
}

// end closes all connections, and lets no more begin.
func (s *streams) end() {
	s.cancel()
	s.mu.Lock()
	s.mu.ended = true
	open := s.mu.open
	s.mu.open = make(map[*stream]bool)
	s.mu.Unlock()
	for c := range open {
		_ = c.Conn.Close()
	}
}

// Close implements net.Listener: raft closes it with its transport.
func (s *streams) Close() error { return s.listener.Close() }

// Addr implements net.Listener: raft knows members by their ids.
func (s *streams) Addr() net.Addr { return idAddr(s.n.id) }

type idAddr ring.MemberID

// Network implements net.Addr.
func (idAddr) Network() string { return "ringd" }

// String implements net.Addr.
func (a idAddr) String() string { return ring.MemberID(a).String() }
