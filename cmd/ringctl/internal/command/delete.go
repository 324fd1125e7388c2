package command

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/ringd/ringd/client"
)

func (a *app) delete() *cobra.Command {
	var (
		key      keyFlags
		write    writeFlags
		replaces contextFlags
	)
	cmd := &cobra.Command{
		Use:   "delete BUCKET KEY",
		Short: "Delete a key",
		Long: `delete removes what the key has: all that a quorum knows, or, with --context, what
was read with that context; a write that came after that read stays. To delete a
key that is not there is no error.

With "-o json" it prints an object: bucket_type, bucket, key, context, request_id.`,
		Example: `  ringctl delete carts alice
  ringctl delete carts bob --context "$(ringctl get carts bob --context-only)" --if-match`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, k, err := key.read(args)
			if err != nil {
				return err
			}
			options := write.options(cmd)
			if o, err := replaces.option(); err != nil {
				return err
			} else if o != nil {
				options = append(options, o)
			}
			return a.withClient(cmd, func(ctx context.Context, c *client.Client) error {
				w, err := c.BucketType(key.bucketType).Bucket(bucket).Delete(ctx, k, asDelete(options)...)
				if err != nil {
					return err
				}
				o := object{key.bucketType, bucket, k, client.Object{Context: w.Context}, true}
				return a.printWritten("deleted", o, w.RequestID, false)
			})
		},
	}
	key.define(a, cmd)
	write.define(cmd)
	replaces.define(cmd)
	return cmd
}
