package command

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
	"github.com/ringd/ringd/cmd/ringctl/internal/progress"
)

func (a *app) verify() *cobra.Command {
	var (
		scope       scopeFlags
		list, quiet bool
	)
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Count the keys that owners don't agree on",
		Long: `verify has one member compare what all owners of all partitions have, key by key and
from the data, and prints how many keys differ. It changes nothing. A key that
differs is looked at again before it is counted, for it may just have been written.

The exit code is 0 only if no key differs and every owner could be asked. If keys
differ, "ringctl repair" brings their owners together now; members do it by
themselves, too (see "ringctl settings", anti_entropy_every).

--list prints which keys differ, and for each owner how many values and deletions it
has and of which writes: ACTOR:COUNTER, the last write of each actor. Of each
partition it prints the first 1000.`,
		Example: `  ringctl verify
  ringctl verify --list
  ringctl verify --bucket-type carts --partition 17 -o json`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request := &ringdv1.VerifyRequest{List: list}
			request.BucketType, request.Partition = scope.read(cmd)
			return a.runVerify(cmd.Context(), request, quiet)
		},
	}
	scope.define(a, cmd)
	cmd.Flags().BoolVar(&list, "list", false, "print which keys differ, and how")
	quietFlag(cmd, &quiet)
	return cmd
}

// verified is what verify found so far.
type verified struct {
	last        atomic.Pointer[ringdv1.VerifyProgress]
	names       map[string]string // of members, by id
	listed      []differenceJSON  // for JSON
	unreachable []string
	left        int // unreachable, and not kept
}

// Bounds of what is kept until the end.
const (
	listedMax      = 10_000
	unreachableMax = 1000
)

func (v *verified) text() string {
	p := v.last.Load()
	return fmt.Sprintf("compared %d keys of %d of %d partitions, %d differ", p.GetKeysCompared(), p.GetPartitionsDone(), p.GetPartitionsTotal(), p.GetKeysDiffer())
}

func (v *verified) position() (now, total int64) {
	p := v.last.Load()
	return int64(p.GetPartitionsDone()), int64(p.GetPartitionsTotal())
}

func (a *app) runVerify(ctx context.Context, request *ringdv1.VerifyRequest, quiet bool) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	v := &verified{names: make(map[string]string)}
	if err := v.name(ctx, c); err != nil {
		return err
	}
	var shown *progress.Display
	if !quiet {
		shown = progress.Show(a.Err, a.ErrTerminal, v.text, v.position)
	}
	began := time.Now()
	stream, err := c.Admin().Verify(ctx, request)
	err = receive(stream, err, func(p *ringdv1.VerifyProgress) {
		v.last.Store(p)
		a.takeVerified(v, p)
	})
	shown.Close()
	if err != nil {
		return interrupted(ctx, err, "")
	}
	if !v.last.Load().GetDone() {
		return exit.New(exit.Failed, "run it again", "the member ended its answer before it had compared all")
	}
	return a.reportVerified(v, time.Since(began))
}

func (v *verified) name(ctx context.Context, c *client.Client) error {
	r, err := c.Admin().Members(ctx, &ringdv1.MembersRequest{})
	for _, m := range r.GetMembers() {
		v.names[m.GetId()] = m.GetName()
	}
	return err
}

// takeVerified prints differences as they come; JSON has them in the end.
func (a *app) takeVerified(v *verified, p *ringdv1.VerifyProgress) {
	for _, d := range p.GetDifferences() {
		if !a.json() {
			fmt.Fprint(a.Out, v.difference(d))
		} else if len(v.listed) < listedMax {
			v.listed = append(v.listed, v.differenceJSON(d))
		}
	}
	for _, u := range p.GetUnreachable() {
		if len(v.unreachable) < unreachableMax {
			v.unreachable = append(v.unreachable, u)
		} else {
			v.left++
		}
	}
}

func (v *verified) difference(d *ringdv1.Difference) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (partition %d)\n", keyText(d.GetKey()), d.GetPartition())
	for _, c := range d.GetCopies() {
		row := fmt.Sprintf("  %-12s %-24s %s", printing.Name(v.nameOf(c.GetMemberId())), copyText(c), historyText(c))
		b.WriteString(strings.TrimRight(row, " ") + "\n")
	}
	return b.String()
}

func (v *verified) nameOf(id string) string {
	if name, ok := v.names[id]; ok {
		return name
	}
	return id
}

// copyText says what one owner has.
func copyText(c *ringdv1.Difference_Copy) string {
	switch c.GetState() {
	case ringdv1.Difference_Copy_NOTHING:
		return "nothing"
	case ringdv1.Difference_Copy_CORRUPT:
		return "corrupt"
	}
	var parts []string
	if n := c.GetValues(); n > 0 {
		parts = append(parts, plural(n, "value"))
	}
	if n := c.GetTombstones(); n > 0 {
		parts = append(parts, plural(n, "deletion"))
	}
	if parts == nil {
		return "no sibling"
	}
	return strings.Join(parts, ", ")
}

func plural(n uint32, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func historyText(c *ringdv1.Difference_Copy) string {
	var out []string
	for _, d := range c.GetContext() {
		out = append(out, fmt.Sprintf("%x:%d", d.GetActor(), d.GetCounter()))
	}
	return strings.Join(out, " ")
}

func (a *app) reportVerified(v *verified, took time.Duration) error {
	p := v.last.Load()
	a.some("not compared: ", v.unreachable)
	unreachable := len(v.unreachable) + v.left
	if a.json() {
		out := verifiedJSON{
			Partitions: p.GetPartitionsDone(), Keys: p.GetKeysCompared(), Differ: p.GetKeysDiffer(), Differences: v.listed,
			Unreachable: v.unreachable, UnreachableCount: unreachable, Seconds: seconds(took),
		}
		if err := printing.JSON(a.Out, out); err != nil {
			return err
		}
	} else if _, err := fmt.Fprintf(a.Out, "%d of %d keys differ\n", p.GetKeysDiffer(), p.GetKeysCompared()); err != nil {
		return err
	}
	missing := ""
	if unreachable > 0 {
		missing = fmt.Sprintf("; %d partitions could not be compared to the end", unreachable)
	}
	switch {
	case p.GetKeysDiffer() > 0:
		return exit.New(exit.Failed, `"ringctl repair" brings their owners together`, "the owners of %d keys don't agree on them%s", p.GetKeysDiffer(), missing)
	case unreachable > 0:
		return exit.New(exit.Failed, `"ringctl status" shows who is up`, "no key is known to differ, but %s", strings.TrimPrefix(missing, "; "))
	}
	return nil
}

// verifiedJSON is the outcome as JSON.
type verifiedJSON struct {
	Partitions       uint64           `json:"partitions"`
	Keys             uint64           `json:"keys"`
	Differ           uint64           `json:"differ"`
	Differences      []differenceJSON `json:"differences,omitempty"`
	Unreachable      []string         `json:"unreachable,omitempty"`
	UnreachableCount int              `json:"unreachable_count"`
	Seconds          float64          `json:"seconds"`
}

type differenceJSON struct {
	keyJSON
	Partition uint32     `json:"partition"`
	Copies    []copyJSON `json:"copies"`
}

type copyJSON struct {
	Member     string   `json:"member"`
	State      string   `json:"state"`
	Values     uint32   `json:"values"`
	Tombstones uint32   `json:"tombstones"`
	Context    []string `json:"context"`
}

func (v *verified) differenceJSON(d *ringdv1.Difference) differenceJSON {
	out := differenceJSON{keyJSON: keyToJSON(d.GetKey()), Partition: d.GetPartition()}
	for _, c := range d.GetCopies() {
		out.Copies = append(out.Copies, copyJSON{
			Member: v.nameOf(c.GetMemberId()), State: strings.ToLower(c.GetState().String()), Values: c.GetValues(),
			Tombstones: c.GetTombstones(), Context: strings.Fields(historyText(c)),
		})
	}
	return out
}
