package ring_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringd/ringd/ring"
)

// TestUnmarshalIsStrict changes one thing in what MarshalJSON wrote: it is
// refused, and the ring that was to be read into stays as it was.
func TestUnmarshalIsStrict(t *testing.T) {
	type object = map[string]any
	for name, change := range map[string]func(object){
		"a member that owns nothing": func(o object) { o["members"] = append(o["members"].([]any), memberID(77).String()) },
		"members out of order": func(o object) {
			m := o["members"].([]any)
			m[0], m[1] = m[1], m[0]
		},
		"an epoch of no partition": func(o object) {
			o["epochs"] = append(o["epochs"].([]any), object{"generation": 0, "number": 1})
		},
		"partitions of epoch zero": func(o object) { o["epochs"] = []any{object{"generation": 0, "number": 0}} },
		"a ring of epoch zero":     func(o object) { o["epoch"] = object{"generation": 0, "number": 0} },
		"a later epoch":            func(o object) { o["epochs"] = []any{object{"generation": 9, "number": 9}} },
		"one owner twice":          func(o object) { o["slots"].([]any)[3] = []any{1, 1} },
		"too few slots":            func(o object) { o["slots"].([]any)[3] = []any{1} },
		"a slot of nobody":         func(o object) { o["slots"].([]any)[3] = []any{1, 3} },
		"a slot of member -1":      func(o object) { o["slots"].([]any)[3] = []any{1, -1} },
		"no slots":                 func(o object) { delete(o, "slots"); delete(o, "changed") },
		"an unknown field":         func(o object) { o["extra"] = 1 },
		"a later version":          func(o object) { o["version"] = 2 },
	} {
		before := planned(t, 8, 2, 3)
		b, err := json.Marshal(before)
		if err != nil {
			t.Fatal(err)
		}
		var o object
		if err := json.Unmarshal(b, &o); err != nil {
			t.Fatal(err)
		}
		change(o)
		if b, err = json.Marshal(o); err != nil {
			t.Fatal(err)
		}
		into := planned(t, 8, 2, 3)
		if err := json.Unmarshal(b, into); err == nil {
			t.Errorf("%s was read", name)
		} else if !reflect.DeepEqual(into, before) {
			t.Errorf("%s was refused, but left its traces", name)
		}
	}
}

func TestUnmarshalRefusesMoreAfterTheEnd(t *testing.T) {
	b, err := json.Marshal(planned(t, 8, 2, 3))
	if err != nil {
		t.Fatal(err)
	}
	for _, more := range []string{"{}", " 1", "}", "x"} {
		var r ring.Ring
		if err := r.UnmarshalJSON(append(b[:len(b):len(b)], more...)); err == nil {
			t.Errorf("a ring with %q behind it was read", more)
		}
	}
}

// TestJSONRoundTrip over rings whose partitions changed at different epochs.
func TestJSONRoundTrip(t *testing.T) {
	start := planned(t, 16, 3, 6)
	rapid.Check(t, func(t *rapid.T) {
		r := start
		for step := range rapid.IntRange(0, 5).Draw(t, "steps") {
			slots := make([][]ring.MemberID, 16)
			for p := range slots {
				slots[p] = r.Owners(ring.PartitionID(p))
			}
			p := rapid.IntRange(0, 15).Draw(t, "partition")
			slots[p] = rapid.Permutation(memberIDs(6)).Draw(t, "owners")[:3]
			next, err := r.WithSlots(ring.Epoch{Generation: 1, Number: uint64(step + 2)}, slots)
			if err != nil {
				t.Fatal(err)
			}
			r = next
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var read ring.Ring
		if err := json.Unmarshal(b, &read); err != nil || !reflect.DeepEqual(&read, r) {
			t.Fatalf("%v: %s", err, b)
		}
	})
}

// TestRingKeepsItsOwnSlots: what the caller does with its slots afterwards does
// not reach the ring.
func TestRingKeepsItsOwnSlots(t *testing.T) {
	p, err := ring.Plan(empty(t, 8, 2), members(3))
	if err != nil {
		t.Fatal(err)
	}
	r, err := empty(t, 8, 2).WithSlots(ring.Epoch{Generation: 1, Number: 1}, p.Slots)
	if err != nil {
		t.Fatal(err)
	}
	first := r.Owners(0)[0]
	p.Slots[0][0] = memberID(77)
	if r.Owners(0)[0] != first {
		t.Error("the ring changed with the caller's slots")
	}
}

// TestRefusedSlotsGiveNoRing: beside an error there is nothing to use.
func TestRefusedSlotsGiveNoRing(t *testing.T) {
	r, epoch := empty(t, 8, 2), ring.Epoch{Generation: 1, Number: 1}
	one := make([][]ring.MemberID, 8)
	for p := range one {
		one[p] = []ring.MemberID{memberID(1), memberID(1)}
	}
	for name, slots := range map[string][][]ring.MemberID{"none": nil, "too few": one[:7], "one owner twice": one} {
		if next, err := r.WithSlots(epoch, slots); err == nil || next != nil {
			t.Errorf("%s: %v, %v", name, next, err)
		}
	}
}
