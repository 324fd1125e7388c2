package command

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/progress"
)

// watchTransfers shows transfers until ctx ends.
func (a *app) watchTransfers(ctx context.Context, c *client.Client, every time.Duration) error {
	board := progress.NewBoard(a.Out, a.OutTerminal)
	defer board.Close()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		all, err := askTransfers(ctx, c)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		board.Show(transfersText(all), transferRows(all))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// transfersText is all members' state in a line of a terminal.
func transfersText(all []answer[*ringdv1.TransfersResponse]) string {
	var running, failed int
	var speed, oldest float64
	var hints, bytes uint64
	for _, t := range all {
		if t.err != nil {
			failed++
		}
		for _, r := range t.said.GetTransfers() {
			running++
			speed += r.GetBytesPerSecond()
		}
		hints += t.said.GetHints().GetKept()
		bytes += t.said.GetHints().GetKeptBytes()
		oldest = max(oldest, t.said.GetAntiEntropy().GetOldestSeconds())
	}
	s := fmt.Sprintf("%d transfers, %s/s; %d hints kept (%s); oldest comparison %.0f s",
		running, progress.Bytes(int64(speed)), hints, progress.Bytes(int64(bytes)), oldest)
	if failed > 0 {
		s = fmt.Sprintf("%d members don't answer; %s", failed, s)
	}
	return s
}

func transferRows(all []answer[*ringdv1.TransfersResponse]) []progress.Row {
	var rows []progress.Row
	for _, t := range all {
		for _, r := range t.said.GetTransfers() {
			rows = append(rows, progress.Row{
				Key:    fmt.Sprint(t.member.GetName(), " ", r.GetKind(), r.GetPartition(), ".", r.GetSlot(), " ", r.GetTo()),
				Before: fmt.Sprintf("%s %d %s", r.GetKind(), r.GetPartition(), direction(r)),
				After:  fmt.Sprintf("%s, %s, %s", objects(r), progress.Bytes(int64(r.GetBytesDone())), rate(r)),
				Done:   int64(r.GetItemsDone()), Total: int64(r.GetItemsTotal()),
			})
		}
	}
	// In an order that stays, so that bars don't jump.
	slices.SortFunc(rows, func(a, b progress.Row) int { return cmp.Compare(a.Key, b.Key) })
	return rows
}
