package command

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
)

func (a *app) bucketType() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bucket-type",
		Short: "Make, show and change bucket types",
		Long: `A bucket type is how many owners keep each key of its buckets, and what requests
for them mean when they don't say: every key is in a bucket, every bucket of a
bucket type. "default" is always there.`,
		Example: `  ringctl bucket-type list
  ringctl bucket-type create strict --r all --no-sloppy`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.bucketTypeCreate(), a.bucketTypeList(), a.bucketTypeDescribe(), a.bucketTypeUpdate())
	return cmd
}

// typeFlags are the defaults of a bucket type that can be set.
type typeFlags struct {
	r, pr, w, pw, dw count
	sloppy           sloppyFlags
	requestTimeout   time.Duration
	repairBlocking   bool
	lastWriteWins    bool
	ttl              time.Duration
}

func (f *typeFlags) define(cmd *cobra.Command) {
	defineCount(cmd, &f.r, "r", "owners that a read hears: a number, one, quorum or all")
	defineCount(cmd, &f.pr, "pr", "how many of them are primaries: a number, one, quorum, all or none")
	defineCount(cmd, &f.w, "w", "owners that acknowledge a write: a number, one, quorum or all")
	defineCount(cmd, &f.pw, "pw", "how many of them are primaries: a number, one, quorum, all or none")
	defineCount(cmd, &f.dw, "dw", "how many of them have it on disk: a number, one, quorum, all or none")
	f.sloppy.define(cmd)
	cmd.Flags().DurationVar(&f.requestTimeout, "request-timeout", 0, "of requests that name none")
	cmd.Flags().BoolVar(&f.repairBlocking, "repair-blocking", false, "reads wait until W owners have what they answer")
	cmd.Flags().BoolVar(&f.lastWriteWins, "last-write-wins", false, "answer only the newest of several siblings, by the members' clocks")
	cmd.Flags().DurationVar(&f.ttl, "ttl", 0, "how long values are there whose put doesn't say, such as 90s or 720h; 0 is for ever")
}

// bucketType is what the flags that were given say.
func (f *typeFlags) bucketType(cmd *cobra.Command, name string) (*ringdv1.BucketType, error) {
	t := &ringdv1.BucketType{
		Name: name, R: f.r.message(), Pr: f.pr.message(),
		W: f.w.message(), Pw: f.pw.message(), Dw: f.dw.message(),
	}
	if o := f.sloppy.option(cmd); o != nil {
		t.Sloppy = (*bool)(o)
	}
	if cmd.Flags().Changed("request-timeout") {
		if f.requestTimeout <= 0 {
			return nil, exit.Usagef("--request-timeout %v: it has to be above 0", f.requestTimeout)
		}
		t.Timeout = durationpb.New(f.requestTimeout)
	}
	if cmd.Flags().Changed("repair-blocking") {
		t.RepairBlocking = &f.repairBlocking
	}
	if cmd.Flags().Changed("last-write-wins") {
		t.LastWriteWins = &f.lastWriteWins
	}
	if cmd.Flags().Changed("ttl") {
		if f.ttl < 0 {
			return nil, exit.Usagef("--ttl %v: it can't be negative; 0 is for ever", f.ttl)
		}
		t.DefaultTtl = durationpb.New(f.ttl)
	}
	return t, nil
}

// message returns nil if the flag was not given.
func (c *count) message() *ringdv1.Count {
	symbols := map[client.Count]ringdv1.Count_Symbol{
		client.Quorum: ringdv1.Count_QUORUM, client.All: ringdv1.Count_ALL, client.None: ringdv1.Count_NONE,
	}
	if !c.set {
		return nil
	}
	if s, ok := symbols[c.value]; ok {
		return &ringdv1.Count{Count: &ringdv1.Count_Symbol_{Symbol: s}}
	}
	return &ringdv1.Count{Count: &ringdv1.Count_Number{Number: uint32(c.value)}}
}

func (a *app) bucketTypeCreate() *cobra.Command {
	var (
		flags typeFlags
		n     string
	)
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a bucket type",
		Long: `create makes a bucket type. What is not given takes the cluster's defaults: n is
its replicas, r, w and dw a quorum, pr and pw none, sloppy, 5 s, and values stay
for ever. n can't be changed later; "update" changes the rest. NAME is of letters,
digits, '-', '_' and '.'.

With --n all, every member that stores data holds the type's keys: the owners acknowledge
writes, as with n at the cluster's replicas; the others hold copies, which are sent
what is written and compared with the owners every anti_entropy_every. r is one, and
the member that is asked answers from what it has: quick, also when it is cut off from
all others, and possibly not the last that was written. Ask with r=quorum for that.`,
		Example: `  ringctl bucket-type create strict --r quorum --w quorum --pw quorum --no-sloppy
  ringctl bucket-type create cache --n 1 --ttl 1h
  ringctl bucket-type create flags --n all
  ringctl bucket-type create sessions --last-write-wins --request-timeout 1s`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := flags.bucketType(cmd, args[0])
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("n") {
				if t.N, t.Everywhere, err = parseN(n); err != nil {
					return err
				}
			}
			return a.admin(cmd, func(ctx context.Context, admin ringdv1.AdminClient) error {
				r, err := admin.CreateBucketType(ctx, &ringdv1.CreateBucketTypeRequest{BucketType: t})
				return a.bucketTypeAnswer(r.GetBucketType(), err)
			})
		},
	}
	flags.define(cmd)
	cmd.Flags().StringVar(&n, "n", "", "owners that keep each key, or all for every member (default: the cluster's replicas)")
	return cmd
}

// parseN reads how many owners keep each key, or that all members do.
func parseN(text string) (n uint32, everywhere bool, err error) {
	if text == "all" {
		return 0, true, nil
	}
	number, err := strconv.ParseUint(text, 10, 32)
	if err != nil || number == 0 {
		return 0, false, exit.Usagef("--n %s: use a number from 1, or all", text)
	}
	return uint32(number), false, nil
}

// holders is n as it is printed.
func holders(t *ringdv1.BucketType) string {
	if t.GetEverywhere() {
		return "all"
	}
	return number(t.GetN())
}

func (a *app) bucketTypeUpdate() *cobra.Command {
	var flags typeFlags
	cmd := &cobra.Command{
		Use:   "update NAME",
		Short: "Change the defaults of a bucket type",
		Long: `update changes those defaults of a bucket type that are given, for requests from
now on: values that are there expire when they would have. n is fixed when the type
is made.`,
		Example: `  ringctl bucket-type update strict --r all
  ringctl bucket-type update sessions --last-write-wins=false --sloppy --ttl 30m`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.oneBucketType,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("n") {
				return exit.New(exit.Usage, "make another bucket type", "--n: n is fixed when a bucket type is made")
			}
			t, err := flags.bucketType(cmd, args[0])
			if err != nil {
				return err
			}
			return a.admin(cmd, func(ctx context.Context, admin ringdv1.AdminClient) error {
				r, err := admin.UpdateBucketType(ctx, &ringdv1.UpdateBucketTypeRequest{BucketType: t})
				return a.bucketTypeAnswer(r.GetBucketType(), err)
			})
		},
	}
	flags.define(cmd)
	// Taken only to be refused with the reason.
	cmd.Flags().Uint32("n", 0, "")
	must(cmd.Flags().MarkHidden("n"))
	return cmd
}

func (a *app) bucketTypeList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the bucket types",
		Long:  `list prints all bucket types with their properties.`,
		Example: `  ringctl bucket-type list
  ringctl bucket-type list -o json`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.admin(cmd, func(ctx context.Context, admin ringdv1.AdminClient) error {
				r, err := admin.ListBucketTypes(ctx, &ringdv1.ListBucketTypesRequest{})
				if err != nil {
					return err
				}
				if a.json() {
					return printing.Proto(a.Out, r)
				}
				a.printBucketTypes(r.GetBucketTypes())
				return nil
			})
		},
	}
}

func (a *app) bucketTypeDescribe() *cobra.Command {
	return &cobra.Command{
		Use:   "describe NAME",
		Short: "Show one bucket type",
		Long:  `describe prints the properties of a bucket type.`,
		Example: `  ringctl bucket-type describe default
  ringctl bucket-type describe strict -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.oneBucketType,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.admin(cmd, func(ctx context.Context, admin ringdv1.AdminClient) error {
				r, err := admin.DescribeBucketType(ctx, &ringdv1.DescribeBucketTypeRequest{Name: args[0]})
				return a.bucketTypeAnswer(r.GetBucketType(), err)
			})
		},
	}
}

// oneBucketType completes an argument that names a bucket type.
func (a *app) oneBucketType(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeBucketTypes(cmd, args, prefix)
}

func (a *app) bucketTypeAnswer(t *ringdv1.BucketType, err error) error {
	if err != nil {
		return err
	}
	if a.json() {
		return printing.Proto(a.Out, t)
	}
	a.printBucketTypes([]*ringdv1.BucketType{t})
	return nil
}

func (a *app) printBucketTypes(all []*ringdv1.BucketType) {
	var rows [][]string
	for _, t := range all {
		rows = append(rows, []string{
			t.GetName(), holders(t), countText(t.GetR()), countText(t.GetPr()), countText(t.GetW()), countText(t.GetPw()),
			countText(t.GetDw()), strconv.FormatBool(t.GetSloppy()), fmt.Sprint(t.GetTimeout().AsDuration()),
			strconv.FormatBool(t.GetRepairBlocking()), strconv.FormatBool(t.GetLastWriteWins()),
			ttlText(t.GetDefaultTtl().AsDuration()),
		})
	}
	printing.Table(a.Out, []string{"name", "n>", "r", "pr", "w", "pw", "dw", "sloppy", "timeout", "repair blocking", "last write wins", "ttl"}, rows)
}

func ttlText(d time.Duration) string {
	if d == 0 {
		return "for ever"
	}
	return d.String()
}

func countText(c *ringdv1.Count) string {
	if s := c.GetSymbol(); s != ringdv1.Count_SYMBOL_UNSPECIFIED {
		return strings.ToLower(s.String())
	}
	return number(c.GetNumber())
}
