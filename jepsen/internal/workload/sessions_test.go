package workload

import (
	"testing"

	"github.com/ringd/ringd/jepsen/internal/history"
)

func TestSessions(t *testing.T) {
	judge := func(ops []history.Op) []history.Anomaly { return (&sessions{}).Check(history.History{Ops: ops}) }
	repaired := func(s *story, values ...string) { s.read(values...).Level = repairedRead }
	check(t, judge, []chapter{
		{"all well", func(s *story) {
			s.put("a")
			s.put("b") // by another client, a sibling
			s.put("c", "a")
			repaired(s, "b", "c")
			s.put("d", "b", "c").Outcome = history.Unknown
			repaired(s, "b", "c")
			repaired(s, "d")
			repaired(s, "d")
		}, nil},
		{"a client does not find what it wrote", func(s *story) {
			s.put("a")
			repaired(s)
		}, []string{isThere}},
		{"the context of a write covered a sibling that its client was not told of", func(s *story) {
			s.put("a")
			s.put("b")
			s.put("c", "a")
			repaired(s, "c")
		}, []string{isThere}},
		{"a read goes back behind one before it", func(s *story) {
			s.put("a")
			s.put("b", "a").Outcome = history.Unknown
			repaired(s, "b")
			repaired(s, "a")
		}, []string{isGone, isThere}},
	})
}
