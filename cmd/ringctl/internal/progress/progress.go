// Package progress shows how far an import or export came: a bar on a terminal,
// a line now and then elsewhere, and nothing where nothing is wanted.
package progress

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// plainEvery is how often a line is written where there is no terminal: seldom,
// because it stands in a log.
const plainEvery = 10 * time.Second

// Meter counts and shows. It may be shared by goroutines; a nil Meter shows
// nothing. Its owner calls Close.
type Meter struct {
	done, failed, bytes atomic.Int64

	verb     string
	began    time.Time
	position func() (now, total int64)

	ended chan struct{}
	wg    sync.WaitGroup
}

// New returns a meter that writes to w. Verb is "imported" and the like;
// position says where in the whole it stands, with a total of 0 where that is
// not known.
func New(w io.Writer, terminal bool, verb string, position func() (now, total int64)) *Meter {
	m := &Meter{verb: verb, began: time.Now(), position: position, ended: make(chan struct{})}
	if terminal {
		m.wg.Go(func() { m.bar(w) })
	} else {
		m.wg.Go(func() { m.lines(w) })
	}
	return m
}

// Done counts keys and the bytes of their values.
func (m *Meter) Done(keys, bytes int64) {
	if m != nil {
		m.done.Add(keys)
		m.bytes.Add(bytes)
	}
}

// Failed counts keys that failed.
func (m *Meter) Failed(keys int64) {
	if m != nil {
		m.failed.Add(keys)
	}
}

// Close takes the bar away; nothing is written later.
func (m *Meter) Close() {
	if m != nil {
		close(m.ended)
		m.wg.Wait()
	}
}

// text is the state in words.
func (m *Meter) text() string {
	done, seconds := m.done.Load(), time.Since(m.began).Seconds()
	s := fmt.Sprintf("%s %d keys (%s), %.0f/s", m.verb, done, Bytes(m.bytes.Load()), float64(done)/max(seconds, 0.001))
	if failed := m.failed.Load(); failed > 0 {
		s += fmt.Sprintf(", %d failed", failed)
	}
	return s
}

func (m *Meter) lines(w io.Writer) {
	tick := time.NewTicker(plainEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			fmt.Fprintln(w, m.text())
		case <-m.ended:
			return
		}
	}
}

func (m *Meter) bar(w io.Writer) {
	p := mpb.New(mpb.WithOutput(w), mpb.WithWidth(40), mpb.WithAutoRefresh())
	_, total := m.position()
	options := []mpb.BarOption{
		mpb.BarRemoveOnComplete(),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return " " + m.text() })),
	}
	var bar *mpb.Bar
	if total > 0 {
		bar = p.AddBar(total, append(options, mpb.PrependDecorators(decor.Percentage(decor.WC{W: 5})))...)
	} else {
		bar = p.AddSpinner(0, options...)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			now, _ := m.position()
			// The bar would end itself at its total, before the last keys are
			// acknowledged.
			if total > 0 {
				now = min(now, total-1)
			}
			bar.SetCurrent(now)
		case <-m.ended:
			bar.Abort(true)
			p.Wait()
			return
		}
	}
}

// Bytes returns n in words, with decimal units: "40.8 MB".
func Bytes(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	units := "kMGTPE"
	v := float64(n) / 1000
	for v >= 999.95 && len(units) > 1 {
		v, units = v/1000, units[1:]
	}
	return fmt.Sprintf("%.1f %cB", v, units[0])
}
