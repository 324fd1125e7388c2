package workload

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringd/ringd/jepsen/internal/history"
)

// story is a history that is written by hand: an operation begins when the one
// before has ended, but where it says otherwise.
type story struct{ ops []history.Op }

func (s *story) add(op history.Op) *history.Op {
	op.ID = len(s.ops)
	op.Begin = time.Duration(10 * op.ID)
	op.End = op.Begin + 5
	if op.Outcome == "" {
		op.Outcome = history.OK
	}
	if op.Key == "" {
		op.Key = "k"
	}
	s.ops = append(s.ops, op)
	return &s.ops[op.ID]
}

func (s *story) put(value string, replaces ...string) *history.Op {
	return s.add(history.Op{Kind: "put", Write: true, Value: value, Replaces: replaces, Level: strictWrite, Once: true})
}

func (s *story) read(values ...string) *history.Op {
	return s.add(history.Op{Kind: "read", Values: values, Level: strictRead})
}

func (s *story) del(replaces ...string) *history.Op {
	return s.add(history.Op{Kind: deleteSeen, Write: true, Replaces: replaces, Level: strictWrite})
}

func (s *story) blind() *history.Op {
	return s.add(history.Op{Kind: deleteBlind, Write: true, Level: strictWrite})
}

// chapter is a story and what a checker should find in it: properties, in order.
type chapter struct {
	name string
	tell func(*story)
	want []string
}

func check(t *testing.T, judge func([]history.Op) []history.Anomaly, chapters []chapter) {
	t.Helper()
	for _, c := range chapters {
		var s story
		c.tell(&s)
		var got, texts []string
		for _, a := range judge(s.ops) {
			got, texts = append(got, a.Property), append(texts, a.Text)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: found %v (%s), want %v", c.name, got, strings.Join(texts, "; "), c.want)
		}
	}
}

func TestRegisters(t *testing.T) {
	check(t, judgeLineages, []chapter{
		{"all well", func(s *story) {
			s.read()
			s.put("a")
			s.read("a")
			s.put("b", "a")
			s.put("c", "a")
			s.read("b", "c")
			s.put("d", "b", "c")
			s.read("d").Final = true
		}, nil},
		{"replaced by what was never acknowledged, and that by another", func(s *story) {
			s.put("a")
			s.put("b", "a").Outcome = history.Unknown
			s.read("a")
			s.read("b")
			s.read("a")
			s.put("c", "b").Outcome = history.Unknown
			s.read("c")
		}, nil},
		{"a write without an answer that comes about later, or never", func(s *story) {
			s.put("a").Outcome = history.Unknown
			s.put("b").Outcome = history.Unknown
			s.read()
			s.read("b")
		}, nil},
		{"a read that went on while it was written", func(s *story) {
			s.put("a").End = 15
			s.read()
		}, nil},
		{"a sloppy read may be stale", func(s *story) {
			s.put("a")
			s.read().Level = ""
		}, nil},
		{"a stale read", func(s *story) {
			s.put("a")
			s.put("b", "a")
			s.read("a").Level = repairedRead
			s.read("b")
		}, []string{isGone, isThere}},
		{"a write that is lost, told in the run and in the end", func(s *story) {
			s.put("a")
			s.read()
			s.read()
			s.read().Final = true
		}, []string{isThere, isThere}},
		{"a sibling that nobody saw is lost", func(s *story) {
			s.put("a")
			s.put("b")
			s.put("c", "a")
			s.read("c")
		}, []string{isThere}},
		{"what replaced it failed", func(s *story) {
			s.put("a")
			s.put("b", "a").Outcome = history.Failed
			s.read("b")
		}, []string{isKnown}},
		{"a value twice", func(s *story) {
			s.put("a")
			s.read("a", "a")
		}, []string{isKnown}},
		{"a value of another key", func(s *story) {
			s.put("a").Key = "other"
			s.read("a")
		}, []string{isKnown}},
		{"a value that was replaced is back", func(s *story) {
			s.put("a")
			s.put("b", "a")
			s.read("a", "b")
		}, []string{isGone}},
		{"a retry of what was replaced is back", func(s *story) {
			s.put("a").Once = false
			s.put("b", "a")
			s.read("a", "b")
		}, nil},
		{"what a read had W owners have is gone", func(s *story) {
			s.put("a").Outcome = history.Unknown
			s.read("a").Level = repairedRead
			s.read()
		}, []string{isThere}},
		{"what a read found may be gone", func(s *story) {
			s.put("a").Outcome = history.Unknown
			s.read("a")
			s.read()
		}, nil},
	})
}

// TestLongLineage has one key with many operations: a checker that looks at all
// earlier writes at each read would not end in time.
func TestLongLineage(t *testing.T) {
	var s story
	for i := range 50_000 {
		s.put(fmt.Sprint(i), fmt.Sprint(i-1))
		s.read(fmt.Sprint(i))
	}
	began := time.Now()
	if found := judgeLineages(s.ops); len(found) > 0 {
		t.Errorf("found %v", found[0])
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("100,000 operations on a key took %v", took)
	}
}

func TestValues(t *testing.T) {
	for _, key := range []string{registerKey(1), registerKey(3)} {
		v := valueOf(key, "17")
		if got := textOf(v); got != "17" {
			t.Errorf("%s: read as %q", key, got)
		}
		if large(key) {
			v[len(v)/2] ^= 1
			if got := textOf(v); !strings.HasPrefix(got, "damaged") {
				t.Errorf("%s: damaged, and read as %q", key, got)
			}
		}
	}
}

func TestDeletes(t *testing.T) {
	check(t, judgeLineages, []chapter{
		{"deleted, and written again", func(s *story) {
			s.put("a")
			s.del("a")
			s.read()
			s.put("b")
			s.read("b")
		}, nil},
		{"a delete without an answer, either way", func(s *story) {
			s.put("a")
			s.put("b", "a")
			s.del("b").Outcome = history.Unknown
			s.read("b")
			s.read()
			s.read("b")
		}, nil},
		{"a delete of all without an answer, of what came later, too", func(s *story) {
			s.blind().Outcome = history.Unknown
			s.put("a")
			s.read("a")
			s.read()
		}, nil},
		{"a delete of all, and a write while it went on", func(s *story) {
			s.put("a")
			s.blind().End = 35
			s.put("b")
			s.read()
		}, nil},
		{"back after a delete", func(s *story) {
			s.put("a")
			s.put("b", "a")
			s.del("b")
			s.read("a")
			s.read("b")
		}, []string{isGone, isGone}},
		{"back after a delete, in the end only", func(s *story) {
			s.put("a")
			s.del("a")
			s.read()
			*s.read("a") = history.Op{ID: 3, Key: "k", Begin: 30, End: 35, Values: []string{"a"}, Final: true, Outcome: history.OK}
		}, []string{isGone}},
		{"back after a delete of all", func(s *story) {
			s.put("a")
			s.blind()
			s.read("a")
		}, []string{isGone}},
		{"not seen by the delete, and gone", func(s *story) {
			s.put("a")
			s.put("b")
			s.del("a")
			s.read()
		}, []string{isThere}},
		{"written after a delete of all, and gone", func(s *story) {
			s.blind()
			s.put("a")
			s.read()
		}, []string{isThere}},
		{"gone before the delete began", func(s *story) {
			s.put("a")
			s.read()
			s.del("a")
		}, []string{isThere}},
		{"a delete that failed", func(s *story) {
			s.put("a")
			s.del("a").Outcome = history.Failed
			s.read()
		}, []string{isThere}},
	})
}

func TestContextOfAnotherKey(t *testing.T) {
	judge := func(ops []history.Op) []history.Anomaly { return (&register{}).Check(history.History{Ops: ops}) }
	check(t, judge, []chapter{
		{"refused", func(s *story) { s.put("a").Kind, s.ops[0].Outcome = foreign, history.Failed }, nil},
		{"taken", func(s *story) { s.put("a").Kind = foreign }, []string{isForeign}},
	})
}
