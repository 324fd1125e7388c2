package client

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
)

// Client speaks to one cluster. It may be shared by goroutines, and should be:
// requests of all of them share a stream per member. Close it.
type Client struct {
	config      Config
	dialOptions []grpc.DialOption
	began       time.Time
	cluster     atomic.Pointer[string] // the id of the cluster, once known
	budget      *budget
	flights     sync.Pool
	topology    topology

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// Dial connects to the cluster that members at addrs belong to, each as
// "host:port", with [DefaultConfig]. One address is enough, even if that member
// is lost later; more help while members are down. It returns once one of them
// has answered, or fails with ctx, after 5 s if ctx has no deadline.
func Dial(ctx context.Context, addrs ...string) (*Client, error) {
	return DialConfig(ctx, DefaultConfig(), addrs...)
}

// DialConfig is [Dial] with a configuration of the caller's.
func DialConfig(ctx context.Context, config Config, addrs ...string) (*Client, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, invalid("address", "name at least one member")
	}
	c := &Client{config: config, dialOptions: config.dialOptions(), began: time.Now(), budget: newBudget(config.HedgeShare)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	t := &c.topology
	t.c, t.kicked = c, make(chan struct{}, 1)
	for i, a := range addrs {
		if slices.Contains(addrs[:i], a) {
			continue
		}
		t.mu.dialed = append(t.mu.dialed, newEndpoint(c, a, ""))
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, config.Timeout)
		defer cancel()
	}
	if err := c.first(ctx); err != nil {
		c.Close()
		err.Op = "dial"
		return nil, err
	}
	c.wg.Go(func() { t.run(c.ctx) })
	return c, nil
}

// first asks all addresses at once, again and again until the deadline that ctx
// has, until one has told the ring.
func (c *Client) first(ctx context.Context) *Error {
	deadline, _ := ctx.Deadline()
	answers := make(chan *Error, len(c.topology.mu.dialed))
	for _, e := range c.topology.addresses() {
		c.wg.Go(func() {
			bound, cancel := context.WithDeadline(c.ctx, deadline)
			defer cancel()
			err := c.topology.fetch(bound, e)
			for retry := 0; err != nil && !codeTable[err.Code].final; retry++ {
				// When another has answered, the refresh goes on with this one.
				if c.topology.current.Load() != nil || !pause(bound, jitter(retry)) {
					break
				}
				err = c.topology.fetch(bound, e)
			}
			answers <- err
		})
	}
	failed := &Error{Code: CodeUnavailable, Message: "no member answered"}
	for range c.topology.addresses() {
		select {
		case err := <-answers:
			if err == nil {
				c.topology.rebuild()
				return nil
			}
			failed = err
		case <-ctx.Done():
		}
	}
	if !time.Now().Before(deadline) {
		failed.cause = context.DeadlineExceeded
	} else {
		failed.cause = context.Cause(ctx)
	}
	return failed
}

// Close ends what is under way, with [ErrClosed], and returns when all
// connections are closed. It may be called again.
func (c *Client) Close() error {
	c.cancel()
	c.topology.close()
	c.wg.Wait()
	return nil
}

// now is the time since the client's start.
func (c *Client) now() time.Duration { return time.Since(c.began) }
