package vnode_test

import (
	"fmt"
	"testing"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
)

// TestTransferMeetsWhatIsThere: objects that come in the order of their keys, as a
// move streams them, are merged with what is there, wherever among them it is, in
// the batch being made and earlier in the message too.
func TestTransferMeetsWhatIsThere(t *testing.T) {
	item := func(key string, actor causal.Actor) replica.Item {
		d := causal.Dot{Actor: actor, Counter: 1}
		value := []byte(fmt.Sprint(actor))
		return replica.Item{Key: testKey(key), Object: causal.AppendObject(nil, causal.Object{
			Context:  causal.Vector{}.With(d),
			Siblings: []causal.Sibling{{Dot: d, Value: value, ValueSize: len(value)}},
		})}
	}
	stream := func() replica.Transfer {
		return replica.Transfer{Items: []replica.Item{item("b", 1), item("c", 1), item("d", 1)}}
	}
	for _, tc := range []struct {
		name   string
		there  []string
		merged int
	}{
		{"nothing", nil, 0},
		{"below and above", []string{"a", "e"}, 0},
		{"the first", []string{"b"}, 1},
		{"the last", []string{"d"}, 1},
		{"one within", []string{"c"}, 1},
		{"what is none of them", []string{"bb"}, 0},
	} {
		for _, together := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/together=%v", tc.name, together), func(t *testing.T) {
				b := newBench(t)
				first := replica.Transfer{}
				for _, key := range tc.there {
					first.Items = append(first.Items, item(key, 2))
				}
				switch {
				case len(first.Items) == 0:
					b.step(request("2", stream()))
				case together:
					b.step(request("1", first), request("2", stream()))
				default:
					b.step(request("1", first))
					b.sync()
					b.step(request("2", stream()))
				}
				b.sync()
				merged := 0
				for _, key := range []string{"b", "c", "d"} {
					switch v := values(object(t, b.step(read("r", key))["r"][0])); v {
					case "[1]":
					case "[1 2]":
						merged++
					default:
						t.Errorf("%s is %s", key, v)
					}
				}
				if merged != tc.merged {
					t.Errorf("%d are merged, want %d", merged, tc.merged)
				}
			})
		}
	}
	t.Run("a key twice", func(t *testing.T) {
		b := newBench(t)
		b.step(request("1", replica.Transfer{Items: []replica.Item{item("b", 1), item("b", 2)}}))
		b.sync()
		if v := values(object(t, b.step(read("r", "b"))["r"][0])); v != "[1 2]" {
			t.Errorf("it is %s", v)
		}
	})
}
