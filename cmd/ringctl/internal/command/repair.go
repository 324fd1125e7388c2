package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
	"github.com/ringd/ringd/cmd/ringctl/internal/progress"
)

func (a *app) repair() *cobra.Command {
	var (
		scope scopeFlags
		watch bool
	)
	cmd := &cobra.Command{
		Use:   "repair",
		Short: "Compare all owners now, and repair what differs",
		Long: `repair has all owners of all partitions compared now, two at a time (a session), and
what one of them lacks sent to it. Members do the same by themselves, each pair
once in anti_entropy_every (see "ringctl settings"); repair does not wait for it.

A session fails if one of its two owners can't be reached or is stopped meanwhile;
the exit code is 1 then, and repairing again does what is left. Repairing twice
does no harm. "ringctl repair verify" checks the hash trees that sessions compare.`,
		Example: `  ringctl repair
  ringctl repair --watch
  ringctl repair --bucket-type carts --partition 17`,
		Args:              noSubcommand,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			bucketType, partition := scope.read(cmd)
			return a.runRepair(cmd.Context(), &ringdv1.RepairRequest{BucketType: bucketType, Partition: partition}, watch)
		},
	}
	scope.define(a, cmd)
	cmd.Flags().BoolVar(&watch, "watch", false, "show on stderr how far it came")
	cmd.AddCommand(a.repairVerify())
	return cmd
}

// repairTotals sums up what members tell of a repair.
type repairTotals struct {
	mu  sync.Mutex
	all map[string]*ringdv1.RepairProgress // the last of each member, by id
}

func (t *repairTotals) set(member string, p *ringdv1.RepairProgress) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all[member] = p
}

func (t *repairTotals) sum() *ringdv1.RepairProgress {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := new(ringdv1.RepairProgress)
	for _, p := range t.all {
		out.SessionsTotal += p.GetSessionsTotal()
		out.SessionsDone += p.GetSessionsDone()
		out.SessionsFailed += p.GetSessionsFailed()
		out.KeysDiffered += p.GetKeysDiffered()
		out.ObjectsSent += p.GetObjectsSent()
		out.BytesSent += p.GetBytesSent()
		out.BytesRead += p.GetBytesRead()
		if p.GetLastError() != "" {
			out.LastError = p.GetLastError()
		}
	}
	return out
}

func (t *repairTotals) text() string {
	s := t.sum()
	return fmt.Sprintf("%d of %d sessions, %d keys differed, %d objects sent, %s",
		s.SessionsDone+s.SessionsFailed, s.SessionsTotal, s.KeysDiffered, s.ObjectsSent, progress.Bytes(int64(s.BytesSent)))
}

func (t *repairTotals) position() (now, total int64) {
	s := t.sum()
	return int64(s.SessionsDone + s.SessionsFailed), int64(s.SessionsTotal)
}

func (a *app) runRepair(ctx context.Context, request *ringdv1.RepairRequest, watch bool) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	totals := repairTotals{all: make(map[string]*ringdv1.RepairProgress)}
	var shown *progress.Display
	if watch {
		shown = progress.Show(a.Err, a.ErrTerminal, totals.text, totals.position)
	}
	began := time.Now()
	answers, err := askAll(ctx, c, func(m *ringdv1.Member, admin ringdv1.AdminClient) (struct{}, error) {
		stream, err := admin.Repair(ctx, request)
		return struct{}{}, receive(stream, err, func(p *ringdv1.RepairProgress) { totals.set(m.GetId(), p) })
	})
	shown.Close()
	if err != nil {
		return interrupted(ctx, err, "repairing again does what is left")
	}
	failed, err := sayFailed(a, answers)
	if err != nil {
		return err
	}
	s := totals.sum()
	if err := a.printRepair(s, failed, time.Since(began)); err != nil {
		return err
	}
	again := `"ringctl status" shows who is up; repairing again does what is left`
	switch {
	case s.SessionsFailed > 0:
		return exit.New(exit.Failed, again, "%d of %d sessions failed, the last: %s", s.SessionsFailed, s.SessionsTotal, s.LastError)
	case failed > 0:
		return exit.New(exit.Failed, again, "%d of %d members did not do their part", failed, len(answers))
	}
	return nil
}

func (a *app) printRepair(s *ringdv1.RepairProgress, members int, took time.Duration) error {
	if a.json() {
		return printing.JSON(a.Out, struct {
			Sessions       uint64  `json:"sessions"`
			SessionsFailed uint64  `json:"sessions_failed"`
			MembersFailed  int     `json:"members_failed"`
			KeysDiffered   uint64  `json:"keys_differed"`
			ObjectsSent    uint64  `json:"objects_sent"`
			BytesSent      uint64  `json:"bytes_sent"`
			BytesRead      uint64  `json:"bytes_read"`
			Seconds        float64 `json:"seconds"`
		}{s.SessionsDone, s.SessionsFailed, members, s.KeysDiffered, s.ObjectsSent, s.BytesSent, s.BytesRead, seconds(took)})
	}
	_, err := fmt.Fprintf(a.Out, "%d sessions, %d keys differed, %d objects sent, %s\n",
		s.SessionsDone, s.KeysDiffered, s.ObjectsSent, progress.Bytes(int64(s.BytesSent)))
	return err
}

// receive reads a stream to its end; err is that of opening it.
func receive[T any](stream interface{ Recv() (*T, error) }, err error, take func(*T)) error {
	for err == nil {
		var m *T
		if m, err = stream.Recv(); err == nil {
			take(m)
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// interrupted returns err, in fewer words if it is that the user ended the
// command.
func interrupted(ctx context.Context, err error, hint string) error {
	if ctx.Err() != nil {
		return exit.New(exit.Failed, hint, "interrupted")
	}
	return err
}
