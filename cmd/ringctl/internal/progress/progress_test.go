package progress

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 1_049: "1.0 kB", 999_949: "999.9 kB", 999_950: "1.0 MB", 40_849_030: "40.8 MB", 1 << 62: "4.6 EB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) is %q, want %q", n, got, want)
		}
	}
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestLinesWithoutATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out buffer
		m := New(&out, false, "imported", func() (int64, int64) { return 0, 0 })
		m.Done(500, 2000)
		m.Failed(3)
		<-time.After(plainEvery + time.Second)
		synctest.Wait()
		m.Close()
		if got, want := out.String(), "imported 500 keys (2.0 kB), 50/s, 3 failed\n"; got != want {
			t.Errorf("it wrote %q, want %q", got, want)
		}
	})
}

func TestBarOnATerminal(t *testing.T) {
	for _, total := range []int64{0, 100} {
		synctest.Test(t, func(t *testing.T) {
			var out buffer
			m := New(&out, true, "imported", func() (int64, int64) { return 50, total })
			m.Done(7, 10)
			<-time.After(time.Second)
			synctest.Wait()
			m.Close()
			if got := out.String(); !strings.Contains(got, "imported 7 keys (10 B)") || (total > 0) != strings.Contains(got, "50 %") {
				t.Errorf("with a total of %d it wrote %q", total, got)
			}
		})
	}
}

func TestNilMeter(t *testing.T) {
	var m *Meter
	m.Done(1, 1)
	m.Failed(1)
	m.Close()
}
