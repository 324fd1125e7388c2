package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
	"github.com/ringd/ringd/cmd/ringctl/internal/progress"
)

const (
	// movesShown of those under way fit on a screen with the members.
	movesShown = 10
	// waitLineEvery is how often waiting says where it is if nobody watches: it
	// stands in a log.
	waitLineEvery = 10 * time.Second
)

// movesText is how far the moves are.
func movesText(m *ringdv1.Moves) string {
	if m.GetTotal() == 0 {
		return "none"
	}
	return fmt.Sprintf("%d of %d done, %d under way", m.GetDone(), m.GetTotal(), len(m.GetActive()))
}

func (a *app) printMoves(m *ringdv1.Moves) {
	if len(m.GetActive()) == 0 {
		return
	}
	var rows [][]string
	for _, move := range m.GetActive()[:min(movesShown, len(m.GetActive()))] {
		kind := "move"
		if move.GetRebuild() {
			kind = "rebuild"
		}
		rows = append(rows, []string{
			fmt.Sprint(move.GetNumber()), kind, number(move.GetPartition()), number(move.GetSlot()), name(move.GetFrom()) + " > " + name(move.GetTo()),
		})
	}
	printing.Table(a.Out, []string{"move>", "kind", "partition>", "slot>", "from > to"}, rows)
	if n := len(m.GetActive()) - movesShown; n > 0 {
		fmt.Fprintf(a.Out, "and %d more under way\n", n)
	}
}

// waitForMoves shows how far the moves are until none is under way. A member that
// does not answer is no reason to stop: others move on.
func (a *app) waitForMoves(ctx context.Context, c *client.Client, every time.Duration) error {
	board := progress.NewBoard(a.Err, a.ErrTerminal)
	defer board.Close()
	tick := time.NewTicker(every)
	defer tick.Stop()
	var said time.Time
	for {
		head, rows := "", []progress.Row(nil)
		s, err := c.Admin().Status(ctx, &ringdv1.StatusRequest{})
		switch {
		case err == nil && s.GetMoves().GetTotal() == 0:
			return nil
		case err == nil:
			head = "moves: " + movesText(s.GetMoves())
		case ctx.Err() == nil && (errors.Is(err, client.ErrUnavailable) || errors.Is(err, client.ErrUnknown)):
			head = "no member answers; asking again"
		case ctx.Err() == nil:
			return err
		}
		if a.ErrTerminal && err == nil {
			if all, err := askTransfers(ctx, c); err == nil {
				head, rows = head+"; "+transfersText(all), transferRows(all)
			}
		}
		if ctx.Err() == nil && (a.ErrTerminal || time.Since(said) >= waitLineEvery) {
			said = time.Now()
			board.Show(head, rows)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return exit.New(exit.Failed, `"ringctl status" shows how far they are, "ringctl commit --wait" waits again`, "interrupted; the moves go on")
		}
	}
}
