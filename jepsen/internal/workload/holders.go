package workload

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/ringd/ringd/jepsen/internal/history"
)

const (
	// kindHolders looks at what owners hold: now and then, and right after a write.
	kindHolders = "holders"
	isHeld      = "owners hold what was acknowledged"
)

// judgeStrict is judgeLineages, and looks at the owners themselves. Admin.Inspect asks
// each of them what a read would: two that answer without the write would be a strict
// read that misses it, though reads may happen to ask others; where all had to acknowledge
// it, a read with r=1 is strict, and one is too many.
func judgeStrict(ops []history.Op) (found []history.Anomaly) {
	writes, values := make(map[string]history.Op), make(map[string]history.Op)
	settled := make(map[string][]history.Op) // by key, in the order in which they ended
	var clients, looks []history.Op
	for _, op := range ops {
		if op.Kind == kindHolders {
			looks = append(looks, op)
			continue
		}
		clients = append(clients, op)
		if !op.Write || op.Request == "" {
			continue
		}
		writes[op.Request], values[op.Key+"="+op.Value] = op, op
		if op.Outcome == history.OK && isStrict(op.Level) {
			settled[op.Key] = append(settled[op.Key], op)
		}
	}
	for _, list := range settled {
		slices.SortFunc(list, func(a, b history.Op) int { return cmp.Compare(a.End, b.End) })
	}
	for _, op := range looks {
		list := settled[op.Key]
		n, _ := slices.BinarySearchFunc(list, op.Begin, func(w history.Op, begin time.Duration) int { return cmp.Compare(w.End, begin) })
		if op.Outcome != history.OK || n == 0 {
			continue
		}
		// The last one before the look. Those before it were looked for then.
		w, allowed := list[n-1], 1
		if w.Level == allWrite {
			allowed = 0
		}
		if lack := lacking(op, w.Request, func(request string) bool { return after(values, writes[request], w) }); len(lack) > allowed {
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
func lacking(op history.Op, request string, after func(request string) bool) (names []string) {
	var copies []held
	dots := make(map[uint64]uint64) // actor to the least counter: of each attempt
	for _, raw := range op.Values {
		var h held
		if json.Unmarshal([]byte(raw), &h) != nil {
			return nil
		}
		copies = append(copies, h)
		for _, s := range h.Siblings {
			if s.Write == request && (dots[s.Actor] == 0 || s.Counter < dots[s.Actor]) {
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
