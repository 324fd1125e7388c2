package workload

import (
	"testing"

	"github.com/ringd/ringd/jepsen/internal/history"
)

func TestCarts(t *testing.T) {
	judge := func(ops []history.Op) []history.Anomaly { return (&cart{}).Check(history.History{Ops: ops}) }
	end := func(s *story, values ...string) { s.read(values...).Final = true }
	check(t, judge, []chapter{
		{"added, removed, merged", func(s *story) {
			s.put("1 a")
			s.put("2 a b", "1 a")
			s.put("3 a c", "1 a")
			s.put("4 b c", "2 a b", "3 a c")
			end(s, "4 b c")
		}, nil},
		{"removed by a write without an answer", func(s *story) {
			s.put("1 a")
			s.put("2 ", "1 a").Outcome = history.Unknown
			end(s, "2 ")
		}, nil},
		{"an item is lost by a client's merge", func(s *story) {
			s.put("1 a")
			s.put("2 b")
			s.put("3 a c", "1 a", "2 b").Replaces = []string{"1 a"}
			end(s, "3 a c")
		}, []string{isThere, isInCart}},
		{"removed by a write that failed", func(s *story) {
			s.put("1 a")
			s.put("2 ", "1 a").Outcome = history.Failed
			end(s)
		}, []string{isThere, isInCart}},
		{"an item that nobody added", func(s *story) { end(s, "1 a") }, []string{isKnown, isInCart}},
	})
}

func TestHot(t *testing.T) {
	judge := func(ops []history.Op) []history.Anomaly { return (&hot{}).Check(history.History{Ops: ops}) }
	check(t, judge, []chapter{
		{"one wins, one is refused", func(s *story) {
			s.put("1")
			s.put("2", "1")
			s.put("3", "1").Outcome = history.Failed
			s.read("2")
		}, nil},
		{"both win, as siblings", func(s *story) {
			s.put("1")
			s.put("2", "1")
			s.put("3", "1")
			s.read("2", "3")
		}, nil},
		{"who is refused has an effect", func(s *story) {
			s.put("1")
			s.put("2", "1")
			s.put("3", "1").Outcome = history.Failed
			s.read("2", "3")
		}, []string{isKnown}},
		{"who wins has none", func(s *story) {
			s.put("1")
			s.put("2", "1")
			s.read("1")
		}, []string{isGone, isThere}},
	})
}
