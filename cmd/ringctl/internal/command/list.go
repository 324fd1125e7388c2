package command

import (
	"bufio"
	"iter"

	"github.com/spf13/cobra"

	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/lines"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
)

func (a *app) keys() *cobra.Command {
	var (
		key keyFlags
		r   count
		raw bool
	)
	cmd := &cobra.Command{
		Use:   "keys BUCKET",
		Short: "List the keys of a bucket",
		Long: `keys prints the keys of a bucket that have a value, one a line: partition by
partition, in the order of their bytes within each. It is no snapshot: keys that
come or go meanwhile may be printed or not.

A key that is no readable UTF-8, or begins with a double quote, is printed quoted
as in Go; with --null all are printed as they are, each with a zero byte behind
it. With "-o json" it prints an object a line: {"key":"..."} or {"key_b64":"..."}.`,
		Example: `  ringctl keys carts
  ringctl keys carts | wc -l
  ringctl keys go --null | xargs -0 -n1 ringctl inspect go
  ringctl keys carts -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, _, err := key.read(args)
			if err != nil {
				return err
			}
			return a.listing(cmd, "key", raw, func(c *client.Client) iter.Seq2[string, error] {
				return c.BucketType(key.bucketType).Bucket(bucket).Keys(cmd.Context(), listOptions(r)...)
			})
		},
	}
	key.define(a, cmd)
	cmd.Flags().BoolVar(&raw, "null", false, "print the keys as they are, each with a zero byte behind it")
	defineCount(cmd, &r, "r", "owners of each partition to hear: a number, one, quorum or all")
	return cmd
}

func (a *app) buckets() *cobra.Command {
	var (
		bucketType string
		r          count
		raw        bool
	)
	cmd := &cobra.Command{
		Use:   "buckets",
		Short: "List the buckets that hold a key",
		Long: `buckets prints the buckets of a bucket type that hold a key, one a line, in the
order of their bytes. Buckets need not be made: the first key makes one.

They are printed as "keys" prints keys; with "-o json" an object a line:
{"bucket":"..."} or {"bucket_b64":"..."}. All partitions are asked, which takes a
while on a large cluster.`,
		Example: `  ringctl buckets
  ringctl buckets --bucket-type strict
  ringctl buckets -o json`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.listing(cmd, "bucket", raw, func(c *client.Client) iter.Seq2[string, error] {
				return c.BucketType(bucketType).Buckets(cmd.Context(), listOptions(r)...)
			})
		},
	}
	a.bucketTypeFlag(cmd, &bucketType)
	cmd.Flags().BoolVar(&raw, "null", false, "print the names as they are, each with a zero byte behind it")
	defineCount(cmd, &r, "r", "owners of each partition to hear: a number, one, quorum or all")
	return cmd
}

func listOptions(r count) []client.ListOption {
	if !r.set {
		return nil
	}
	return []client.ListOption{client.R(r.value)}
}

// listing prints names as they come. --timeout is for each page of them, not
// for all.
func (a *app) listing(cmd *cobra.Command, field string, raw bool, names func(*client.Client) iter.Seq2[string, error]) error {
	c, err := a.connect(cmd.Context())
	if err != nil {
		return err
	}
	defer c.Close()
	out := bufio.NewWriter(a.Out)
	for name, err := range names(c) {
		if err != nil {
			// What came before is worth having; the error says that it's not all.
			_ = out.Flush()
			return err
		}
		switch {
		case a.json():
			_, err = out.Write(append(lines.AppendKey([]byte("{"), field, []byte(name)), "}\n"...))
		case raw:
			_, err = out.WriteString(name + "\x00")
		default:
			_, err = out.WriteString(printing.Name(name) + "\n")
		}
		if err != nil {
			return err
		}
	}
	return out.Flush()
}
