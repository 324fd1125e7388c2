package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/importing"
	"github.com/ringd/ringd/cmd/ringctl/internal/patience"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
	"github.com/ringd/ringd/cmd/ringctl/internal/progress"
)

// importFlags are those of import.
type importFlags struct {
	bucketType, bucket string
	write              writeFlags
	overwrite          bool
	workers            int
	retryFor           time.Duration
	state              string
	fromStart          bool
	errorsFile         string
	quiet              bool
}

// journalSuffix is added to the name of a source for its journal.
const journalSuffix = ".ringctl-import"

// checkpointEvery is how much work an import that was killed does again.
const checkpointEvery = time.Second

func (a *app) importing() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import FILE | DIR | -",
		Short: "Store the lines of a file, or the files of a directory",
		Long: `import stores each line of a file as a key; "ringctl help format" says what a line
looks like. A file whose name ends in .gz is read as gzip, stdin (-) too if it is.
Of a directory, it stores each regular file under its path below it, with / between,
and its bytes as the value.

Importing again is safe: the same value for the same key is the same write, which
members take once. Another value for a key that has one becomes a sibling, as
always where a writer has not read; --overwrite reads each key first and replaces
what it has, at the cost of that read.

A line that can't be stored is named on stderr with the reason (--errors has all
of them), and the others go on; the exit code is 1 then. When members are away,
each line is tried for --retry-for; then the import stops. How far it came is
recorded in FILE` + journalSuffix + ` (or in --state): the same command goes on there,
and tries again what failed. The record is gone when all is stored.

A line whose values have all expired is left out and counted. A line or file has at
most 32 MiB. With "-o json" the outcome is an object: bucket, lines, stored,
expired, failed, resumed, bytes, seconds, per_second, complete, failures.`,
		Example: `  ringctl import packages.jsonl.gz --bucket debian
  ringctl import "$(go env GOROOT)/src/net" --bucket go
  zcat old.jsonl.gz | ringctl import - --bucket carts --overwrite
  ringctl import carts.jsonl --bucket carts --w all --errors failed.jsonl`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runImport(cmd, f, args[0]) },
	}
	flags := cmd.Flags()
	a.bucketTypeFlag(cmd, &f.bucketType)
	flags.StringVar(&f.bucket, "bucket", "", "bucket to store in (default: the name of FILE up to its first dot, or of DIR)")
	f.write.define(cmd)
	flags.BoolVar(&f.overwrite, "overwrite", false, "replace what a key has, instead of adding a sibling")
	flags.IntVar(&f.workers, "workers", importing.DefaultWorkers, "keys on their way at once: more fill the members' commits better, and leave less to other clients")
	flags.DurationVar(&f.retryFor, "retry-for", patience.DefaultRetryFor, "how long to try each line while members are away")
	flags.StringVar(&f.state, "state", "", "file that records how far the import came (default: FILE"+journalSuffix+"; none for stdin)")
	flags.BoolVar(&f.fromStart, "from-start", false, "don't go on where a former import was")
	flags.StringVar(&f.errorsFile, "errors", "", "write all failures to this file, as lines of JSON")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "no progress on stderr")
	return cmd
}

func (a *app) runImport(cmd *cobra.Command, f importFlags, path string) error {
	if err := checkWorkers(f.workers, f.retryFor); err != nil {
		return err
	}
	if f.bucket == "" {
		var err error
		if f.bucket, err = bucketOf(path); err != nil {
			return err
		}
	}
	ctx := cmd.Context()
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	cluster, _, err := a.target(ctx, c, f.bucketType)
	if err != nil {
		return err
	}
	source, err := a.source(path)
	if err != nil {
		return err
	}
	defer source.Close()
	journal, err := a.journal(f, path, source, cluster)
	if err != nil {
		return err
	}
	config := importing.Config{
		Bucket: c.BucketType(f.bucketType).Bucket(f.bucket), Options: asPut(f.write.options(cmd)), Overwrite: f.overwrite,
		Workers: f.workers, Patience: patience.Patience{Timeout: a.timeout, RetryFor: f.retryFor},
		Journal: journal, Checkpoint: checkpointEvery,
	}
	if s := f.write.sloppy.option(cmd); s != nil {
		config.ReadOptions = append(config.ReadOptions, *s)
	}
	if f.errorsFile != "" {
		out, err := os.Create(f.errorsFile)
		if err != nil {
			return err
		}
		defer out.Close()
		config.Errors = out
	}
	if !f.quiet {
		config.Progress = progress.New(a.Err, a.ErrTerminal, "imported", func() (int64, int64) { return source.Position.Load(), source.Bytes })
	}
	report := importing.Run(ctx, source, config)
	config.Progress.Close()
	for _, note := range []string{source.Note(), report.Note} {
		if note != "" {
			fmt.Fprintln(a.Err, "note:", note)
		}
	}
	return a.reportImport(f.bucket, report)
}

// target finds the bucket type, before anything is read or written, and the id of
// the cluster.
func (a *app) target(ctx context.Context, c *client.Client, name string) (cluster string, t *ringdv1.BucketType, err error) {
	r, err := c.Admin().DescribeBucketType(ctx, &ringdv1.DescribeBucketTypeRequest{Name: name})
	if err != nil {
		return "", nil, err
	}
	s, err := c.Admin().Status(ctx, &ringdv1.StatusRequest{})
	return s.GetClusterId(), r.GetBucketType(), err
}

func checkWorkers(workers int, retryFor time.Duration) error {
	const most = 4096 // requests that the client has in flight to one member
	if workers < 1 || workers > most {
		return exit.Usagef("--workers %d: use 1 to %d", workers, most)
	}
	if retryFor < 0 {
		return exit.Usagef("--retry-for %v: it can't be negative", retryFor)
	}
	return nil
}

// bucketOf is the bucket that a source goes to by default.
func bucketOf(path string) (string, error) {
	if path != "-" {
		if abs, err := filepath.Abs(path); err == nil {
			if name, _, _ := strings.Cut(filepath.Base(abs), "."); name != "" && name != string(filepath.Separator) {
				return name, nil
			}
		}
	}
	return "", exit.Usagef("--bucket is missing: %s has no name to take it from", path)
}

func (a *app) source(path string) (*importing.Source, error) {
	if path == "-" {
		return importing.Stdin(a.In)
	}
	return importing.Open(path)
}

// journal returns nil if the import can't be gone on with later.
func (a *app) journal(f importFlags, path string, s *importing.Source, cluster string) (*importing.Journal, error) {
	at := f.state
	if at == "" {
		if s.Identity == "" {
			return nil, nil
		}
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		at = abs + journalSuffix
	}
	target := importing.Target{Cluster: cluster, BucketType: f.bucketType, Bucket: []byte(f.bucket), Overwrite: f.overwrite}
	j, note, err := importing.OpenJournal(at, s, target, f.fromStart)
	if err != nil {
		return nil, err
	}
	if note != "" {
		fmt.Fprintln(a.Err, "note:", note)
	}
	if n := j.Through(); n > 0 {
		fmt.Fprintf(a.Err, "note: going on behind line or file %d, as %s says (--from-start begins anew)\n", n, at)
	}
	return j, nil
}

// reportImport prints the outcome. The error says what is to be done about it.
func (a *app) reportImport(bucket string, r importing.Report) error {
	for _, f := range r.Failures {
		key := ""
		if f.Key != "" {
			key = "key " + printing.Short(f.Key) + ": "
		}
		fmt.Fprintf(a.Err, "%s: %s%s\n", f.Name, key, patience.Reason(f.Err))
	}
	if more := r.Failed - int64(len(r.Failures)); more > 0 {
		fmt.Fprintf(a.Err, "and %d more failures (--errors FILE has all)\n", more)
	}
	if err := a.printImport(bucket, r); err != nil {
		return err
	}
	again := "run it again once that is mended: what is stored already does no harm"
	if r.Resumable {
		again = "the same command goes on where it was"
	}
	switch {
	case errors.Is(r.Stopped, importing.ErrInterrupted):
		return exit.New(exit.Failed, again, "interrupted")
	case r.Stopped != nil:
		return exit.New(exit.Failed, again, "the import stopped: %v", r.Stopped)
	case r.Failed > 0:
		return exit.New(exit.Failed, "correct them and import again: what is stored already does no harm", "%d of %d lines were not stored", r.Failed, r.Stored+r.Failed+r.Expired)
	}
	return nil
}

func (a *app) printImport(bucket string, r importing.Report) error {
	rate := float64(r.Stored) / max(r.Elapsed.Seconds(), 0.001)
	all := r.Stored + r.Failed + r.Expired
	if !a.json() {
		more := ""
		if r.Expired > 0 {
			more += fmt.Sprintf(", %d expired already", r.Expired)
		}
		if r.Resumed > 0 {
			more += fmt.Sprintf(", %d lines done with before", r.Resumed)
		}
		_, err := fmt.Fprintf(a.Out, "%d lines into %s: %d stored, %d failed%s; %s in %.1f s, %.0f/s\n",
			all, printing.Name(bucket), r.Stored, r.Failed, more, progress.Bytes(r.Bytes), r.Elapsed.Seconds(), rate)
		return err
	}
	out := outcome{
		Bucket: bucket, Lines: all, Stored: &r.Stored, Expired: &r.Expired, Failed: r.Failed, Resumed: r.Resumed, Bytes: r.Bytes,
		Seconds: seconds(r.Elapsed), PerSecond: int64(rate), Complete: r.Stopped == nil,
	}
	for _, f := range r.Failures {
		out.Failures = append(out.Failures, f.JSON())
	}
	return printing.JSON(a.Out, out)
}
