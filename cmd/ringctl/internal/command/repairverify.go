package command

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
	"github.com/ringd/ringd/cmd/ringctl/internal/progress"
)

func (a *app) repairVerify() *cobra.Command {
	var (
		scope scopeFlags
		quiet bool
	)
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Hold the hash trees of all members against their data",
		Long: `verify has every member compute its hash trees again from its data while it serves,
and set right what is wrong. Sessions of repair compare the trees, so that an entry
that is wrong hides a difference or finds one that isn't there.

The exit code is 1 if something was wrong, although it is right now: it should never
be, short of a fault of the disk or of ringd. The keys of wrong entries are
printed, the first 100 of each member. "ringctl verify" compares owners with each
other instead.`,
		Example: `  ringctl repair verify
  ringctl repair verify --partition 17 -o json`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, partition := scope.read(cmd)
			return a.runCheckTrees(cmd.Context(), &ringdv1.CheckTreesRequest{Partition: partition}, quiet)
		},
	}
	scope.definePartition(cmd)
	quietFlag(cmd, &quiet)
	return cmd
}

func quietFlag(cmd *cobra.Command, to *bool) {
	cmd.Flags().BoolVarP(to, "quiet", "q", false, "no progress on stderr")
}

// treeTotals sums up what members tell of their trees.
type treeTotals struct {
	mu  sync.Mutex
	all []*treesOf
}

type treesOf struct {
	last   *ringdv1.CheckTreesProgress
	wrong  []*ringdv1.Key
	failed []string
}

func (t *treeTotals) another() *treesOf {
	t.mu.Lock()
	defer t.mu.Unlock()
	of := new(treesOf)
	t.all = append(t.all, of)
	return of
}

func (t *treeTotals) take(of *treesOf, p *ringdv1.CheckTreesProgress) {
	t.mu.Lock()
	defer t.mu.Unlock()
	of.last = p
	of.wrong = append(of.wrong, p.GetWrong()...)
	of.failed = append(of.failed, p.GetFailed()...)
}

func (t *treeTotals) sum() *ringdv1.CheckTreesProgress {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := new(ringdv1.CheckTreesProgress)
	for _, of := range t.all {
		out.PartitionsTotal += of.last.GetPartitionsTotal()
		out.PartitionsDone += of.last.GetPartitionsDone()
		out.KeysChecked += of.last.GetKeysChecked()
		out.EntriesWrong += of.last.GetEntriesWrong()
		out.SumsWrong += of.last.GetSumsWrong()
	}
	return out
}

func (t *treeTotals) text() string {
	s := t.sum()
	return fmt.Sprintf("checked %d copies of %d of %d partitions", s.KeysChecked, s.PartitionsDone, s.PartitionsTotal)
}

func (t *treeTotals) position() (now, total int64) {
	s := t.sum()
	return int64(s.PartitionsDone), int64(s.PartitionsTotal)
}

func (a *app) runCheckTrees(ctx context.Context, request *ringdv1.CheckTreesRequest, quiet bool) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	var totals treeTotals
	var shown *progress.Display
	if !quiet {
		shown = progress.Show(a.Err, a.ErrTerminal, totals.text, totals.position)
	}
	began := time.Now()
	answers, err := askAll(ctx, c, func(_ *ringdv1.Member, admin ringdv1.AdminClient) (*treesOf, error) {
		of := totals.another()
		stream, err := admin.CheckTrees(ctx, request)
		return of, receive(stream, err, func(p *ringdv1.CheckTreesProgress) { totals.take(of, p) })
	})
	shown.Close()
	if err != nil {
		return interrupted(ctx, err, "")
	}
	failed, err := sayFailed(a, answers)
	if err != nil {
		return err
	}
	return a.reportTrees(answers, failed, &totals, time.Since(began))
}

func (a *app) reportTrees(answers []answer[*treesOf], membersFailed int, totals *treeTotals, took time.Duration) error {
	s := totals.sum()
	out := checkedTrees{
		Partitions: s.PartitionsDone, Keys: s.KeysChecked, EntriesWrong: s.EntriesWrong, SumsWrong: s.SumsWrong,
		MembersFailed: membersFailed, Seconds: seconds(took),
	}
	for _, of := range answers {
		name := of.member.GetName()
		for _, k := range of.said.wrong {
			out.Wrong = append(out.Wrong, wrongKey{Member: name, keyJSON: keyToJSON(k)})
			if !a.json() {
				fmt.Fprintf(a.Out, "%s: %s\n", printing.Name(name), keyText(k))
			}
		}
		out.Failed += len(of.said.failed)
		a.some(printing.Name(name)+": ", of.said.failed)
	}
	if a.json() {
		if err := printing.JSON(a.Out, out); err != nil {
			return err
		}
	} else if _, err := fmt.Fprintf(a.Out, "%d copies checked, %d entries and %d sums were wrong\n", out.Keys, out.EntriesWrong, out.SumsWrong); err != nil {
		return err
	}
	switch {
	case out.EntriesWrong+out.SumsWrong > 0:
		return exit.New(exit.Failed, `"ringctl repair" finds now what was hidden`, "%d entries and %d sums of hash trees were wrong, and were set right", out.EntriesWrong, out.SumsWrong)
	case out.Failed > 0:
		return exit.New(exit.Failed, "", "%d partitions could not be checked", out.Failed)
	case membersFailed > 0:
		return exit.New(exit.Failed, `"ringctl status" shows who is up`, "%d of %d members could not be asked, or not to the end", membersFailed, len(answers))
	}
	return nil
}

// checkedTrees is the outcome as JSON.
type checkedTrees struct {
	Partitions    uint64     `json:"partitions"`
	Keys          uint64     `json:"keys"`
	EntriesWrong  uint64     `json:"entries_wrong"`
	SumsWrong     uint64     `json:"sums_wrong"`
	Wrong         []wrongKey `json:"wrong"`
	Failed        int        `json:"partitions_failed"`
	MembersFailed int        `json:"members_failed"`
	Seconds       float64    `json:"seconds"`
}

type wrongKey struct {
	Member string `json:"member"`
	keyJSON
}

// someMax lines of one kind are enough on a terminal.
const someMax = 10

// some writes lines to stderr, but not too many of them.
func (a *app) some(prefix string, lines []string) {
	for i, line := range lines {
		if i == someMax {
			fmt.Fprintf(a.Err, "%sand %d more\n", prefix, len(lines)-i)
			return
		}
		fmt.Fprintf(a.Err, "%s%s\n", prefix, line)
	}
}
