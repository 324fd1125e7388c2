package workload

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ringd/ringd/jepsen/internal/history"
)

const (
	// kindHolders looks at what owners hold, right after a write was acknowledged.
	kindHolders = "holders"
	isHeld      = "owners hold what was acknowledged"
)

// judgeStrict is judgeLineages, and looks at the owners themselves. Admin.Inspect asks
// each of them what a read would: two that answer without the write would be a strict
// read that misses it, though reads may happen to ask others; where all had to acknowledge
// it, a read with r=1 is strict, and one is too many.
func judgeStrict(ops []history.Op) (found []history.Anomaly) {
	writes, values := make(map[string]history.Op), make(map[string]history.Op)
	var clients []history.Op
	for _, op := range ops {
		if op.Kind == kindHolders {
			continue
		}
		clients = append(clients, op)
		if op.Write && op.Request != "" {
			writes[op.Request], values[op.Key+"="+op.Value] = op, op
		}
	}
	for _, op := range ops {
		w := writes[op.Request]
		if op.Kind != kindHolders || op.Outcome != history.OK || w.Outcome != history.OK || w.End >= op.Begin {
			continue
		}
		allowed := 1
		if w.Level == allWrite {
			allowed = 0
		}
		if lack := lacking(op, func(request string) bool { return after(values, writes[request], w) }); len(lack) > allowed {
			found = append(found, history.Anomaly{Property: isHeld, Key: op.Key, Ops: []int{w.ID, op.ID}, Text: fmt.Sprintf("%v answer without %s, which was acknowledged: %v", lack, w.Value, op.Values)})
		}
	}
	return append(found, judgeLineages(clients)...)
}

// after says whether an operation replaced the write, or what had replaced it.
func after(values map[string]history.Op, op, write history.Op) bool {
	visited := make(map[int]bool)
	for todo := []history.Op{op}; len(todo) > 0; {
		op, todo = todo[len(todo)-1], todo[:len(todo)-1]
		if visited[op.ID] || op.Key != write.Key || op.Begin <= write.Begin {
			continue
		}
		visited[op.ID] = true
		for _, v := range op.Replaces {
			if v == write.Value {
				return true
			}
			todo = append(todo, values[op.Key+"="+v])
		}
	}
	return false
}

// lacking returns the owners that have neither the write nor merged it, nor a write
// that came after it: of two attempts they may have merged the other. Nothing is known
// of a write that no owner shows: it was replaced meanwhile, or is lost, which reads tell.
func lacking(op history.Op, after func(request string) bool) (names []string) {
	var copies []held
	dots := make(map[uint64]uint64) // actor to the least counter: of each attempt
	for _, raw := range op.Values {
		var h held
		if json.Unmarshal([]byte(raw), &h) != nil {
			return nil
		}
		copies = append(copies, h)
		for _, s := range h.Siblings {
			if s.Write == op.Request && (dots[s.Actor] == 0 || s.Counter < dots[s.Actor]) {
				dots[s.Actor] = s.Counter
			}
		}
	}
	if len(dots) == 0 {
		return nil
	}
	for _, h := range copies {
		has := false
		for actor, counter := range dots {
			has = has || h.Context[actor] >= counter
		}
		has = has || slices.ContainsFunc(h.Siblings, func(s sibling) bool { return after(s.Write) })
		if !has {
			names = append(names, h.Owner)
		}
	}
	return names
}
