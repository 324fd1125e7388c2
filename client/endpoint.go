package client

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

// openTimeout bounds connecting to a member and asking who it is: a few round
// trips to the other side of the world.
const openTimeout = 3 * time.Second

// A member that stayed silent through so many suspicions, over a connection of
// that age, is connected to anew. A connection whose other end is gone without
// a word would else last until the kernel gives up, some 15 minutes.
const (
	resetSuspicions = 3
	resetAge        = 10 * time.Second
)

// identity is who answers at an address.
type identity struct{ cluster, member string }

// endpoint is one address of one member, its connection and what is under way
// there. It may be shared by goroutines. Its owner calls close.
type endpoint struct {
	c       *Client
	address string
	// want is the member that the ring names at this address; empty for an
	// address that the caller gave.
	want   string
	health health
	who    atomic.Pointer[identity] // nil until it has answered

	ctx    context.Context // ends with close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	wake   chan struct{} // capacity 1: the writer has something to do

	mu struct {
		sync.Mutex
		closed  bool
		running bool // the writer was started
		unary   bool // the member has no Pipeline
		cc      *grpc.ClientConn
		ccBegan time.Duration // since the client's start
		nextID  uint64
		// queue waits for the writer, in no order. Invariant:
		// queue[i].index == i.
		queue []*attempt
		// sent attempts that have no answer yet, by id.
		sent map[uint64]*attempt
		// bytes of all in queue and sent.
		bytes int
	}
}

func newEndpoint(c *Client, address, want string) *endpoint {
	e := &endpoint{c: c, address: address, want: want, wake: make(chan struct{}, 1)}
	e.ctx, e.cancel = context.WithCancel(c.ctx)
	e.mu.sent = make(map[uint64]*attempt)
	return e
}

// conn returns the connection, made at first use.
func (e *endpoint) conn() (*grpc.ClientConn, *Error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mu.closed {
		return nil, &Error{Code: CodeUnavailable, Address: e.address, cause: ErrClosed}
	}
	if e.mu.cc == nil {
		cc, err := grpc.NewClient(e.address, e.c.dialOptions...)
		if err != nil {
			return nil, invalid("address", fmt.Sprintf("%q: %v", e.address, err))
		}
		e.mu.cc, e.mu.ccBegan = cc, e.c.now()
	}
	return e.mu.cc, nil
}

// identify asks who answers at the address, and refuses another member than
// the ring names there, and other clusters': an address advertised for another
// network may lead to a stranger here.
func (e *endpoint) identify(ctx context.Context) *Error {
	cc, err := e.conn()
	if err != nil {
		return err
	}
	status, failure := ringdv1.NewAdminClient(cc).Status(ctx, &ringdv1.StatusRequest{})
	if failure != nil {
		if ctx.Err() == context.Canceled {
			// The caller went away, which says nothing of the member.
			return &Error{Code: CodeUnavailable, Address: e.address, Message: "nobody waits for the connection"}
		}
		return e.refused(fromStatus(failure))
	}
	who := identity{cluster: status.GetClusterId(), member: status.GetSelf().GetId()}
	if !e.c.cluster.CompareAndSwap(nil, &who.cluster) && *e.c.cluster.Load() != who.cluster {
		return e.refused(&Error{Code: CodeUnavailable, Message: fmt.Sprintf("a member of another cluster answers: %s, not %s", who.cluster, *e.c.cluster.Load())})
	}
	if e.want != "" && e.want != who.member {
		return e.refused(&Error{Code: CodeUnavailable, Message: fmt.Sprintf("member %s answers where the ring has %s", who.member, e.want)})
	}
	e.health.heard(e.c.now())
	if old := e.who.Swap(&who); (old == nil || *old != who) && e.want == "" {
		e.c.topology.kick()
	}
	return nil
}

// identified is identify, left out while the connection stands over which it
// was done. A member that can't be reached is so found out before anything that
// could leave a doubt is sent.
func (e *endpoint) identified(ctx context.Context) *Error {
	if e.who.Load() != nil {
		if cc, err := e.conn(); err == nil && cc.GetState() == connectivity.Ready {
			return nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	return e.identify(ctx)
}

// refused notes that the member could not be used, so nothing was applied.
func (e *endpoint) refused(err *Error) *Error {
	e.health.failed(e.c.now())
	e.c.topology.kick()
	err.Address, err.MaybeApplied = e.address, false
	if codeTable[err.Code].final && err.Code != CodeDenied || err.Code == CodeUnknown {
		err.Code = CodeUnavailable
	}
	return err
}

// silent reports whether the member answered nothing at all since began, and
// gives up a connection that has been dead for long.
func (e *endpoint) silent(began time.Duration) bool {
	last := time.Duration(e.health.lastHeard.Load())
	if last > began {
		return false
	}
	now := e.c.now()
	e.health.failed(now)
	e.mu.Lock()
	alive := max(last, e.mu.ccBegan)
	e.mu.Unlock()
	if e.health.failures.Load() > resetSuspicions && now-alive > resetAge {
		e.reset()
	}
	return true
}

// reset closes the connection; the next use makes another. What is in flight
// on it fails, and is tried elsewhere.
func (e *endpoint) reset() {
	e.mu.Lock()
	cc := e.mu.cc
	e.mu.cc = nil
	e.mu.Unlock()
	if cc != nil {
		_ = cc.Close()
	}
}

// close ends the connection, fails what is in flight, and waits for the
// goroutines.
func (e *endpoint) close() {
	e.mu.Lock()
	e.mu.closed = true
	e.mu.Unlock()
	e.cancel()
	e.reset()
	e.wg.Wait()
	e.failAll(&Error{Code: CodeUnavailable, Message: "the connection was closed"})
}
