package importing

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/ringd/ringd/cmd/ringctl/internal/lines"
	"github.com/ringd/ringd/cmd/ringctl/internal/patience"
)

func (r *run) stored(bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.report.Stored++
	r.mu.report.Bytes += int64(bytes)
	r.config.Progress.Done(1, int64(bytes))
}

func (r *run) expired() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.report.Expired++
}

// failed counts f, keeps it if it is among the first, and writes it to Errors.
func (r *run) failed(f Failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	report := &r.mu.report
	report.Failed++
	at, _ := slices.BinarySearchFunc(report.Failures, f.Number, func(f Failure, n int64) int { return cmp.Compare(f.Number, n) })
	if at < failuresShownMax {
		report.Failures = slices.Insert(report.Failures, at, f)
		report.Failures = report.Failures[:min(len(report.Failures), failuresShownMax)]
	}
	r.config.Progress.Failed(1)
	if r.config.Errors == nil || r.mu.failing {
		return
	}
	if _, err := r.config.Errors.Write(append(f.JSON(), '\n')); err != nil {
		r.mu.failing = true
		report.Note = fmt.Sprintf("failures can't be written to the --errors file: %v", err)
	}
}

// JSON returns f as one object: "at" (FILE:LINE or path), "key" or "key_b64" if
// it is known, "error".
func (f Failure) JSON() []byte {
	out := lines.AppendKey([]byte("{"), "at", []byte(f.Name))
	if f.Key != "" {
		out = append(out, ',')
		out = lines.AppendKey(out, "key", []byte(f.Key))
	}
	out = append(out, ',')
	return append(lines.AppendKey(out, "error", []byte(patience.Reason(f.Err))), '}')
}
