package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/internal/proctest"
)

// ledger is a load that remembers what was acknowledged: writers put rising versions
// of their keys, readers check that what they read is no older than what was
// acknowledged before they began. All of it is strict: it rests on the owners alone.
type ledger struct {
	bucket  *client.Bucket
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
	acked   []atomic.Int64 // version by key
	writes  atomic.Int64
	reads   atomic.Int64

	mu struct {
		sync.Mutex
		failed []error
		stale  []string
	}
}

const (
	ledgerKeys    = 200
	ledgerWriters = 4
	ledgerReaders = 2
)

// keepLedger begins the load, through whichever members the client finds.
func keepLedger(c *client.Client) *ledger {
	l := &ledger{bucket: c.Bucket("ledger"), acked: make([]atomic.Int64, ledgerKeys)}
	l.ctx, l.stop = context.WithCancel(context.Background())
	for w := range ledgerWriters {
		l.running.Go(func() { l.write(w) })
	}
	for range ledgerReaders {
		l.running.Go(l.read)
	}
	return l
}

func (l *ledger) write(w int) {
	contexts := make(map[int]client.Context)
	for version := int64(1); l.ctx.Err() == nil; version++ {
		for key := w; key < ledgerKeys && l.ctx.Err() == nil; key += ledgerWriters {
			ctx, cancel := context.WithTimeout(l.ctx, proctest.Within)
			o, err := l.bucket.Put(ctx, strconv.Itoa(key), []byte(strconv.FormatInt(version, 10)),
				client.W(2), client.PW(2), client.Sloppy(false), client.Replaces(contexts[key]))
			cancel()
			switch {
			case err == nil:
				contexts[key] = o.Context
				l.acked[key].Store(version)
				l.writes.Add(1)
			case l.ctx.Err() == nil:
				l.note(fmt.Errorf("put of version %d of key %d: %w", version, key, err), "")
			}
		}
	}
}

func (l *ledger) read() {
	for l.ctx.Err() == nil {
		key := rand.IntN(ledgerKeys)
		least := l.acked[key].Load()
		ctx, cancel := context.WithTimeout(l.ctx, proctest.Within)
		got, err := l.latest(ctx, key)
		cancel()
		switch {
		case l.ctx.Err() != nil:
		case err != nil:
			l.note(fmt.Errorf("get of key %d: %w", key, err), "")
		case got < least:
			l.note(nil, fmt.Sprintf("key %d: version %d was read, and %d had been acknowledged", key, got, least))
		default:
			l.reads.Add(1)
		}
	}
}

func (l *ledger) note(err error, stale string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.mu.failed = append(l.mu.failed, err)
	}
	if stale != "" {
		l.mu.stale = append(l.mu.stale, stale)
	}
}

// latest is the highest version that a strict read finds.
func (l *ledger) latest(ctx context.Context, key int) (int64, error) {
	o, err := l.bucket.Get(ctx, strconv.Itoa(key), client.R(2), client.PR(2), client.Sloppy(false))
	if errors.Is(err, client.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	latest := int64(0)
	for _, s := range o.Siblings {
		version, err := strconv.ParseInt(string(s.Value), 10, 64)
		if err != nil {
			return 0, err
		}
		latest = max(latest, version)
	}
	return latest, nil
}

// until waits for so many more acknowledged writes.
func (l *ledger) until(t *testing.T, n int64) {
	t.Helper()
	goal := l.writes.Load() + n
	proctest.Wait(t, "more acknowledged writes", func(context.Context) error {
		if got := l.writes.Load(); got < goal {
			return fmt.Errorf("%d of %d", got, goal)
		}
		return nil
	})
}

// close ends the load and checks what it saw, and what is there in the end.
func (l *ledger) close(t *testing.T) {
	t.Helper()
	l.stop()
	l.running.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, err := range l.mu.failed[:min(5, len(l.mu.failed))] {
		t.Errorf("a request failed for good: %v", err)
	}
	for _, s := range l.mu.stale[:min(5, len(l.mu.stale))] {
		t.Errorf("a stale read: %s", s)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for key := range ledgerKeys {
		got, err := l.latest(ctx, key)
		if want := l.acked[key].Load(); err != nil || got < want {
			t.Errorf("key %d: version %d is there, and %d was acknowledged: %v", key, got, want, err)
		}
	}
	t.Logf("%d writes, %d reads; %d failed, %d stale", l.writes.Load(), l.reads.Load(), len(l.mu.failed), len(l.mu.stale))
}
