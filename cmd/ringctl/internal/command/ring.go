package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
)

func (a *app) ring() *cobra.Command {
	var (
		partition uint32
		byKey     bool
		key       keyFlags
	)
	cmd := &cobra.Command{
		Use:   "ring [--partition P | --key BUCKET KEY]",
		Short: "Show who owns which partition",
		Long: `ring shows the owners of each partition, by slot: the first one is asked first.

Of one partition, given by its number or by a key that is in it, it shows the
fallbacks too, in the order in which they stand in for owners that are away.`,
		Example: `  ringctl ring
  ringctl ring --partition 17
  ringctl ring --key carts alice
  ringctl ring --key carts alice -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if byKey && len(args) != 2 {
				return fmt.Errorf("--key takes BUCKET and KEY, not %d arguments", len(args))
			}
			if !byKey && len(args) > 0 {
				return fmt.Errorf("%q is one argument too many (a key is given as --key BUCKET KEY)", args[0])
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			request := &ringdv1.RingRequest{}
			if cmd.Flags().Changed("partition") {
				request.Partition = &partition
			}
			if byKey {
				bucket, k, err := key.read(args)
				if err != nil {
					return err
				}
				request.Key = &ringdv1.Key{BucketType: key.bucketType, Bucket: []byte(bucket), Key: []byte(k)}
			}
			return a.admin(cmd, func(ctx context.Context, admin ringdv1.AdminClient) error {
				r, err := admin.Ring(ctx, request)
				if err != nil {
					return err
				}
				if a.json() {
					return printing.Proto(a.Out, r)
				}
				return a.printRing(r, byKey || request.Partition != nil)
			})
		},
	}
	cmd.Flags().Uint32Var(&partition, "partition", 0, "only this partition, from 0")
	cmd.Flags().BoolVar(&byKey, "key", false, "only the partition of the key that the arguments BUCKET and KEY name")
	cmd.MarkFlagsMutuallyExclusive("partition", "key")
	key.define(a, cmd)
	return cmd
}

func (a *app) printRing(r *ringdv1.RingResponse, one bool) error {
	if len(r.GetRows()) == 0 {
		return exit.New(exit.NotFound, `"ringctl commit" gives the partitions to the members`, "the ring has no owners yet")
	}
	names := func(indexes []uint32) (string, error) {
		var all []string
		for _, i := range indexes {
			if int(i) >= len(r.GetMembers()) {
				return "", fmt.Errorf("the member's answer names member %d of %d", i, len(r.GetMembers()))
			}
			all = append(all, printing.Name(r.GetMembers()[i].GetName()))
		}
		return strings.Join(all, ", "), nil
	}
	fmt.Fprintf(a.Out, "epoch %s, %d partitions, %d replicas\n", epoch(r.GetEpoch()), r.GetPartitions(), r.GetReplicas())
	header := []string{"partition>", "owners"}
	if one {
		header = append(header, "fallbacks")
	}
	var rows [][]string
	for _, p := range r.GetRows() {
		owners, err := names(p.GetOwners())
		if err != nil {
			return err
		}
		row := []string{number(p.GetId()), owners}
		if one {
			fallbacks, err := names(p.GetFallbacks())
			if err != nil {
				return err
			}
			row = append(row, fallbacks)
		}
		rows = append(rows, row)
	}
	printing.Table(a.Out, header, rows)
	return nil
}
