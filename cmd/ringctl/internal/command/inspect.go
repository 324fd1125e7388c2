package command

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
)

func (a *app) inspect() *cobra.Command {
	var key keyFlags
	cmd := &cobra.Command{
		Use:   "inspect BUCKET KEY",
		Short: "Show what each owner of a key holds",
		Long: `inspect asks each owner of a key for its copy, and merges nothing: the context,
the siblings with their dots and sizes, and a digest that is equal where copies
are. An owner that does not answer has its error instead. What has expired is
shown until it is swept; then "expired" stands for the deletion that is left.

A dot is ACTOR:COUNTER, the actor in hex: one write of one unbroken life of an
owner's copy of the partition.`,
		Example: `  ringctl inspect carts bob
  ringctl inspect carts bob -o json`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, k, err := key.read(args)
			if err != nil {
				return err
			}
			return a.admin(cmd, func(ctx context.Context, admin ringdv1.AdminClient) error {
				r, err := admin.Inspect(ctx, &ringdv1.InspectRequest{
					Key: &ringdv1.Key{BucketType: key.bucketType, Bucket: []byte(bucket), Key: []byte(k)},
				})
				if err != nil {
					return err
				}
				if a.json() {
					return printing.Proto(a.Out, r)
				}
				a.printInspected(r)
				return nil
			})
		},
	}
	key.define(a, cmd)
	return cmd
}

func (a *app) printInspected(r *ringdv1.InspectResponse) {
	fmt.Fprintf(a.Out, "partition %d\n", r.GetPartition())
	var owners, siblings [][]string
	for _, c := range r.GetCopies() {
		name := printing.Name(c.GetMember().GetName())
		state := fmt.Sprintf("%d siblings", len(c.GetSiblings()))
		switch {
		case c.GetError() != "":
			state = "error: " + c.GetError()
		case len(c.GetContext()) == 0 && len(c.GetSiblings()) == 0:
			state = "nothing"
		case len(c.GetSiblings()) == 1:
			state = "1 sibling"
		}
		digest := ""
		if c.GetDigest() != 0 {
			digest = strconv.FormatUint(c.GetDigest(), 16)
		}
		owners = append(owners, []string{name, state, strconv.FormatUint(c.GetSize(), 10), digest, dots(c.GetContext()...)})
		for _, s := range c.GetSiblings() {
			expiry := "never"
			if at := s.GetExpiryUnixMs(); at != 0 {
				expiry = timeText(time.UnixMilli(at))
			}
			what := strconv.FormatUint(s.GetValueSize(), 10)
			switch {
			case s.GetTombstone() && s.GetExpiryUnixMs() != 0:
				what, expiry = "expired", ""
			case s.GetTombstone():
				what, expiry = "deleted", ""
			}
			siblings = append(siblings, []string{
				name, dots(s.GetDot()), what, s.GetContentType(), strconv.Itoa(len(s.GetMetadata())),
				timeText(time.UnixMilli(s.GetModifiedUnixMs())), expiry, fmt.Sprintf("%x", s.GetRequestId()),
			})
		}
	}
	printing.Table(a.Out, []string{"owner", "has", "bytes>", "digest", "context"}, owners)
	if len(siblings) > 0 {
		printing.Table(a.Out, []string{"owner", "dot", "value bytes>", "content type", "metadata>", "modified", "expires", "request id"}, siblings)
	}
}

func dots(all ...*ringdv1.InspectResponse_Dot) string {
	var out []string
	for _, d := range all {
		out = append(out, fmt.Sprintf("%x:%d", d.GetActor(), d.GetCounter()))
	}
	return strings.Join(out, " ")
}
