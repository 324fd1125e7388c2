// Package exporting writes the keys of a bucket and their values as lines.
//
// Keys are listed page by page and read in parallel; lines stand in the order
// of the listing. From time to time the place in the listing is recorded, with
// the length of the file up to there, so that a later run can go on.
package exporting

import (
	"time"

	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/lines"
	"github.com/ringd/ringd/cmd/ringctl/internal/patience"
	"github.com/ringd/ringd/cmd/ringctl/internal/progress"
)

// DefaultWorkers is how many keys are read at once. Each may have 16 MiB, which
// bounds what an export has in memory.
const DefaultWorkers = 64

// DefaultCheckpoint is how much work an interrupted export may lose.
const DefaultCheckpoint = 5 * time.Second

// Config is how to export.
type Config struct {
	Bucket *client.Bucket
	// ReadOptions of each get, ListOptions of the listing.
	ReadOptions []client.GetOption
	ListOptions []client.ListOption
	// Workers is how many keys are read at once, at least 1.
	Workers int
	// Patience with members that are away. When it is at its end, the export
	// stops.
	Patience patience.Patience
	// Never: values that don't expire say so in their line, because their bucket
	// type has a default that would have them expire where they are imported.
	Never bool
	// Checkpoint is the least time between two; 0 is one behind each page.
	Checkpoint time.Duration
	// Progress counts what was written; may be nil.
	Progress *progress.Meter
}

// Counts of an export, former runs that it goes on with included.
type Counts struct {
	// Keys written, and Bytes of their values.
	Keys  int64 `json:"keys"`
	Bytes int64 `json:"bytes"`
	// Gone keys were deleted between being listed and being read.
	Gone int64 `json:"gone"`
	// Failed keys could not be read.
	Failed int64 `json:"failed"`
}

// Report is what became of an export.
type Report struct {
	Counts
	// Resumed keys are those of former runs, counted in Keys too.
	Resumed int64
	Elapsed time.Duration
	// Failures are the first ones of this run.
	Failures []Failure
	// Stopped says why the export is not complete; nil if it is.
	Stopped error
}

// Failure is a key that could not be read.
type Failure struct {
	Key string
	Err error
}

// JSON returns f as one object: "key" or "key_b64", "error".
func (f Failure) JSON() []byte { return lines.AppendFailure(nil, f.Key, patience.Reason(f.Err)) }

// failuresShownMax failures are kept for the summary.
const failuresShownMax = 20
