package workload

import (
	"testing"

	"github.com/ringd/ringd/jepsen/internal/history"
)

func TestReplicas(t *testing.T) {
	judge := func(ops []history.Op) []history.Anomaly { return (&replicas{}).Check(history.History{Ops: ops}) }
	// owner holds counters of actor 1, each the write that has its number.
	owner := func(name string, writes map[uint64]string) string {
		h := held{Owner: name, Context: map[uint64]uint64{1: 9}}
		for _, counter := range []uint64{1, 2, 3} {
			if w := writes[counter]; w != "" {
				h.Siblings = append(h.Siblings, sibling{Actor: 1, Counter: counter, Write: w})
			}
		}
		return h.String()
	}
	look := func(s *story, key string, final bool, values ...string) {
		s.add(history.Op{Kind: kindInspect, Key: key, Final: final, Values: values})
	}
	a, b := map[uint64]string{1: "a"}, map[uint64]string{2: "b"}
	check(t, judge, []chapter{
		{"owners differ while they may", func(s *story) {
			look(s, "k", false, owner("m0", a), owner("m1", b))
			look(s, "k", true, owner("m0", b), owner("m1", b))
			s.add(history.Op{Kind: kindVerify, Final: true})
			s.add(history.Op{Kind: kindRepair, Final: true})
			s.add(history.Op{Kind: kindTrees, Final: true})
		}, nil},
		{"owners differ in the end", func(s *story) {
			look(s, "k", true, owner("m0", a), owner("m1", b))
		}, []string{isEqual}},
		{"a dot of two writes", func(s *story) {
			look(s, "k", false, owner("m0", a))
			look(s, "k", false, owner("m1", map[uint64]string{1: "b"}))
		}, []string{isUnique}},
		{"a dot of two keys", func(s *story) {
			look(s, "k", false, owner("m0", a))
			look(s, "l", false, owner("m0", a))
		}, []string{isUnique}},
		{"a sibling that its context does not cover", func(s *story) {
			look(s, "k", false, held{Siblings: []sibling{{Actor: 1, Counter: 1}}}.String())
		}, []string{isWhole}},
		{"the comparison finds a difference", func(s *story) {
			s.add(history.Op{Kind: kindVerify, Values: []string{"1 of 2 keys differ"}, Final: true})
		}, []string{isEqual}},
		{"a repair sends", func(s *story) {
			s.add(history.Op{Kind: kindRepair, Values: []string{"1"}, Final: true})
		}, []string{isEqual}},
		{"a tree is wrong", func(s *story) {
			s.add(history.Op{Kind: kindTrees, Values: []string{"1"}, Final: true})
		}, []string{isEqual}},
		{"a strict write is lost", func(s *story) {
			s.put("a")
			s.read()
		}, []string{isThere}},
	})
}
