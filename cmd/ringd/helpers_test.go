package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/internal/proctest"
)

func TestMain(m *testing.M) {
	if os.Getenv(sinkEnv) != "" {
		if err := sink(); err != nil {
			log.Fatal(err)
		}
		return
	}
	proctest.Main(m)
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), proctest.Within)
	t.Cleanup(cancel)
	return ctx
}

// writers put keys until they are told to stop, and keep what was acknowledged.
type writers struct {
	bucket  *client.Bucket
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
	count   atomic.Int64 // acknowledged

	mu struct {
		sync.Mutex
		acked  []string
		failed []error
	}
}

// write starts n writers. Those that are patient have no failure: the client
// library retries for a minute.
func write(c *client.Client, bucket string, n int) *writers {
	w := &writers{bucket: c.Bucket(bucket)}
	w.ctx, w.stop = context.WithCancel(context.Background())
	for i := range n {
		w.running.Go(func() { w.run(i) })
	}
	return w
}

func (w *writers) run(n int) {
	for i := 0; ; i++ {
		key := fmt.Sprintf("key-%d-%d", n, i)
		ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
		_, err := w.bucket.Put(ctx, key, []byte("value of "+key))
		cancel()
		if w.ctx.Err() != nil && err != nil {
			return // told to stop
		}
		w.mu.Lock()
		if err != nil {
			w.mu.failed = append(w.mu.failed, fmt.Errorf("%s: %w", key, err))
		} else {
			w.mu.acked = append(w.mu.acked, key)
		}
		w.mu.Unlock()
		if err == nil {
			w.count.Add(1)
		}
	}
}

// until waits for n more acknowledged writes.
func (w *writers) until(t testing.TB, n int64) {
	t.Helper()
	goal := w.count.Load() + n
	proctest.Wait(t, fmt.Sprintf("%d more acknowledged writes", n), func(context.Context) error {
		if got := w.count.Load(); got < goal {
			return fmt.Errorf("%d of %d", got, goal)
		}
		return nil
	})
}

func (w *writers) end() ([]string, []error) {
	w.stop()
	w.running.Wait()
	return w.mu.acked, w.mu.failed
}

// readAll checks that every key has its one value.
func readAll(t testing.TB, b *client.Bucket, keys []string, opts ...client.GetOption) {
	t.Helper()
	next := make(chan string)
	var running sync.WaitGroup
	var bad atomic.Int64
	for range 32 {
		running.Go(func() {
			for key := range next {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				o, err := b.Get(ctx, key, opts...)
				cancel()
				value, verr := o.Value()
				if err = errors.Join(err, verr); err != nil || string(value) != "value of "+key {
					if bad.Add(1) <= 10 {
						t.Errorf("%s was acknowledged, and is now %q: %v", key, value, err)
					}
				}
			}
		})
	}
	for _, key := range keys {
		next <- key
	}
	close(next)
	running.Wait()
	if n := bad.Load(); n > 0 {
		t.Fatalf("%d of %d acknowledged keys are lost", n, len(keys))
	}
}

// residentBytes is the memory that a process holds.
func residentBytes(t testing.TB, p *proctest.Process) int {
	t.Helper()
	n, err := residentOf(p)
	if err != nil {
		t.Skipf("no /proc: %v", err)
	}
	return n
}

// residentOf is 0 once the process has ended.
func residentOf(p *proctest.Process) (int, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.Pid()))
	if err != nil {
		return 0, err
	}
	var size, resident int
	if _, err := fmt.Sscan(string(raw), &size, &resident); err != nil {
		return 0, err
	}
	return resident * os.Getpagesize(), nil
}
