package workload

import (
	"slices"
	"testing"

	"github.com/ringd/ringd/jepsen/internal/history"
)

func TestKeyspace(t *testing.T) {
	judge := func(ops []history.Op) []history.Anomaly { return (&keyspace{}).Check(history.History{Ops: ops}) }
	var all []string
	for i := range keys {
		all = append(all, keyspaceKey(i))
	}
	listed := func(s *story, values ...string) {
		s.add(history.Op{Kind: list, Values: values, Final: true})
	}
	check(t, judge, []chapter{
		{"all well", func(s *story) {
			s.put("1", firstValue).Key = all[5]
			s.read("1").Key = all[5]
			s.read(firstValue).Key = all[6]
			listed(s, all...)
		}, nil},
		{"lost, though nobody wrote it in the run", func(s *story) { s.read().Key = all[5] }, []string{isThere}},
		{"stale", func(s *story) {
			s.put("1", firstValue).Key = all[5]
			s.read(firstValue).Key = all[5]
		}, []string{isThere}},
		{"not listed", func(s *story) { listed(s, all[1:]...) }, []string{isListed}},
		{"listed twice", func(s *story) { listed(s, append(slices.Clone(all), all[0])...) }, []string{isListed}},
		{"listed and never written", func(s *story) { listed(s, append(slices.Clone(all), "other")...) }, []string{isListed}},
	})
}
