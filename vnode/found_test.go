package vnode

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/storage"
	"github.com/ringd/ringd/storage/simstore"
)

// TestFind: objects, those whose values are kept apart too, and hints of all slots
// are found whole, those of other partitions not; what is damaged is named.
func TestFind(t *testing.T) {
	store := simstore.New()
	object := func(value string, apart bool) causal.Object {
		d := causal.Dot{Actor: 7, Counter: 1}
		s := causal.Sibling{Dot: d, Value: []byte(value), ValueSize: len(value)}
		if apart {
			s.Apart, s.Value = true, nil
		}
		return causal.Object{Context: causal.Vector{}.With(d), Siblings: []causal.Sibling{s}}
	}
	k := func(name string) replica.Key { return replica.Key{Type: "t", Bucket: "b", Key: name} }
	b := new(storage.Batch)
	set := func(key []byte, o causal.Object) { b.Set(key, causal.AppendObject(nil, o)) }
	set(dataKey(3, k("inline")), object("one", false))
	set(dataKey(3, k("apart")), object("two", true))
	b.Set(valueKey(3, k("apart"), causal.Dot{Actor: 7, Counter: 1}), appendValue(nil, []byte("two")))
	set(dataKey(3, k("lost value")), object("three", true))
	b.Set(dataKey(3, k("bad")), []byte("nonsense"))
	set(dataKey(4, k("elsewhere")), object("four", false))
	set(hintKey(3, 0, k("hint")), object("five", false))
	set(hintKey(3, 2, k("hint")), object("six", false))
	commit, err := store.Apply(b)
	if err == nil {
		err = commit.Wait()
	}
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = Find(store, 3, 3, func(f Found) bool {
		switch {
		case errors.Is(f.Err, storage.ErrNotFound):
			t.Errorf("%s: a damaged record is none that is missing: %v", f.Item.Key.Key, f.Err)
		case f.Err != nil:
			got = append(got, f.Item.Key.Key+" damaged")
		default:
			o, err := causal.DecodeObject(f.Item.Object)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%s=%s", f.Item.Key.Key, o.Siblings[0].Value))
		}
		return true
	})
	want := []string{"apart=two", "bad damaged", "inline=one", "lost value damaged", "hint=five", "hint=six"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("found %q, %v", got, err)
	}
	n := 0
	if err := Find(store, 3, 3, func(Found) bool { n++; return n < 5 }); err != nil || n != 5 {
		t.Errorf("it went on to %d, %v", n, err)
	}
}
