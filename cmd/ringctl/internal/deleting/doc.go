// Package deleting deletes the keys of a bucket.
//
// Keys are listed page by page; each is read, for its context, and deleted with
// it, on the condition that it was not written since. A deleted key is not listed
// any more: who begins again goes on with what is left.
package deleting

import (
	"errors"
	"time"

	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/lines"
	"github.com/ringd/ringd/cmd/ringctl/internal/patience"
	"github.com/ringd/ringd/cmd/ringctl/internal/progress"
)

// DefaultWorkers is how many keys are on their way at once, as many as of an
// import.
const DefaultWorkers = 64

// Config is what to delete, and how.
type Config struct {
	Bucket *client.Bucket
	// Workers is how many keys are on their way at once, at least 1.
	Workers int
	// Patience with members that are away. When it is at its end for one key,
	// the deletion stops: it would be no better with the next.
	Patience patience.Patience
	// Progress counts what was deleted and failed; may be nil.
	Progress *progress.Meter
}

// Report is what became of it.
type Report struct {
	// Deleted keys, and Bytes that their values had.
	Deleted, Bytes int64
	// Kept keys were written between being read and being deleted.
	Kept int64
	// Gone keys had been deleted by others, or had expired, when they were read.
	Gone int64
	// Failed keys could not be read or deleted.
	Failed  int64
	Elapsed time.Duration
	// Failures are the first ones.
	Failures []Failure
	// Stopped says why it ended before the listing did; nil if it didn't.
	Stopped error
}

// Failure is a key that could not be deleted.
type Failure struct {
	Key string
	Err error
}

// JSON returns f as one object: "key" or "key_b64", "error".
func (f Failure) JSON() []byte { return lines.AppendFailure(nil, f.Key, patience.Reason(f.Err)) }

// ErrInterrupted is why a deletion stopped whose context ended.
var ErrInterrupted = errors.New("interrupted")

// failuresShownMax failures are kept for the summary.
const failuresShownMax = 20
