package workload

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/ringd/ringd/jepsen/internal/history"
)

// The properties of what is agreed on.
const (
	isLinear = "changes are linearizable"
	// isOnwardSetting: each member takes the changes in their order, without end.
	isOnwardSetting = "a member does not go back"
)

// linearWithin bounds the search for an order of the operations of one key.
const linearWithin = 10 * time.Second

// agreed is what the members agree on by one key: a register that can be set, and
// created where it has no value yet.
var agreed = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, _ any) (bool, any) {
		op, now := input.(history.Op), state.(string)
		switch {
		case op.Kind == kindSet:
			return true, op.Value
		case op.Kind == kindCreate && slices.Equal(op.Values, []string{refused}):
			return now != "", now
		case op.Kind == kindCreate && now == "":
			return true, op.Value
		case op.Kind == kindCreate:
			// One without an answer may have come too late.
			return op.Outcome == history.Unknown, now
		}
		return now == valueRead(op), now
	},
}

func valueRead(op history.Op) string {
	if len(op.Values) == 0 {
		return ""
	}
	return op.Values[0]
}

// judgeLinear has Porcupine look for an order of each key's operations. A look at what a
// member has before the end may be stale, and says only that a bucket type was
// created; that of a setting says nothing, and is for judgeOnward.
func judgeLinear(ops []history.Op) (found []history.Anomaly) {
	seen, set := make(map[string]bool), make(map[string]bool)
	for _, op := range ops {
		if op.Final && op.Kind == kindSetting {
			seen[valueRead(op)] = true
		}
		set[op.Value] = set[op.Value] || op.Kind == kindSet
	}
	byKey := make(map[string][]porcupine.Operation)
	var keys []string
	for _, op := range ops {
		if !tells(op, seen) {
			continue
		}
		if byKey[op.Key] == nil {
			keys = append(keys, op.Key)
		}
		if op.Kind == kindSetting && !set[valueRead(op)] {
			// The default is what is there before the first change.
			op.Values = nil
		}
		o := porcupine.Operation{ClientId: op.Client, Input: op, Call: int64(op.Begin), Return: int64(op.End)}
		if op.Outcome == history.Unknown {
			o.Return = math.MaxInt64
		}
		byKey[op.Key] = append(byKey[op.Key], o)
	}
	for _, key := range keys {
		switch porcupine.CheckOperationsTimeout(agreed, byKey[key], linearWithin) {
		case porcupine.Illegal:
			found = append(found, history.Anomaly{Property: isLinear, Key: key, Ops: ids(byKey[key]), Text: "no order of these operations explains what they were answered"})
		case porcupine.Unknown:
			found = append(found, history.Anomaly{Property: isLinear, Key: key, Text: fmt.Sprintf("the checker found no order of %d operations within %v", len(byKey[key]), linearWithin)})
		}
	}
	return found
}

// idsTold is how many operations of a key an anomaly names: the last ones.
const idsTold = 20

func ids(ops []porcupine.Operation) (ids []int) {
	for _, o := range ops[max(0, len(ops)-idsTold):] {
		ids = append(ids, o.Input.(history.Op).ID)
	}
	return ids
}

// tells says whether an operation has to be in the order.
func tells(op history.Op, seen map[string]bool) bool {
	wasRefused := slices.Equal(op.Values, []string{refused})
	switch op.Kind {
	case kindSet:
		// One without an answer that nobody found may be anywhere behind the last look.
		return op.Outcome == history.OK || (op.Outcome == history.Unknown && seen[op.Value])
	case kindCreate:
		return op.Outcome != history.Failed || wasRefused
	case kindType:
		return op.Outcome == history.OK && (op.Final || len(op.Values) > 0)
	case kindSetting:
		return op.Outcome == history.OK && op.Final
	}
	return false
}

// judgeOnward holds what each member, in one life, showed and acknowledged of the setting to the
// order in which it was set: what was replaced before something began that the member
// knew already is not shown any more.
func judgeOnward(ops []history.Op) (found []history.Anomaly) {
	sets := make(map[string]history.Op)
	byLife := make(map[string][]history.Op)
	for _, op := range ops {
		if op.Kind == kindSet {
			sets[op.Value] = op
		}
		if op.Level != "" && op.Outcome == history.OK {
			byLife[op.Level] = append(byLife[op.Level], op)
		}
	}
	for _, list := range byLife {
		ended := slices.Clone(list)
		slices.SortFunc(ended, func(a, b history.Op) int { return cmp.Compare(a.End, b.End) })
		slices.SortFunc(list, func(a, b history.Op) int { return cmp.Compare(a.Begin, b.Begin) })
		// newest of the sets that the member knew is the one that began last.
		var newest history.Op
		known, n := false, 0
		for _, op := range list {
			for ; n < len(ended) && ended[n].End < op.Begin; n++ {
				value := ended[n].Value
				if !ended[n].Write {
					value = valueRead(ended[n])
				}
				if set, ok := sets[value]; ok && (!known || set.Begin > newest.Begin) {
					newest, known = set, true
				}
			}
			if op.Write {
				continue
			}
			value := valueRead(op)
			set, ok := sets[value]
			tell := func(text string) {
				found = append(found, history.Anomaly{Property: isOnwardSetting, Key: op.Key, Ops: []int{newest.ID, set.ID, op.ID}, Text: op.Member + " " + text})
			}
			switch {
			case ok && set.Outcome == history.Failed:
				tell(fmt.Sprintf("shows %s, which failed without effect", value))
			case ok && set.Begin > op.End:
				tell(fmt.Sprintf("shows %s before it was set", value))
			case ok && known && set.Outcome == history.OK && set.End < newest.Begin, !ok && known:
				tell(fmt.Sprintf("shows %s, and knew before of %s, which was set later", value, newest.Value))
			}
		}
	}
	return found
}
