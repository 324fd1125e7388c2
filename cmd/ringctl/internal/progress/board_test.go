package progress

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBoardOnATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out buffer
		b := NewBoard(&out, true)
		show := func(head string, rows ...Row) string {
			before := len(out.String())
			b.Show(head, rows)
			<-time.After(time.Second)
			synctest.Wait()
			return out.String()[before:]
		}
		first := Row{Key: "a", Before: "node0 to node1", After: "5 of 10", Done: 5, Total: 10}
		second := Row{Key: "b", Before: "node0 to node2", After: "3 of an unknown number", Done: 3}
		for _, has := range []string{"two transfers", "node0 to node1", "5 of 10", "node0 to node2", "3 of an unknown number"} {
			if got := show("two transfers", first, second); !strings.Contains(got, has) {
				t.Errorf("there is no %q in %q", has, got)
			}
		}
		first.Done, first.After = 8, "8 of 10"
		show("one transfer", first)
		if got := show("one transfer", first); !strings.Contains(got, "8 of 10") || !strings.Contains(got, "one transfer") || strings.Contains(got, "node2") {
			t.Errorf("one is gone, the other goes on: %q", got)
		}
		show("none")
		if got := show("none"); strings.Contains(got, "node1") || !strings.Contains(got, "none") {
			t.Errorf("both are gone: %q", got)
		}
		var many []Row
		for i := range rowsMax + 3 {
			many = append(many, Row{Key: string(rune('a' + i)), Before: "x"})
		}
		if got := show("many", many...); !strings.Contains(got, "many (3 more not shown)") {
			t.Errorf("too many to show: %q", got)
		}
		b.Close()
	})
}

func TestBoardWithoutATerminal(t *testing.T) {
	var out buffer
	b := NewBoard(&out, false)
	b.Show("1 transfer", []Row{{Key: "a"}})
	b.Show("none", nil)
	b.Close()
	if got := out.String(); got != "1 transfer\nnone\n" {
		t.Errorf("it wrote %q", got)
	}
}

// TestTotalKnownLater: what to expect is known only once members answer.
func TestTotalKnownLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out buffer
		began := time.Now()
		d := Show(&out, true, func() string { return "words" }, func() (int64, int64) {
			if time.Since(began) < time.Second {
				return 0, 0
			}
			return 30, 120
		})
		<-time.After(2 * time.Second)
		synctest.Wait()
		d.Close()
		if got := out.String(); !strings.Contains(got, "25 %") || !strings.Contains(got, "words") {
			t.Errorf("it wrote %q", got)
		}
		(*Display)(nil).Close()
	})
}
