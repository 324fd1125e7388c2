package importing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/lines"
	"github.com/ringd/ringd/cmd/ringctl/internal/patience"
	"github.com/ringd/ringd/cmd/ringctl/internal/progress"
)

// Config is how to import.
type Config struct {
	Bucket *client.Bucket
	// Options of each put, ReadOptions of each read that Overwrite needs.
	Options     []client.PutOption
	ReadOptions []client.GetOption
	// Overwrite replaces what a key has; else values join it as siblings.
	Overwrite bool
	// Workers is how many keys are on their way at once, at least 1.
	Workers int
	// Patience with members that are away. When it is at its end for one key,
	// the import stops: it would be no better with the next.
	Patience patience.Patience
	// Journal is kept if it is not nil, every Checkpoint and at the end.
	Journal    *Journal
	Checkpoint time.Duration
	// Errors takes all failures, as lines of JSON; may be nil.
	Errors io.Writer
	// Progress counts what was stored and failed; may be nil.
	Progress *progress.Meter
}

// Report is what became of an import. A key with siblings is one line.
type Report struct {
	// Stored and Failed lines of this run, and those that were left out because
	// all their values have Expired; Resumed are those that former ones are done
	// with, blank ones included.
	Stored, Failed, Expired, Resumed int64
	// Bytes of values stored.
	Bytes   int64
	Elapsed time.Duration
	// Failures are the first ones, by number.
	Failures []Failure
	// Stopped says why the import ended before the source did; nil if it didn't.
	Stopped error
	// Resumable: a journal was left that a later run goes on with.
	Resumable bool
	// Note about what was done otherwise than asked; may be empty.
	Note string
}

// Failure is a line that was not stored.
type Failure struct {
	Number int64
	Name   string
	// Key, empty if it could not be read.
	Key string
	Err error
}

// ErrInterrupted is why an import stopped whose context ended.
var ErrInterrupted = errors.New("interrupted")

// run is one import. Its goroutines end before Run returns.
type run struct {
	config Config
	ledger *ledger
	// ctx ends when no more is to be begun.
	ctx  context.Context
	stop context.CancelCauseFunc

	mu struct {
		sync.Mutex
		report Report
		// dropped items were on their way when the import was stopped.
		dropped int
		// failing: the writer of errors failed; said once.
		failing bool
	}
}

// Run imports s. What fails line by line is in the report. When ctx ends, what is
// on its way is finished first.
func Run(ctx context.Context, s *Source, config Config) Report {
	began := time.Now()
	r := &run{config: config, ledger: newLedger(config.Journal)}
	r.ctx, r.stop = context.WithCancelCause(ctx)
	defer r.stop(nil)
	defer context.AfterFunc(r.ctx, r.ledger.close)()
	if config.Journal != nil {
		r.mu.report.Resumed = config.Journal.Through() - int64(len(config.Journal.state.Failed))
	}
	items := make(chan Item)
	var workers sync.WaitGroup
	for range config.Workers {
		workers.Go(func() {
			for item := range items {
				r.item(item)
			}
		})
	}
	ended := make(chan struct{})
	var checkpoints sync.WaitGroup
	if config.Journal != nil {
		checkpoints.Go(func() { r.checkpoints(ended) })
	}
	complete, failure := r.read(s, items)
	close(items)
	workers.Wait()
	close(ended)
	checkpoints.Wait()
	report := r.mu.report
	switch {
	case failure != nil:
		report.Stopped = failure
	case ctx.Err() != nil && (!complete || r.mu.dropped > 0):
		report.Stopped = ErrInterrupted
	case ctx.Err() == nil:
		report.Stopped = context.Cause(r.ctx)
	}
	r.conclude(&report)
	report.Elapsed = time.Since(began)
	return report
}

// read hands the items of s to the workers; complete: all of them.
func (r *run) read(s *Source, items chan<- Item) (complete bool, err error) {
	for item, err := range s.Items(r.ledger.done) {
		if err != nil {
			return false, err
		}
		r.ledger.admit(item.Number, item.Size)
		if r.ctx.Err() != nil {
			return false, nil
		}
		if item.Blank {
			r.ledger.finish(item.Number, item.Size, true)
			continue
		}
		select {
		case items <- item:
		case <-r.ctx.Done():
			return false, nil
		}
	}
	return true, nil
}

// item stores one item, or says why it can't be.
func (r *run) item(item Item) {
	entry, err := item.Entry, item.Err
	if err == nil && item.Line != nil {
		entry, err = lines.Parse(item.Line)
	}
	if err == nil && !current(&entry, time.Now()) {
		r.expired()
		r.ledger.finish(item.Number, item.Size, true)
		return
	}
	if err == nil {
		var bytes int
		if bytes, err = r.store(r.ctx, entry); err == nil {
			r.stored(bytes)
			r.ledger.finish(item.Number, item.Size, true)
			return
		}
	}
	if patience.Transient(err) {
		if r.ctx.Err() != nil {
			// It was given up because the import ends; the journal has it as
			// not done.
			r.ledger.drop(item.Size)
			r.mu.Lock()
			r.mu.dropped++
			r.mu.Unlock()
			return
		}
		r.stop(fmt.Errorf("members could not be reached for %v: %w", r.config.Patience.RetryFor, err))
	}
	r.failed(Failure{item.Number, item.Name, entry.Key, err})
	r.ledger.finish(item.Number, item.Size, false)
}

func (r *run) persist(ctx context.Context, attempt func(context.Context) error) error {
	return r.config.Patience.Do(ctx, attempt)
}

// checkpoints writes the journal until ended.
func (r *run) checkpoints(ended <-chan struct{}) {
	tick := time.NewTicker(r.config.Checkpoint)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if !r.save() {
				return
			}
		case <-ended:
			return
		}
	}
}

// save reports whether it is worth going on with it.
func (r *run) save() bool {
	s := r.ledger.snapshot()
	if err := r.config.Journal.save(s.through, s.failed); err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.mu.report.Note = fmt.Sprintf("how far the import came can't be recorded (%v): if it is interrupted, a later one begins anew", err)
		return false
	}
	return true
}

// conclude leaves a journal if there is something to go on with.
func (r *run) conclude(report *Report) {
	if r.config.Journal == nil {
		return
	}
	if report.Stopped != nil || report.Failed > 0 {
		if report.Resumable = r.save(); !report.Resumable {
			report.Note = r.mu.report.Note
		}
		return
	}
	if err := r.config.Journal.remove(); err != nil && report.Note == "" {
		report.Note = fmt.Sprintf("the journal could not be removed: %v", err)
	}
}
