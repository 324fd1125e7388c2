// Package progress shows how far something came that takes long: bars on a
// terminal, a line now and then elsewhere, and nothing where nothing is wanted.
package progress

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// Meter counts and shows. It may be shared by goroutines; a nil Meter shows
// nothing. Its owner calls Close.
type Meter struct {
	done, failed, bytes atomic.Int64

	verb  string
	began time.Time
	shown *Display
}

// New returns a meter that writes to w. Verb is "imported" and the like;
// position says where in the whole it stands, with a total of 0 where that is
// not known.
func New(w io.Writer, terminal bool, verb string, position func() (now, total int64)) *Meter {
	m := &Meter{verb: verb, began: time.Now()}
	m.shown = Show(w, terminal, m.text, position)
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
		m.shown.Close()
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
