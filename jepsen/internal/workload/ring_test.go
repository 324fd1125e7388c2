package workload

import (
	"encoding/json"
	"strings"
	"testing"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/jepsen/internal/history"
)

func TestRings(t *testing.T) {
	judge := func(ops []history.Op) []history.Anomaly { return (&rings{}).Check(history.History{Ops: ops}) }
	look := func(s *story, life string, generation, number uint64, owners string) *history.Op {
		raw, err := json.Marshal(ringSeen{Life: life, Generation: generation, Number: number, Owners: owners})
		if err != nil {
			t.Fatal(err)
		}
		return s.add(history.Op{Kind: kindRing, Values: []string{string(raw)}})
	}
	check(t, judge, []chapter{
		{"all well", func(s *story) {
			look(s, "m0 1", 0, 7, "a")
			look(s, "m1 1", 0, 8, "b")
			look(s, "m0 1", 0, 8, "b")
			look(s, "m0 1", 1, 1, "c")
		}, nil},
		{"two rings of an epoch", func(s *story) {
			look(s, "m0 1", 0, 7, "a")
			look(s, "m1 1", 0, 7, "b")
		}, []string{isOneRing}},
		{"back to an earlier one", func(s *story) {
			look(s, "m0 1", 0, 7, "a")
			look(s, "m0 1", 0, 8, "b")
			look(s, "m0 1", 0, 7, "a")
		}, []string{isOnward}},
		{"back to an earlier generation", func(s *story) {
			look(s, "m0 1", 1, 1, "a")
			look(s, "m0 1", 0, 8, "b")
		}, []string{isOnward}},
		{"back with another process", func(s *story) {
			look(s, "m0 1", 0, 8, "b")
			look(s, "m0 2", 0, 7, "a")
		}, nil},
		{"an earlier one by a look that began before", func(s *story) {
			look(s, "m0 1", 0, 7, "a").End = 25
			look(s, "m0 1", 0, 8, "b")
			look(s, "m0 1", 0, 7, "a").Begin = 12
		}, nil},
		{"too few owners", func(s *story) {
			s.add(history.Op{Kind: kindRing, Values: []string{`{"Wrong":"partition 1 has the owners [m0 m1]"}`}})
		}, []string{isOwned}},
		{"a strict write is lost", func(s *story) {
			s.put("a")
			s.read()
		}, []string{isThere}},
	})
}

func TestWhatIsWrongWithARing(t *testing.T) {
	ring := func(rows ...[]uint32) *ringdv1.RingResponse {
		r := &ringdv1.RingResponse{Partitions: 2, Replicas: 2, Members: []*ringdv1.Member{{Id: "a"}, {Id: "b"}, {Id: "c"}}}
		for i, owners := range rows {
			r.Rows = append(r.Rows, &ringdv1.RingResponse_Partition{Id: uint32(i), Owners: owners})
		}
		return r
	}
	whole := seenOf(ring([]uint32{0, 1}, []uint32{1, 2}))
	if whole.Wrong != "" {
		t.Errorf("a whole ring: %s", whole.Wrong)
	}
	if other := seenOf(ring([]uint32{0, 1}, []uint32{2, 1})); other.Owners == whole.Owners {
		t.Error("other slots have the same digest")
	}
	for want, r := range map[string]*ringdv1.RingResponse{
		"owners [b]":   ring([]uint32{0, 1}, []uint32{1, 1}),
		"owners [a]":   ring([]uint32{0}, []uint32{1, 2}),
		"1 rows":       ring([]uint32{0, 1}),
		"member 7 of ": ring([]uint32{0, 7}, []uint32{1, 2}),
	} {
		if got := seenOf(r).Wrong; !strings.Contains(got, want) {
			t.Errorf("wrong is %q, want %q", got, want)
		}
	}
}
