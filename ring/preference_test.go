package ring_test

import (
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringd/ringd/ring"
)

// memberIDs of the first n members.
func memberIDs(n int) []ring.MemberID {
	out := make([]ring.MemberID, n)
	for i := range out {
		out[i] = memberID(i)
	}
	return out
}

// TestFallbackOrderIsPinned: members of different releases have to agree on who
// stands in for whom.
func TestFallbackOrderIsPinned(t *testing.T) {
	slots := slices.Repeat([][]int{{0, 2, 4}}, 256)
	slots[0], slots[17] = []int{2, 3, 4}, []int{1, 2, 4}
	r, all := owned(t, 3, slots), memberIDs(8)
	for p, want := range map[ring.PartitionID][]int{
		0: {0, 5, 1, 6, 7}, 17: {3, 7, 5, 6, 0}, 255: {3, 7, 5, 6, 1},
	} {
		var got []int
		for _, id := range r.Preference(p, 3, all).Fallbacks {
			got = append(got, slices.Index(all, id))
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("partition %d: fallbacks %v, want %v", p, got, want)
		}
	}
}

// TestFallbacksSpread: the first fallbacks of a member's partitions are not one
// and the same member.
func TestFallbacksSpread(t *testing.T) {
	r, all := planned(t, 1024, 3, 10), memberIDs(10)
	first := make(map[[2]ring.MemberID]int)
	for p := range ring.PartitionID(1024) {
		pref := r.Preference(p, 3, all)
		for _, owner := range pref.Owners {
			first[[2]ring.MemberID{owner, pref.Fallbacks[0]}]++
		}
	}
	even := 1024 * 3 / 10 / 9
	for _, a := range all {
		for _, b := range all {
			if got := first[[2]ring.MemberID{a, b}]; a != b && (got < even/2 || got > even*2) {
				t.Errorf("%v stands in for %v in %d partitions, an even share is %d", b, a, got, even)
			}
		}
	}
}

// TestFallbackNamedTwice: a member gets one share of a request, however often
// the caller names it.
func TestFallbackNamedTwice(t *testing.T) {
	r, all := planned(t, 64, 3, 5), memberIDs(9)
	rapid.Check(t, func(t *rapid.T) {
		p := ring.PartitionID(rapid.IntRange(0, 63).Draw(t, "partition"))
		again := rapid.SliceOf(rapid.SampledFrom(all)).Draw(t, "again")
		named := rapid.Permutation(append(slices.Clone(all), again...)).Draw(t, "order")
		if got, want := r.Preference(p, 3, named), r.Preference(p, 3, all); !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, want %+v", got, want)
		}
	})
}

// TestAppendingToOwners: a caller that goes on from the owners with append does
// not write into the ring.
func TestAppendingToOwners(t *testing.T) {
	r := planned(t, 8, 3, 4)
	second := r.Owners(0)[1]
	_ = append(r.Preference(0, 1, nil).Owners, memberID(77))
	if got := r.Owners(0)[1]; got != second {
		t.Errorf("the second owner became %v", got)
	}
}

func TestPreferenceWithoutOwners(t *testing.T) {
	pref := empty(t, 8, 3).Preference(0, 3, memberIDs(3))
	if len(pref.Owners) != 0 || len(pref.Fallbacks) != 0 {
		t.Errorf("%+v", pref)
	}
}

// TestHotPathAllocatesNothing: both run for every request.
func TestHotPathAllocatesNothing(t *testing.T) {
	r := planned(t, 256, 3, 10)
	for name, f := range map[string]func(){
		"Partition":  func() { r.Partition("default", "carts", "customer/123456") },
		"Preference": func() { r.Preference(17, 3, nil) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}
