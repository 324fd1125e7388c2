package workload

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/ringd/ringd/jepsen/internal/history"
)

// carts is how many carts there are.
const carts = 20

// cart has clients add items and remove them, each item once: they read a cart, take
// the union of its siblings, change it, and write it with the context of the read. A
// value is the number of its write, and the items.
type cart struct{ next atomic.Int64 }

func (*cart) Name() string { return "cart" }

func (*cart) Property() string {
	return "an item that was added is in the cart in the end, unless somebody removed it, and no other is"
}

func (*cart) Setup(context.Context, *Session) error { return nil }

func cartKey(i int) string { return fmt.Sprintf("cart-%d", i) }

// itemsMax is how many items a cart has before some are removed.
const itemsMax = 30

func (w *cart) Run(ctx context.Context, s *Session) {
	for ctx.Err() == nil {
		op, seen := s.get(ctx, history.Op{Key: cartKey(s.Rand.IntN(carts)), Level: strictRead})
		if op.Outcome != history.OK {
			continue
		}
		items, n := union(op.Values), w.next.Add(1)
		if i := len(items); i > 0 && s.Rand.IntN(itemsMax) < i {
			i = s.Rand.IntN(i)
			items = slices.Delete(items, i, i+1)
		} else {
			items = append(items, fmt.Sprintf("item%d", n))
		}
		s.put(ctx, history.Op{Key: op.Key, Value: fmt.Sprint(n, " ", strings.Join(items, " ")), Replaces: op.Values}, seen)
	}
}

// union returns the items of siblings, in order.
func union(values []string) (items []string) {
	for _, v := range values {
		items = append(items, strings.Fields(v)[1:]...)
	}
	slices.Sort(items)
	return slices.Compact(items)
}

func (w *cart) Final(ctx context.Context, s *Session) error {
	var keys []string
	for i := range carts {
		keys = append(keys, cartKey(i))
	}
	return s.getAll(ctx, strictRead, keys)
}

const isInCart = "what is added is in the cart"

func (*cart) Check(h history.History) []history.Anomaly {
	found := judgeLineages(h.Ops)
	added := make(map[string]history.Op)      // acknowledged, by item
	possible := make(map[string]bool)         // added, or perhaps
	removed := make(map[string]bool)          // or perhaps
	inEnd := make(map[string]map[string]bool) // key to items
	for _, op := range h.Ops {
		var after []string
		switch {
		case op.Write && op.Outcome != history.Failed:
			after = union([]string{op.Value})
		case op.Final && op.Outcome == history.OK:
			inEnd[op.Key] = make(map[string]bool)
			for _, item := range union(op.Values) {
				inEnd[op.Key][item] = true
			}
			continue
		default:
			continue
		}
		before := union(op.Replaces)
		for _, item := range after {
			if !slices.Contains(before, item) {
				possible[op.Key+" "+item] = true
				if op.Outcome == history.OK {
					added[item] = op
				}
			}
		}
		for _, item := range before {
			removed[item] = removed[item] || !slices.Contains(after, item)
		}
	}
	for _, item := range slices.Sorted(maps.Keys(added)) {
		op := added[item]
		if end, read := inEnd[op.Key]; read && !end[item] && !removed[item] {
			found = append(found, history.Anomaly{Property: isInCart, Key: op.Key, Ops: []int{op.ID}, Text: item + " was added, nobody removed it, and it is not there in the end"})
		}
	}
	for key, items := range inEnd {
		for item := range items {
			if !possible[key+" "+item] {
				found = append(found, history.Anomaly{Property: isInCart, Key: key, Text: item + " is there in the end and was never added"})
			}
		}
	}
	return found
}
