package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/spf13/cobra"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
)

// answer is what one member said, or why it did not.
type answer[T any] struct {
	member *ringdv1.Member
	said   T
	err    error
}

// roleGateway is of members that keep nothing.
const roleGateway = "gateway"

// askAll asks each member that stores, all at once, by the Admin service of that
// member alone. The answers are in the order of the members' names.
func askAll[T any](ctx context.Context, c *client.Client, ask func(*ringdv1.Member, ringdv1.AdminClient) (T, error)) ([]answer[T], error) {
	r, err := c.Admin().Members(ctx, &ringdv1.MembersRequest{})
	if err != nil {
		return nil, err
	}
	storing := slices.DeleteFunc(r.GetMembers(), func(m *ringdv1.Member) bool { return m.GetRole() == roleGateway })
	answers := make([]answer[T], len(storing))
	var asked sync.WaitGroup
	for i, m := range storing {
		asked.Go(func() {
			answers[i].member = m
			answers[i].said, answers[i].err = ask(m, c.AdminOf(m.GetId()))
		})
	}
	asked.Wait()
	return answers, ctx.Err()
}

// sayFailed says on stderr which members failed, and returns how many did. An
// error that is of what was asked for, and no member's, is returned instead.
func sayFailed[T any](a *app, answers []answer[T]) (failed int, err error) {
	for _, of := range answers {
		if of.err == nil {
			continue
		}
		if code := exit.Of(of.err).Code; code == exit.Usage || code == exit.NotFound {
			return 0, of.err
		}
		failed++
		fmt.Fprintf(a.Err, "%s: %s\n", printing.Name(of.member.GetName()), reason(of.err))
	}
	return failed, nil
}

// reason is an error in few words, for a line that names the member already.
func reason(err error) string {
	if e, ok := errors.AsType[*client.Error](err); ok && e.Message != "" {
		return e.Message
	}
	return err.Error()
}

// scopeFlags say what is repaired or compared.
type scopeFlags struct {
	bucketType string
	partition  uint32
}

func (f *scopeFlags) define(a *app, cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.bucketType, "bucket-type", "", "only this bucket type (default: all)")
	must(cmd.RegisterFlagCompletionFunc("bucket-type", a.completeBucketTypes))
	f.definePartition(cmd)
}

func (f *scopeFlags) definePartition(cmd *cobra.Command) {
	cmd.Flags().Uint32Var(&f.partition, "partition", 0, "only this partition, from 0 (default: all)")
}

// read returns nil for what was not said.
func (f *scopeFlags) read(cmd *cobra.Command) (bucketType *string, partition *uint32) {
	if cmd.Flags().Changed("bucket-type") {
		bucketType = &f.bucketType
	}
	if cmd.Flags().Changed("partition") {
		partition = &f.partition
	}
	return bucketType, partition
}

// noSubcommand is for commands that do something and have subcommands, too.
func noSubcommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
	}
	return nil
}
