package ring_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringd/ringd/ring"
)

// With -update the golden files are written anew: read the diff. Bytes that a
// release wrote stay readable, so a changed file needs a new version.
var update = flag.Bool("update", false, "rewrite golden files")

func planned(t testing.TB, partitions, replicas, n int) *ring.Ring {
	t.Helper()
	r := empty(t, partitions, replicas)
	p, err := ring.Plan(r, members(n))
	if err != nil {
		t.Fatal(err)
	}
	next, err := r.WithSlots(ring.Epoch{Generation: 1, Number: 1}, p.Slots)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func TestPartitionIsPinned(t *testing.T) {
	// Stored keys stay where they are: these never change.
	r, err := ring.New(ring.Config{Seed: 12345, Partitions: 256, Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	got := []ring.PartitionID{
		r.Partition("default", "b", "k"), r.Partition("default", "bk", ""),
		r.Partition("defaul", "tb", "k"), r.Partition("", "", ""), r.Partition("t", "\x00\xff", "\xff"),
	}
	want := []ring.PartitionID{16, 148, 141, 104, 187}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("partitions %v, want %v", got, want)
	}
}

func TestPartitionsFillEvenly(t *testing.T) {
	r := empty(t, 64, 3)
	counts := make([]int, 64)
	const keys = 64 * 1000
	for i := range keys {
		counts[r.Partition("default", "bucket", string(rune('a'+i%26))+string(rune(0x100+i)))]++
	}
	for p, c := range counts {
		if c < 800 || c > 1200 {
			t.Errorf("partition %d has %d of %d keys", p, c, keys)
		}
	}
}

// TestGoldenJSON: what a release wrote stays readable, and a ring without moves is
// written as the first release did.
func TestGoldenJSON(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "ring-v1.json"))
	if err != nil {
		t.Fatal(err)
	}
	first := new(ring.Ring)
	if err := json.Unmarshal(raw, first); err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "ring-v1.json", first)
	later, err := first.WithArrivals(ring.Epoch{Generation: 1, Number: 2}, []ring.Arrived{
		{Slot: ring.Slot{Partition: 5, Index: 1}, Owner: members(9)[8].ID, Number: 7},
		{Slot: ring.Slot{Partition: 0, Index: 0}, Owner: members(9)[8].ID, Number: 8},
	})
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "ring-v2.json", later)
}

func checkGolden(t *testing.T, name string, r *ring.Ring) {
	t.Helper()
	got, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got)+"\n" != string(want) {
		t.Errorf("the encoding changed:\n%s", got)
	}
	var read ring.Ring
	if err := json.Unmarshal(want, &read); err != nil || !reflect.DeepEqual(&read, r) {
		t.Errorf("%v: read %+v", err, read)
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	for _, in := range []string{
		``, `{}`, `null`, `{"version":2}`, `{"version":1,"partitions":8,"replicas":1,"extra":1}`,
		`{"version":1,"partitions":8,"replicas":1,"epoch":{"generation":1,"number":1}}`,
		`{"version":1,"partitions":8,"replicas":1,"slots":[[0]],"changed":[0]}`,
		`{"version":1,"partitions":9,"replicas":1}`,
	} {
		var r ring.Ring
		if err := r.UnmarshalJSON([]byte(in)); err == nil {
			t.Errorf("%s was read as %+v", in, r)
		}
	}
}

func TestArrivals(t *testing.T) {
	r := planned(t, 8, 2, 3)
	stranger := members(9)[8].ID
	slot := ring.Slot{Partition: 5, Index: 1}
	later := ring.Epoch{Generation: 1, Number: 2}
	next, err := r.WithArrivals(later, []ring.Arrived{{Slot: slot, Owner: stranger, Number: 3}})
	if err != nil {
		t.Fatal(err)
	}
	if next.Arrival(slot) != 3 || next.Owners(5)[1] != stranger || next.OwnersChanged(5) != later || next.Arrival(ring.Slot{Partition: 5}) != 0 {
		t.Errorf("arrival %d at %v of %v", next.Arrival(slot), next.OwnersChanged(5), next.Owners(5))
	}
	if r.Arrival(slot) != 0 || r.Owners(5)[1] == stranger {
		t.Error("the ring before has changed")
	}
	for _, a := range []ring.Arrived{
		{Slot: slot, Owner: r.Owners(5)[0], Number: 3}, // owns the other one
		{Slot: slot, Owner: stranger},
		{Slot: ring.Slot{Partition: 8}, Owner: stranger, Number: 3},
		{Slot: ring.Slot{Partition: 5, Index: 2}, Owner: stranger, Number: 3},
	} {
		if _, err := r.WithArrivals(later, []ring.Arrived{a}); err == nil {
			t.Errorf("%+v was taken", a)
		}
	}
	again, err := next.WithEpoch(ring.Epoch{Generation: 2, Number: 1})
	if err != nil || again.Arrival(slot) != 3 || again.OwnersChanged(0) != again.Epoch() {
		t.Errorf("%v: arrival %d, partition 0 changed at %v of %v", err, again.Arrival(slot), again.OwnersChanged(0), again.Epoch())
	}
}

func TestOwnersChanged(t *testing.T) {
	r := planned(t, 8, 2, 3)
	slots := make([][]ring.MemberID, 8)
	for p := range slots {
		slots[p] = r.Owners(ring.PartitionID(p))
	}
	slots[5] = []ring.MemberID{slots[5][1], slots[5][0]}
	later := ring.Epoch{Generation: 1, Number: 2}
	next, err := r.WithSlots(later, slots)
	if err != nil {
		t.Fatal(err)
	}
	if next.OwnersChanged(5) != later || next.OwnersChanged(4) != r.Epoch() {
		t.Fatalf("partition 5 at %v, 4 at %v", next.OwnersChanged(5), next.OwnersChanged(4))
	}
	if _, err := next.WithSlots(later, slots); err == nil {
		t.Error("a ring of the same epoch was made")
	}
	slots[0] = []ring.MemberID{slots[0][0], slots[0][0]}
	if _, err := next.WithSlots(ring.Epoch{Generation: 1, Number: 3}, slots); err == nil {
		t.Error("a ring with one owner in two slots was made")
	}
}

// TestFallbacksStay: who stands in for an owner doesn't change when another
// member comes or goes.
func TestFallbacksStay(t *testing.T) {
	r := planned(t, 64, 3, 5)
	rapid.Check(t, func(t *rapid.T) {
		var all []ring.MemberID
		for _, m := range members(12) {
			all = append(all, m.ID)
		}
		p := ring.PartitionID(rapid.IntRange(0, 63).Draw(t, "partition"))
		whole := r.Preference(p, 3, rapid.Permutation(all).Draw(t, "order"))
		if len(whole.Owners)+len(whole.Fallbacks) != 12 {
			t.Fatalf("%d owners and %d fallbacks of 12", len(whole.Owners), len(whole.Fallbacks))
		}
		gone := rapid.IntRange(0, 11).Draw(t, "gone")
		rest := r.Preference(p, 3, append(append([]ring.MemberID{}, all[:gone]...), all[gone+1:]...))
		var want []ring.MemberID
		for _, id := range whole.Fallbacks {
			if id != all[gone] {
				want = append(want, id)
			}
		}
		if !reflect.DeepEqual(rest.Fallbacks, want) {
			t.Fatalf("without %v: %v, want %v", all[gone], rest.Fallbacks, want)
		}
	})
}

func TestPreferenceOfFewerReplicas(t *testing.T) {
	r := planned(t, 8, 3, 4)
	pref := r.Preference(2, 1, r.Members())
	if len(pref.Owners) != 1 || pref.Owners[0] != r.Owners(2)[0] || len(pref.Fallbacks) != 3 {
		t.Fatalf("%+v", pref)
	}
}

func TestMemberIDText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var id ring.MemberID
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		if read, err := ring.ParseMemberID(id.String()); err != nil || read != id {
			t.Fatalf("%v: %v", read, err)
		}
	})
	for _, s := range []string{"", "x", "00000000-0000-0000-0000-00000000000g", "000000000000-0000-0000-0000-00000000"} {
		if _, err := ring.ParseMemberID(s); err == nil {
			t.Errorf("%q was read", s)
		}
	}
}

func BenchmarkPartition(b *testing.B) {
	r := empty(b, 256, 3)
	b.ReportAllocs()
	for b.Loop() {
		r.Partition("default", "carts", "customer/123456")
	}
}

func BenchmarkPreference(b *testing.B) {
	r := planned(b, 256, 3, 10)
	b.ReportAllocs()
	for b.Loop() {
		r.Preference(17, 3, nil)
	}
}

// TestNextGeneration: of one generation begun by two members, all epochs of the
// higher id are later, and none is past what JSON readers keep.
func TestNextGeneration(t *testing.T) {
	before := ring.Epoch{Generation: 1, Number: 17}
	low, high := before.NextGeneration(ring.MemberID{0: 0xff, 1: 0xff, 2: 0xef}), before.NextGeneration(ring.MemberID{0: 0xff, 1: 0xff, 2: 0xff})
	low.Number += 1<<32 - 2
	if before.Compare(low) >= 0 || low.Compare(high) >= 0 || high.Number >= 1<<53 {
		t.Errorf("%v, %v, %v", before, low, high)
	}
	if next := high.NextGeneration(ring.MemberID{15: 1}); high.Compare(next) >= 0 {
		t.Errorf("%v, then %v", high, next)
	}
	if before.String() != "1.17" || high.String() != "2.1/fffff" {
		t.Errorf("%v, %v", before, high)
	}
}
