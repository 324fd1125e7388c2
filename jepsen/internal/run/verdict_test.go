package run

import (
	"strings"
	"testing"

	"github.com/ringd/ringd/jepsen/internal/history"
)

func ops(ok, failed, unknown, reads int) history.History {
	var h history.History
	for outcome, n := range map[history.Outcome]int{history.OK: ok, history.Failed: failed, history.Unknown: unknown} {
		for range n {
			h.Ops = append(h.Ops, history.Op{Write: true, Outcome: outcome})
		}
	}
	for range reads {
		h.Ops = append(h.Ops, history.Op{Outcome: history.OK})
	}
	h.Faults = []history.Fault{{Name: "kill"}}
	return h
}

func TestJudge(t *testing.T) {
	anomaly := []history.Anomaly{{Property: "set", Text: "lost"}}
	for name, c := range map[string]struct {
		h         history.History
		anomalies []history.Anomaly
		want      Outcome
		why       string
	}{
		"all well":                         {ops(80, 0, 20, 100), nil, Pass, ""},
		"too many unknown":                 {ops(79, 0, 21, 10000), nil, Inconclusive, "21.0%"},
		"an anomaly":                       {ops(100, 0, 0, 100), anomaly, Fail, "lost"},
		"an anomaly, and too many unknown": {ops(1, 0, 99, 100), anomaly, Fail, "lost"},
		"no write":                         {ops(0, 100, 0, 100), nil, Inconclusive, "0 writes"},
		"no read":                          {ops(100, 0, 0, 0), nil, Inconclusive, "0 reads"},
		"nothing was broken":               {history.History{Ops: ops(1, 0, 0, 1).Ops}, nil, Inconclusive, "nothing was broken"},
	} {
		v := judge(c.h, c.anomalies, true)
		if v.Outcome != c.want || !strings.Contains(v.Why, c.why) {
			t.Errorf("%s: %s, %q; want %s, %q", name, v.Outcome, v.Why, c.want, c.why)
		}
	}
	if v := judge(history.History{Ops: ops(1, 0, 0, 1).Ops}, nil, false); v.Outcome != Pass {
		t.Errorf("a run that was to break nothing: %+v", v)
	}
}
