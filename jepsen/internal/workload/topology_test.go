package workload

import (
	"fmt"
	"testing"
	"time"

	"github.com/ringd/ringd/jepsen/internal/history"
)

// agreements tells stories of what is agreed on.
type agreements struct{ *story }

func (a agreements) set(value, life string) *history.Op {
	return a.add(history.Op{Kind: kindSet, Write: true, Key: setting, Value: value, Level: life})
}

func (a agreements) look(value, life string) *history.Op {
	return a.add(history.Op{Kind: kindSetting, Key: setting, Values: []string{value}, Level: life})
}

func (a agreements) create(value string) *history.Op {
	return a.add(history.Op{Kind: kindCreate, Write: true, Key: "type-1", Value: value})
}

func (a agreements) refused(value string) *history.Op {
	op := a.create(value)
	op.Outcome, op.Values = history.Failed, []string{refused}
	return op
}

func (a agreements) found(values ...string) *history.Op {
	return a.add(history.Op{Kind: kindType, Key: "type-1", Values: values})
}

func TestTopology(t *testing.T) {
	judge := func(ops []history.Op) []history.Anomaly { return (&topology{}).Check(history.History{Ops: ops}) }
	tell := func(what func(agreements)) func(*story) { return func(s *story) { what(agreements{s}) } }
	check(t, judge, []chapter{
		{"set one after the other; another member is behind", tell(func(a agreements) {
			a.look("100", "m1 1")
			a.set("1001", "m0 1")
			a.set("1002", "m0 1")
			a.look("100", "m1 1")
			a.look("1001", "m1 1")
			a.look("1002", "m0 1")
			a.look("1002", "m0 1").Final = true
		}), nil},
		{"nothing was set", tell(func(a agreements) { a.look("100", "m1 1").Final = true }), nil},
		{"set without an answer, and set late", tell(func(a agreements) {
			a.set("1001", "m0 1").Outcome = history.Unknown
			a.set("1002", "m0 1")
			a.look("1001", "m0 1")
			a.look("1001", "m0 1").Final = true
		}), nil},
		{"an acknowledged change is undone", tell(func(a agreements) {
			a.set("1001", "")
			a.set("1002", "")
			a.look("1001", "").Final = true
		}), []string{isLinear}},
		{"two members differ in the end", tell(func(a agreements) {
			a.set("1001", "")
			a.set("1002", "").Begin = 2
			a.look("1001", "").Final = true
			a.look("1002", "").Final = true
		}), []string{isLinear}},
		{"a member goes back", tell(func(a agreements) {
			a.set("1001", "")
			a.set("1002", "")
			a.look("1002", "m0 1")
			a.look("1001", "m0 1")
			a.look("1001", "m0 2")
		}), []string{isOnwardSetting}},
		{"a member goes back to the default", tell(func(a agreements) {
			a.set("1001", "m0 1")
			a.look("100", "m0 1")
		}), []string{isOnwardSetting}},
		{"a member does not show what it acknowledged", tell(func(a agreements) {
			a.set("1001", "")
			a.set("1002", "m0 1")
			a.look("1001", "m0 1")
		}), []string{isOnwardSetting}},
		{"what failed is shown", tell(func(a agreements) {
			a.set("1001", "").Outcome = history.Failed
			a.look("1001", "m0 1")
		}), []string{isOnwardSetting}},
		{"shown before it is set", tell(func(a agreements) {
			a.look("1001", "m0 1")
			a.set("1001", "")
		}), []string{isOnwardSetting}},

		{"one creates, others are refused", tell(func(a agreements) {
			a.create("1")
			a.found()
			a.refused("2")
			a.create("3").Outcome = history.Unknown
			a.found("1").Final = true
		}), nil},
		{"created without an answer", tell(func(a agreements) {
			a.create("1").Outcome = history.Unknown
			a.refused("2")
			a.found("1")
		}), nil},
		{"never created", tell(func(a agreements) {
			a.create("1").Outcome = history.Unknown
			a.found().Final = true
		}), nil},
		{"both create", tell(func(a agreements) {
			a.create("1")
			a.create("2")
		}), []string{isLinear}},
		{"refused by nobody", tell(func(a agreements) { a.refused("1") }), []string{isLinear}},
		{"refused, and it was its own", tell(func(a agreements) {
			a.refused("1")
			a.found("1")
		}), []string{isLinear}},
		{"gone in the end", tell(func(a agreements) {
			a.create("1")
			a.found().Final = true
		}), []string{isLinear}},
	})
}

// TestManyAgreements: as many as a long run has, with many at a time and some unanswered.
func TestManyAgreements(t *testing.T) {
	s := story{}
	a := agreements{&s}
	for i := range 10_000 {
		op := a.set(fmt.Sprint(settingFirst+i), fmt.Sprint("m", i%5, " 1"))
		op.End += 100
		if i%20 == 0 {
			op.Outcome = history.Unknown
		}
	}
	a.look(fmt.Sprint(settingFirst+9999), "m1 1").Final = true
	began := time.Now()
	if found := (&topology{}).Check(history.History{Ops: s.ops}); len(found) > 0 {
		t.Errorf("found %v", found[0])
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("10,000 changes took %v", took)
	}
}
