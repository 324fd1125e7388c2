package progress

import (
	"fmt"
	"io"
	"sync"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// rowsMax bars fit on most terminals.
const rowsMax = 20

// Row is one bar of a Board.
type Row struct {
	// Key names the same thing from one Show to the next.
	Key string
	// Before and After are the words around the bar.
	Before, After string
	// Done of Total; the total is 0 while it is not known.
	Done, Total int64
}

// Board is a line of words above bars that come and go; without a terminal, the
// line alone. It is for one goroutine. Its owner calls Close.
type Board struct {
	w    io.Writer
	p    *mpb.Progress // nil without a terminal
	head *mpb.Bar
	bars map[string]*boardBar

	mu struct {
		sync.Mutex
		head string
	}
}

type boardBar struct {
	bar *mpb.Bar
	mu  struct {
		sync.Mutex
		row Row
	}
}

// NewBoard returns a board that writes to w.
func NewBoard(w io.Writer, terminal bool) *Board {
	b := &Board{w: w, bars: make(map[string]*boardBar)}
	if terminal {
		b.p = mpb.New(mpb.WithOutput(w), mpb.WithAutoRefresh())
		b.head = b.p.New(0, mpb.NopStyle(), mpb.BarWidth(1), mpb.BarPriority(-1), mpb.PrependDecorators(decor.Any(func(decor.Statistics) string {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.mu.head
		})))
	}
	return b
}

// Show replaces what the board shows. Of many rows it shows the first.
func (b *Board) Show(head string, rows []Row) {
	if left := len(rows) - rowsMax; left > 0 && b.p != nil {
		head += fmt.Sprintf(" (%d more not shown)", left)
		rows = rows[:rowsMax]
	}
	if b.p == nil {
		fmt.Fprintln(b.w, head)
		return
	}
	b.mu.Lock()
	b.mu.head = head
	b.mu.Unlock()
	here := make(map[string]bool)
	for i, r := range rows {
		here[r.Key] = true
		bar := b.bars[r.Key]
		if bar == nil {
			bar = b.add(r)
			b.bars[r.Key] = bar
		}
		bar.mu.Lock()
		bar.mu.row = r
		bar.mu.Unlock()
		bar.bar.SetPriority(i)
		if r.Total > 0 {
			bar.bar.SetTotal(r.Total, false)
			bar.bar.SetCurrent(r.Done)
		} else {
			bar.bar.SetTotal(1, false) // empty
			bar.bar.SetCurrent(0)
		}
	}
	for key, bar := range b.bars {
		if !here[key] {
			bar.bar.Abort(true)
			delete(b.bars, key)
		}
	}
}

func (b *Board) add(r Row) *boardBar {
	bar := new(boardBar)
	bar.mu.row = r
	words := func(of func(Row) string) decor.Decorator {
		return decor.Any(func(decor.Statistics) string {
			bar.mu.Lock()
			defer bar.mu.Unlock()
			return of(bar.mu.row)
		}, decor.WCSyncSpaceR)
	}
	bar.bar = b.p.AddBar(0, mpb.BarWidth(barWidth),
		mpb.PrependDecorators(words(func(r Row) string { return r.Before })),
		mpb.AppendDecorators(words(func(r Row) string { return " " + r.After })))
	return bar
}

// Close takes the bars away.
func (b *Board) Close() {
	if b.p == nil {
		return
	}
	for _, bar := range b.bars {
		bar.bar.Abort(true)
	}
	b.head.Abort(true)
	b.p.Wait()
}
