// Package patience repeats requests that failed because members were away for a
// moment, and may be repeated without harm.
package patience

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ringd/ringd/client"
)

// DefaultRetryFor is longer than a member needs to come back after a crash.
const DefaultRetryFor = time.Minute

// Waits between attempts are random up to these, doubling, so that workers which
// failed together don't come back together. The client itself has retried for
// the length of Timeout before.
const (
	waitMin = 50 * time.Millisecond
	waitMax = 2 * time.Second
)

// Patience is how long to go on.
type Patience struct {
	// Timeout of one attempt.
	Timeout time.Duration
	// RetryFor bounds all attempts; no attempt begins after it.
	RetryFor time.Duration
}

// Transient reports whether err may go away by itself.
func Transient(err error) bool {
	return errors.Is(err, client.ErrUnavailable) || errors.Is(err, client.ErrOverloaded) || errors.Is(err, client.ErrUnknown)
}

// Do calls attempt until it succeeds, fails for good, or p is at its end, and
// returns its last error. When ctx ends, the attempt under way may still end by
// itself, within p.Timeout, and no other begins.
func (p Patience) Do(ctx context.Context, attempt func(context.Context) error) error {
	began := time.Now()
	for wait := waitMin; ; wait = min(2*wait, waitMax) {
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.Timeout)
		err := attempt(bound)
		cancel()
		pause := rand.N(wait)
		if c, ok := errors.AsType[*client.Error](err); ok {
			pause += c.RetryAfter
		}
		if err == nil || !Transient(err) || ctx.Err() != nil || time.Since(began)+pause > p.RetryFor {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// Keys calls page for each page of b's keys behind cursor, until it is false or
// there are no more. A listing that breaks off goes on behind its last page, as
// long as p allows since then. When ctx ends, its error is returned.
func (p Patience) Keys(ctx context.Context, b *client.Bucket, cursor client.Cursor, options []client.ListOption, page func(client.Page) bool) error {
	for since := time.Now(); ; {
		var err error
		for next, broken := range b.KeyPages(ctx, append(options[:len(options):len(options)], client.After(cursor))...) {
			if err = broken; err != nil {
				break
			}
			if !page(next) {
				return ctx.Err()
			}
			cursor, since = next.Cursor, time.Now()
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			return nil
		case !Transient(err) || time.Since(since) >= p.RetryFor:
			return fmt.Errorf("listing the keys: %w", err)
		}
		// The client has waited between its own attempts.
	}
}

// Reason returns what err says, without what it is about: whoever reports many
// names the key before each.
func Reason(err error) string {
	c, ok := errors.AsType[*client.Error](err)
	if !ok {
		return err.Error()
	}
	bare := *c
	bare.Op, bare.Bucket, bare.Key = "", "", ""
	return bare.Error()
}
