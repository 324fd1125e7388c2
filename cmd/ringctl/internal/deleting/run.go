package deleting

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/patience"
)

// run is one deletion. Its goroutines end before Run returns.
type run struct {
	config Config
	// ctx ends when no more is to be begun.
	ctx  context.Context
	stop context.CancelCauseFunc

	mu struct {
		sync.Mutex
		report Report
	}
}

// Run deletes all keys that the bucket has. When ctx ends, what is on its way is
// finished first.
func Run(ctx context.Context, config Config) Report {
	began := time.Now()
	r := &run{config: config}
	r.ctx, r.stop = context.WithCancelCause(ctx)
	defer r.stop(nil)
	keys := make(chan string)
	var workers sync.WaitGroup
	for range config.Workers {
		workers.Go(func() {
			for key := range keys {
				r.key(key)
			}
		})
	}
	err := config.Patience.Keys(r.ctx, config.Bucket, nil, nil, func(page client.Page) bool {
		for _, key := range page.Names {
			select {
			case keys <- key:
			case <-r.ctx.Done():
				return false
			}
		}
		return true
	})
	close(keys)
	workers.Wait()
	report := r.mu.report
	switch {
	case ctx.Err() != nil:
		report.Stopped = ErrInterrupted
	case r.ctx.Err() != nil:
		report.Stopped = context.Cause(r.ctx)
	default:
		report.Stopped = err
	}
	report.Elapsed = time.Since(began)
	return report
}

// key deletes one key, and counts what became of it.
func (r *run) key(key string) {
	if r.ctx.Err() != nil {
		return
	}
	bytes, err := r.delete(key)
	if patience.Transient(err) {
		if r.ctx.Err() != nil {
			return // given up because all of it ends
		}
		r.stop(fmt.Errorf("members could not be reached for %v: %w", r.config.Patience.RetryFor, err))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	report := &r.mu.report
	switch {
	case err == nil:
		report.Deleted++
		report.Bytes += bytes
		r.config.Progress.Done(1, bytes)
	case errors.Is(err, client.ErrNotFound):
		report.Gone++
	case errors.Is(err, client.ErrPrecondition), errors.Is(err, client.ErrAborted):
		report.Kept++
	default:
		report.Failed++
		r.config.Progress.Failed(1)
		if len(report.Failures) < failuresShownMax {
			report.Failures = append(report.Failures, Failure{key, err})
		}
	}
}

// delete returns how many bytes the key's values had.
func (r *run) delete(key string) (bytes int64, err error) {
	var found client.Object
	err = r.config.Patience.Do(r.ctx, func(ctx context.Context) (err error) {
		found, err = r.config.Bucket.Get(ctx, key, client.Head())
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, s := range found.Siblings {
		bytes += int64(s.Size)
	}
	// One id for all attempts: the second of a deletion that was carried out
	// meets its twin, and not what the condition refuses.
	id := client.NewRequestID()
	return bytes, r.config.Patience.Do(r.ctx, func(ctx context.Context) error {
		_, err := r.config.Bucket.Delete(ctx, key, client.IfMatch(found.Context), client.WithRequestID(id))
		return err
	})
}
