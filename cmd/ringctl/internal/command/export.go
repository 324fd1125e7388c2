package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/exporting"
	"github.com/ringd/ringd/cmd/ringctl/internal/patience"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
	"github.com/ringd/ringd/cmd/ringctl/internal/progress"
)

// exportFlags are those of export.
type exportFlags struct {
	bucketType, bucket string
	read               readFlags
	resume             bool
	workers            int
	retryFor           time.Duration
	quiet              bool
}

func (a *app) exporting() *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export --bucket BUCKET [FILE | -]",
		Short: "Write the keys and values of a bucket as lines",
		Long: `export writes all keys of a bucket with their values, a line each, to a file or
(by default, and for -) to stdout; "ringctl help format" says what a line looks
like. A file whose name ends in .gz is compressed. "import" gives the same keys
and values again.

It is no snapshot: each key is as it was when it was read. A key that is deleted
meanwhile, or expires, is left out and counted.

A file is written as FILE` + exporting.PartSuffix + ` and gets its name when it is complete. An export
that was interrupted, or stopped because members were away for --retry-for, is
gone on with by --resume. If a key can't be read the others go on, and the exit
code is 1.

With "-o json" the outcome is an object: bucket, lines, failed, gone, resumed,
bytes, seconds, per_second, complete, failures. It goes to stdout, or to stderr
where the lines go to stdout.`,
		Example: `  ringctl export --bucket debian debian.jsonl.gz
  ringctl export --bucket debian debian.jsonl.gz --resume
  ringctl export --bucket carts | head -3
  ringctl export --bucket carts --r all carts.jsonl -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "-"
			if len(args) == 1 {
				path = args[0]
			}
			return a.runExport(cmd, f, path)
		},
	}
	flags := cmd.Flags()
	a.bucketTypeFlag(cmd, &f.bucketType)
	flags.StringVar(&f.bucket, "bucket", "", "bucket to export")
	must(cmd.MarkFlagRequired("bucket"))
	f.read.define(cmd)
	flags.BoolVar(&f.resume, "resume", false, "go on with an export to FILE that was interrupted")
	flags.IntVar(&f.workers, "workers", exporting.DefaultWorkers, "keys read at once, each of which may take 16 MiB of memory")
	flags.DurationVar(&f.retryFor, "retry-for", patience.DefaultRetryFor, "how long to try while members are away")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "no progress on stderr")
	return cmd
}

func (a *app) runExport(cmd *cobra.Command, f exportFlags, path string) error {
	if err := checkWorkers(f.workers, f.retryFor); err != nil {
		return err
	}
	switch {
	case f.bucket == "":
		return exit.Usagef("--bucket is empty: it has at least 1 byte")
	case f.resume && path == "-":
		return exit.Usagef("--resume needs FILE: what was written to stdout can't be gone on with")
	}
	ctx := cmd.Context()
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	cluster, bucketType, err := a.target(ctx, c, f.bucketType)
	if err != nil {
		return err
	}
	out, summary := exporting.Stream(a.Out), a.Err
	if path != "-" {
		note := ""
		target := exporting.Target{Cluster: cluster, BucketType: f.bucketType, Bucket: []byte(f.bucket)}
		if out, note, err = exporting.File(path, target, f.resume); err != nil {
			return err
		}
		summary = a.Out
		if note != "" {
			fmt.Fprintln(a.Err, "note:", note)
		}
	}
	config := exporting.Config{
		Bucket: c.BucketType(f.bucketType).Bucket(f.bucket), ReadOptions: f.read.options(cmd),
		Workers: f.workers, Patience: patience.Patience{Timeout: a.timeout, RetryFor: f.retryFor}, Checkpoint: exporting.DefaultCheckpoint,
		Never: bucketType.GetDefaultTtl().AsDuration() > 0,
	}
	if f.read.r.set {
		config.ListOptions = []client.ListOption{client.R(f.read.r.value)}
	}
	// A bar between the lines on one terminal would spoil both.
	if !f.quiet && (path != "-" || !a.OutTerminal) {
		config.Progress = progress.New(a.Err, a.ErrTerminal, "exported", func() (int64, int64) { return 0, 0 })
	}
	report := exporting.Run(ctx, out, config)
	config.Progress.Close()
	return a.reportExport(summary, f.bucket, report, out.Resumable())
}

// outcome is an import or export in JSON.
type outcome struct {
	Bucket    string            `json:"bucket"`
	Lines     int64             `json:"lines"`
	Stored    *int64            `json:"stored,omitempty"` // of imports
	Failed    int64             `json:"failed"`
	Expired   *int64            `json:"expired,omitempty"` // of imports
	Gone      *int64            `json:"gone,omitempty"`    // of exports
	Resumed   int64             `json:"resumed"`
	Bytes     int64             `json:"bytes"`
	Seconds   float64           `json:"seconds"`
	PerSecond int64             `json:"per_second"`
	Complete  bool              `json:"complete"`
	Failures  []json.RawMessage `json:"failures,omitempty"`
}

// seconds with three decimals: more is noise.
func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }

func (a *app) reportExport(w io.Writer, bucket string, r exporting.Report, resumable bool) error {
	for _, f := range r.Failures {
		fmt.Fprintf(a.Err, "key %s: %s\n", printing.Short(f.Key), patience.Reason(f.Err))
	}
	if err := a.printExport(w, bucket, r); err != nil {
		return err
	}
	again := "export again"
	if resumable {
		again = "--resume goes on with it"
	}
	switch {
	case errors.Is(r.Stopped, exporting.ErrInterrupted):
		return exit.New(exit.Failed, again, "interrupted")
	case r.Stopped != nil:
		return exit.New(exit.Failed, again, "the export stopped: %v", r.Stopped)
	case r.Failed > 0:
		return exit.New(exit.Failed, "the export is without them", "%d keys could not be read", r.Failed)
	}
	return nil
}

func (a *app) printExport(w io.Writer, bucket string, r exporting.Report) error {
	rate := float64(r.Keys-r.Resumed) / max(r.Elapsed.Seconds(), 0.001)
	if a.json() {
		out := outcome{
			Bucket: bucket, Lines: r.Keys, Failed: r.Failed, Gone: &r.Gone, Resumed: r.Resumed, Bytes: r.Bytes,
			Seconds: seconds(r.Elapsed), PerSecond: int64(rate), Complete: r.Stopped == nil,
		}
		for _, f := range r.Failures {
			out.Failures = append(out.Failures, f.JSON())
		}
		return printing.JSON(w, out)
	}
	more := ""
	if r.Gone > 0 {
		more += fmt.Sprintf(", %d deleted or expired meanwhile", r.Gone)
	}
	if r.Resumed > 0 {
		more += fmt.Sprintf(", %d of them written before", r.Resumed)
	}
	_, err := fmt.Fprintf(w, "%d keys from %s, %d failed%s; %s in %.1f s, %.0f/s\n",
		r.Keys, printing.Name(bucket), r.Failed, more, progress.Bytes(r.Bytes), r.Elapsed.Seconds(), rate)
	return err
}
