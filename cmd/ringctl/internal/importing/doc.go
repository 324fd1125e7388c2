// Package importing stores the lines of a file, or the files of a directory, as
// keys.
//
// A write goes out under a request id that follows from the key and value
// alone, so that a line which is imported again changes nothing. A journal
// beside the source says how far an import came, and a later run goes on there.
// Memory is bounded by the bytes in flight, whatever the source's size.
package importing

import (
	"iter"
	"sync/atomic"

	"github.com/ringd/ringd/cmd/ringctl/internal/lines"
)

// Bounds of an import. Each is named in the error that says it was hit.
const (
	// LineBytesMax bounds a line, or a file of a directory: a key's siblings
	// have 16 MiB at most, which is 22 MiB in base64.
	LineBytesMax = 32 << 20
	// bytesInFlightMax bounds what is read and not yet acknowledged, a single
	// larger line apart: two of the longest lines.
	bytesInFlightMax = 2 * LineBytesMax
	// aheadMax bounds how far the import runs ahead of a line that is being
	// retried: what it remembers of those ahead is some MiB.
	aheadMax = 1 << 16
	// journalFailuresMax bounds the failed lines that the journal remembers;
	// beyond it, a later run begins again at the first that didn't fit.
	journalFailuresMax = 10_000
	// failuresShownMax failures are kept for the summary; all go to --errors.
	failuresShownMax = 20
)

// DefaultWorkers is how many keys are on their way at once: enough that group
// commits are filled, few enough that other clients hardly notice.
const DefaultWorkers = 64

// Item is a line, or a file of a directory.
type Item struct {
	// Number from 1, in the order of the source.
	Number int64
	// Name for messages: FILE:LINE, or the file's path.
	Name string
	// Line is a line to be parsed; nil if Entry is there.
	Line  []byte
	Entry lines.Entry
	// Blank: there is nothing in it; it is here so that numbers have no gaps.
	Blank bool
	// Err says why the item can't be used.
	Err error
	// Size in bytes.
	Size int
}

// Source is what is imported.
type Source struct {
	// Name for messages.
	Name string
	// Identity tells whether a journal is of this very source; empty if it can't
	// be told, as of standard input.
	Identity string
	// Bytes of the source as stored, 0 if unknown.
	Bytes int64
	// Position counts how many of Bytes were read.
	Position *atomic.Int64
	// Items yields the items but for those that skip wants left out. An error
	// ends it: the source can't be read any further.
	Items func(skip func(number int64) bool) iter.Seq2[Item, error]
	// Note says what was left out, in words; empty if nothing was. Good once
	// Items has ended.
	Note func() string
	// Close releases the source.
	Close func() error
}
