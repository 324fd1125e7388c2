package command

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
)

func (a *app) get() *cobra.Command {
	var (
		key            keyFlags
		read           readFlags
		repairBlocking bool
		head           bool
		contextOnly    bool
		sibling        int
	)
	cmd := &cobra.Command{
		Use:   "get BUCKET KEY",
		Short: "Read a key",
		Long: `get writes the key's value to stdout, byte for byte as it was stored.

A key that several wrote without knowing of each other has siblings. get doesn't
pick one for you: it lists them on stderr and exits with code 7. Choose with
--sibling, or take all with "-o json"; then write what they should have been,
with their context:

  ringctl put BUCKET KEY VALUE --context "$(ringctl get BUCKET KEY --context-only)"

With "-o json" it prints an object: bucket_type, bucket, key, found, context (in
base64), and siblings, each with its number, size, time of writing (by the clock
of the member that took it), value or value_b64 as "ringctl help format" says,
content_type, metadata, and expiry if it has one, or "deleted": true. bucket and
key that are no UTF-8 are bucket_b64 and key_b64. A key that was deleted, or has
expired, has a context too: it is printed, and the exit code is 3.`,
		Example: `  ringctl get carts alice
  ringctl get carts alice --r all
  ringctl get carts bob -o json
  ringctl get carts bob --sibling 2
  ringctl get photos cat.jpg > cat.jpg`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, k, err := key.read(args)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("sibling") && sibling < 1 {
				return exit.Usagef("--sibling %d: siblings are counted from 1", sibling)
			}
			options := read.options(cmd)
			if cmd.Flags().Changed("repair-blocking") {
				options = append(options, client.RepairBlocking(repairBlocking))
			}
			if head || contextOnly {
				options = append(options, client.Head())
			}
			return a.withClient(cmd, func(ctx context.Context, c *client.Client) error {
				o, err := c.BucketType(key.bucketType).Bucket(bucket).Get(ctx, k, options...)
				found := object{key.bucketType, bucket, k, o, head}
				deleted := errors.Is(err, client.ErrNotFound) && o.Context != nil
				switch {
				case contextOnly && (err == nil || deleted):
					_, err := fmt.Fprintln(a.Out, base64.StdEncoding.EncodeToString(o.Context))
					return err
				case deleted && a.json():
					return errors.Join(err, printing.Raw(a.Out, found.json()))
				case err != nil:
					return err
				}
				return a.printObject(found, sibling)
			})
		},
	}
	f := cmd.Flags()
	key.define(a, cmd)
	read.define(cmd)
	f.BoolVar(&repairBlocking, "repair-blocking", false, "have W owners hold what is answered before it is answered")
	f.BoolVar(&head, "head", false, "leave out the values: list what is there")
	f.BoolVar(&contextOnly, "context-only", false, "print only the context, in base64")
	f.IntVar(&sibling, "sibling", 0, "of several siblings, take this one, from 1")
	cmd.MarkFlagsMutuallyExclusive("head", "context-only", "sibling")
	return cmd
}

// withClient calls do with a client, and a context that ends with --timeout.
func (a *app) withClient(cmd *cobra.Command, do func(context.Context, *client.Client) error) error {
	c, err := a.connect(cmd.Context())
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
	defer cancel()
	return do(ctx, c)
}

// printObject writes one value as it is, or all there is in another form. pick
// is the number of a sibling, or 0.
func (a *app) printObject(o object, pick int) error {
	siblings := o.found.Siblings
	if pick > len(siblings) {
		return exit.New(exit.NotFound, "", "there is no sibling %d: the key has %d", pick, len(siblings))
	}
	if pick > 0 {
		o.found.Siblings = siblings[pick-1 : pick]
	}
	switch {
	case a.json():
		return printing.Raw(a.Out, o.json())
	case o.head:
		printSiblings(a.Out, siblings)
		return nil
	case len(o.found.Siblings) > 1:
		printSiblings(a.Err, siblings)
		return exit.New(exit.Siblings, `choose with --sibling NUMBER, or take all with "-o json"`, "the key has %d siblings, listed above", len(siblings))
	case o.found.Siblings[0].Deleted:
		return exit.New(exit.NotFound, "", "sibling %d is a deletion, without a value", max(pick, 1))
	}
	value := o.found.Siblings[0].Value
	if _, err := a.Out.Write(value); err != nil {
		return err
	}
	if a.OutTerminal && a.ErrTerminal && len(value) > 0 && value[len(value)-1] != '\n' {
		fmt.Fprintln(a.Err) // the prompt gets a line of its own; stdout stays exact
	}
	return nil
}

func timeText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
