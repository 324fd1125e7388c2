package workload

import (
	"testing"

	"github.com/ringd/ringd/jepsen/internal/history"
)

func TestHolders(t *testing.T) {
	has := held{Owner: "m0", Context: map[uint64]uint64{1: 7}, Siblings: []sibling{{Actor: 1, Counter: 7, Write: "r"}}}
	replaced := held{Owner: "m1", Context: map[uint64]uint64{1: 9}}
	second := held{Owner: "m1", Context: map[uint64]uint64{2: 3}, Siblings: []sibling{{Actor: 2, Counter: 3, Write: "r"}}}
	behind := held{Owner: "m2", Context: map[uint64]uint64{1: 6, 3: 1}}
	look := func(outcome history.Outcome, copies ...held) func(*story) {
		return func(s *story) {
			s.put("a").Request, s.ops[0].Outcome = "r", outcome
			op := s.add(history.Op{Kind: kindHolders})
			for _, h := range copies {
				op.Values = append(op.Values, h.String())
			}
		}
	}
	all := func(tell func(*story)) func(*story) {
		return func(s *story) {
			tell(s)
			s.ops[0].Level = allWrite
		}
	}
	check(t, judgeStrict, []chapter{
		{"all had to acknowledge it, and have it", all(look(history.OK, has, has, replaced)), nil},
		{"all had to acknowledge it, and one is behind", all(look(history.OK, has, second, behind)), []string{isHeld}},
		{"one has it, one has what replaced it, one is behind", look(history.OK, has, replaced, behind), nil},
		{"an attempt each", look(history.OK, has, second, behind), nil},
		{"two attempts, of which the second was replaced", func(s *story) {
			look(history.OK, has, held{Siblings: []sibling{{Actor: 2, Counter: 9, Write: "later"}}}, held{Siblings: []sibling{{Actor: 2, Counter: 9, Write: "later"}}})(s)
			// Neither has ended when it is looked.
			*s.put("b", "a") = history.Op{ID: 2, Begin: 6, End: 40, Kind: "put", Write: true, Key: "k", Value: "b", Replaces: []string{"a"}, Request: "between", Outcome: history.OK}
			*s.put("c", "b") = history.Op{ID: 3, Begin: 7, End: 50, Kind: "put", Write: true, Key: "k", Value: "c", Replaces: []string{"b"}, Request: "later", Outcome: history.Unknown}
		}, nil},
		{"one does not answer", look(history.OK, has, behind), nil},
		{"all may be behind a write that has no answer", look(history.Unknown, has, behind, behind), nil},
		{"replaced everywhere", look(history.OK, replaced, behind, behind), nil},
		{"one has it, two are behind", look(history.OK, has, behind, behind), []string{isHeld}},
		{"one has it, and two have nothing", look(history.OK, has, held{}, held{}), []string{isHeld}},
	})
}
