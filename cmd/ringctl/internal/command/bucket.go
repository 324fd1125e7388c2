package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringd/ringd/cmd/ringctl/internal/deleting"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/patience"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
	"github.com/ringd/ringd/cmd/ringctl/internal/progress"
)

func (a *app) bucket() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bucket",
		Short: "Delete all keys of a bucket",
		Long: `A bucket is a namespace of keys. It need not be made, and is gone with its last key;
"ringctl buckets" lists those that hold one.`,
		Example: `  ringctl bucket delete carts`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.bucketDelete())
	return cmd
}

// bucketDeleteFlags are those of bucket delete.
type bucketDeleteFlags struct {
	key      keyFlags
	yes      bool
	workers  int
	retryFor time.Duration
	quiet    bool
}

func (a *app) bucketDelete() *cobra.Command {
	var f bucketDeleteFlags
	cmd := &cobra.Command{
		Use:   "delete BUCKET",
		Short: "Delete all keys of a bucket",
		Long: `delete asks whether to go on, lists the keys of a bucket, and deletes each as it was
when it was read. What is written meanwhile is not lost: such a key is kept and
counted, or, where the two meet, has the deletion as a sibling (with last-write-wins
the later of the two counts). Keys that come anew may be deleted or not. Values
can't be brought back: "ringctl export" keeps a copy.

It may be interrupted: the same command goes on with the keys that are left. It
stops by itself when members have been away for --retry-for. If a key can't be
deleted the others go on, and the exit code is 1.

Where it can't ask, because the input is no terminal, it needs --yes. With
"-o json" the outcome is an object: bucket, deleted, kept, gone (deleted by others
meanwhile), failed, bytes, seconds, per_second, complete, failures.`,
		Example: `  ringctl bucket delete carts
  ringctl bucket delete sessions --bucket-type cache --yes
  ringctl bucket delete carts --yes -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, _, err := f.key.read(args)
			if err != nil {
				return err
			}
			return a.runBucketDelete(cmd, f, bucket)
		},
	}
	flags := cmd.Flags()
	f.key.define(a, cmd)
	flags.BoolVar(&f.yes, "yes", false, "don't ask")
	flags.IntVar(&f.workers, "workers", deleting.DefaultWorkers, "keys on their way at once: more fill the members' commits better, and leave less to other clients")
	flags.DurationVar(&f.retryFor, "retry-for", patience.DefaultRetryFor, "how long to try while members are away")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "no progress on stderr")
	return cmd
}

func (a *app) runBucketDelete(cmd *cobra.Command, f bucketDeleteFlags, bucket string) error {
	if err := checkWorkers(f.workers, f.retryFor); err != nil {
		return err
	}
	ctx := cmd.Context()
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	cluster, _, err := a.target(ctx, c, f.key.bucketType)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("all keys of bucket %s (bucket type %s) in cluster %s", printing.Name(bucket), f.key.bucketType, cluster)
	switch {
	case f.yes:
	case !a.InTerminal:
		return exit.New(exit.Usage, "give --yes to delete "+what, "the input is no terminal, so that delete can't ask")
	default:
		ok, err := a.ask(ctx, "Delete "+what+"?")
		if err != nil {
			return err
		}
		if !ok {
			return exit.New(exit.Failed, "", "nothing was deleted, as you said")
		}
	}
	config := deleting.Config{
		Bucket: c.BucketType(f.key.bucketType).Bucket(bucket), Workers: f.workers,
		Patience: patience.Patience{Timeout: a.timeout, RetryFor: f.retryFor},
	}
	if !f.quiet {
		config.Progress = progress.New(a.Err, a.ErrTerminal, "deleted", func() (int64, int64) { return 0, 0 })
	}
	report := deleting.Run(ctx, config)
	config.Progress.Close()
	return a.reportDeleted(bucket, report)
}

// reportDeleted prints the outcome. The error says what is to be done about it.
func (a *app) reportDeleted(bucket string, r deleting.Report) error {
	for _, f := range r.Failures {
		fmt.Fprintf(a.Err, "key %s: %s\n", printing.Short(f.Key), patience.Reason(f.Err))
	}
	if more := r.Failed - int64(len(r.Failures)); more > 0 {
		fmt.Fprintf(a.Err, "and %d more failures\n", more)
	}
	if err := a.printDeleted(bucket, r); err != nil {
		return err
	}
	const again = "the same command goes on with the keys that are left"
	switch {
	case errors.Is(r.Stopped, deleting.ErrInterrupted):
		return exit.New(exit.Failed, again, "interrupted")
	case r.Stopped != nil:
		return exit.New(exit.Failed, again, "the deletion stopped: %v", r.Stopped)
	case r.Failed > 0:
		return exit.New(exit.Failed, again, "%d keys were not deleted", r.Failed)
	}
	return nil
}

// deletion is the outcome in JSON.
type deletion struct {
	Bucket    string            `json:"bucket"`
	Deleted   int64             `json:"deleted"`
	Kept      int64             `json:"kept"`
	Gone      int64             `json:"gone"`
	Failed    int64             `json:"failed"`
	Bytes     int64             `json:"bytes"`
	Seconds   float64           `json:"seconds"`
	PerSecond int64             `json:"per_second"`
	Complete  bool              `json:"complete"`
	Failures  []json.RawMessage `json:"failures,omitempty"`
}

func (a *app) printDeleted(bucket string, r deleting.Report) error {
	rate := float64(r.Deleted) / max(r.Elapsed.Seconds(), 0.001)
	if a.json() {
		out := deletion{
			Bucket: bucket, Deleted: r.Deleted, Kept: r.Kept, Gone: r.Gone, Failed: r.Failed, Bytes: r.Bytes,
			Seconds: seconds(r.Elapsed), PerSecond: int64(rate), Complete: r.Stopped == nil,
		}
		for _, f := range r.Failures {
			out.Failures = append(out.Failures, f.JSON())
		}
		return printing.JSON(a.Out, out)
	}
	more := ""
	if r.Kept > 0 {
		more += fmt.Sprintf(", %d written meanwhile and kept", r.Kept)
	}
	if r.Gone > 0 {
		more += fmt.Sprintf(", %d gone meanwhile", r.Gone)
	}
	_, err := fmt.Fprintf(a.Out, "%d keys of %s deleted, %d failed%s; %s in %.1f s, %.0f/s\n",
		r.Deleted, printing.Name(bucket), r.Failed, more, progress.Bytes(r.Bytes), r.Elapsed.Seconds(), rate)
	return err
}
