package exporting

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/lines"
	"github.com/ringd/ringd/cmd/ringctl/internal/patience"
)

// ErrInterrupted is why an export stopped whose context ended.
var ErrInterrupted = errors.New("interrupted")

// place is one place in the order of lines: a key being read, the end of a
// page, or what ended the listing.
type place struct {
	key    string
	got    <-chan outcome
	cursor client.Cursor // of the end of a page
	err    error
}

type outcome struct {
	object client.Object
	err    error
}

// run is one export. Its goroutines end before Run returns.
type run struct {
	config Config
	out    *Output
	report Report
	last   time.Time // of the last checkpoint
}

// Run exports to o, and finishes or abandons it.
func Run(ctx context.Context, o *Output, config Config) Report {
	began := time.Now()
	r := &run{config: config, out: o, last: began}
	r.report.Counts = o.state.Counts
	r.report.Resumed = o.state.Counts.Keys
	inner, cancel := context.WithCancel(ctx)
	places := make(chan place, config.Workers)
	var producer sync.WaitGroup
	producer.Go(func() {
		defer close(places)
		r.list(inner, places)
	})
	var stopped error
	for p := range places {
		if stopped != nil {
			continue // what is being read ends by itself
		}
		if stopped = r.take(p); stopped != nil {
			cancel()
		}
	}
	cancel()
	producer.Wait()
	if ctx.Err() != nil && stopped != nil {
		stopped = ErrInterrupted
	}
	if stopped == nil {
		stopped = o.Finish()
	} else if err := o.Abandon(); err != nil {
		stopped = errors.Join(stopped, err)
	}
	r.report.Stopped, r.report.Elapsed = stopped, time.Since(began)
	return r.report
}

// list puts the places of the whole listing into places, and starts to read
// their keys.
func (r *run) list(ctx context.Context, places chan<- place) {
	var readers sync.WaitGroup
	defer readers.Wait()
	send := func(p place) bool {
		select {
		case places <- p:
			return true
		case <-ctx.Done():
			return false
		}
	}
	err := r.config.Patience.Keys(ctx, r.config.Bucket, r.out.state.Cursor, r.config.ListOptions, func(page client.Page) bool {
		for _, key := range page.Names {
			got := make(chan outcome, 1)
			if !send(place{key: key, got: got}) {
				return false
			}
			readers.Go(func() { got <- r.get(ctx, key) })
		}
		return send(place{cursor: page.Cursor})
	})
	if err != nil {
		places <- place{err: err} // is taken in even when the export stops
	}
}

func (r *run) get(ctx context.Context, key string) (o outcome) {
	if ctx.Err() != nil {
		return outcome{err: ctx.Err()}
	}
	o.err = r.config.Patience.Do(ctx, func(ctx context.Context) (err error) {
		o.object, err = r.config.Bucket.Get(ctx, key, r.config.ReadOptions...)
		return err
	})
	return o
}

// take does what p stands for. An error stops the export.
func (r *run) take(p place) error {
	switch {
	case p.err != nil:
		return p.err
	case p.got == nil:
		if r.config.Checkpoint > 0 && time.Since(r.last) < r.config.Checkpoint {
			return nil
		}
		r.last = time.Now()
		return r.out.checkpoint(p.cursor, r.report.Counts)
	}
	o := <-p.got
	switch {
	case errors.Is(o.err, client.ErrNotFound):
		r.report.Gone++
		return nil
	case errors.Is(o.err, context.Canceled):
		return o.err
	case patience.Transient(o.err):
		return fmt.Errorf("members could not be reached for %v: %w", r.config.Patience.RetryFor, o.err)
	case o.err != nil:
		r.report.Failed++
		r.config.Progress.Failed(1)
		if len(r.report.Failures) < failuresShownMax {
			r.report.Failures = append(r.report.Failures, Failure{p.key, o.err})
		}
		return nil
	}
	return r.write(p.key, o.object)
}

// write writes a key's line. Deletions among its siblings have none.
func (r *run) write(key string, o client.Object) error {
	e := lines.Entry{Key: key}
	bytes := int64(0)
	for _, s := range o.Siblings {
		if !s.Deleted {
			v := lines.Value{Data: s.Value, ContentType: s.ContentType, Metadata: s.Metadata}
			if !s.Expiry.IsZero() {
				v.Expiry = lines.Expiry(s.Expiry.UnixMilli())
			} else if r.config.Never {
				v.Expiry = lines.Never
			}
			e.Values = append(e.Values, v)
			bytes += int64(len(s.Value))
		}
	}
	if len(e.Values) == 0 {
		r.report.Gone++
		return nil
	}
	if _, err := r.out.lines.Write(e.Append(nil)); err != nil {
		return err
	}
	r.report.Keys++
	r.report.Bytes += bytes
	r.config.Progress.Done(1, bytes)
	return nil
}
