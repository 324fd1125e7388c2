package progress

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// plainEvery is how often a line is written where there is no terminal: seldom,
// because it stands in a log.
const plainEvery = 10 * time.Second

// Display is one bar with words behind it. A nil Display shows nothing. Its owner
// calls Close.
type Display struct {
	text     func() string
	position func() (now, total int64)

	ended chan struct{}
	wg    sync.WaitGroup
}

// Show returns a display that writes to w what text says. Position is where it
// stands; while the total is 0, it is not known. Both are called from another
// goroutine.
func Show(w io.Writer, terminal bool, text func() string, position func() (now, total int64)) *Display {
	d := &Display{text: text, position: position, ended: make(chan struct{})}
	if terminal {
		d.wg.Go(func() { d.bar(w) })
	} else {
		d.wg.Go(func() { d.lines(w) })
	}
	return d
}

// Close takes the bar away; nothing is written later.
func (d *Display) Close() {
	if d != nil {
		close(d.ended)
		d.wg.Wait()
	}
}

func (d *Display) lines(w io.Writer) {
	tick := time.NewTicker(plainEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			fmt.Fprintln(w, d.text())
		case <-d.ended:
			return
		}
	}
}

func (d *Display) bar(w io.Writer) {
	p := mpb.New(mpb.WithOutput(w), mpb.WithAutoRefresh())
	words := mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return " " + d.text() }))
	// A bar that was made with a total would end itself there, before the last
	// keys are acknowledged.
	known := func() *mpb.Bar {
		return p.AddBar(0, words, mpb.BarWidth(barWidth), mpb.PrependDecorators(decor.Percentage(decor.WC{W: 5})))
	}
	_, total := d.position()
	spins := total <= 0
	var bar *mpb.Bar
	if spins {
		bar = p.AddSpinner(0, words, mpb.BarWidth(barWidth))
	} else {
		bar = known()
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			now, total := d.position()
			if spins && total > 0 {
				bar.Abort(true)
				bar, spins = known(), false
			}
			if total > 0 {
				bar.SetTotal(total, false)
			}
			bar.SetCurrent(now)
		case <-d.ended:
			bar.Abort(true)
			p.Wait()
			return
		}
	}
}

// barWidth leaves room for words on a terminal of 80 columns.
const barWidth = 40
