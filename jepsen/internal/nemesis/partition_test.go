package nemesis

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// sees returns whom each of n members hears, itself included.
func sees(pairs [][2]int, n int) [][]int {
	hears := make([][]int, n)
	for to := range n {
		for from := range n {
			if !slices.Contains(pairs, [2]int{from, to}) {
				hears[to] = append(hears[to], from)
			}
		}
	}
	return hears
}

// mutual reports whether nobody hears one who doesn't hear back.
func mutual(hears [][]int) bool {
	for to, list := range hears {
		for _, from := range list {
			if !slices.Contains(hears[from], to) {
				return false
			}
		}
	}
	return true
}

// each draws a grudge for several numbers of members.
func each(t *testing.T, g grudge, check func(t *testing.T, n int, hears [][]int) bool) {
	t.Helper()
	for seed := range uint64(50) {
		for n := 3; n <= 8; n++ {
			pairs, detail := g(rand.New(rand.NewPCG(seed, 0)), n)
			if len(pairs) == 0 && n > 3 {
				t.Fatalf("seed %d, %d members: nothing is cut", seed, n)
			}
			for _, p := range pairs {
				if p[0] == p[1] {
					t.Fatalf("seed %d, %d members: %d is cut off from itself", seed, n, p[0])
				}
			}
			if hears := sees(pairs, n); !check(t, n, hears) {
				t.Fatalf("seed %d, %d members, %s: they hear %v", seed, n, detail, hears)
			}
		}
	}
}

// count of the members that hear so many.
func count(hears [][]int, many int) (n int) {
	for _, list := range hears {
		if len(list) == many {
			n++
		}
	}
	return n
}

func TestGrudges(t *testing.T) {
	t.Run("one", func(t *testing.T) {
		each(t, one, func(_ *testing.T, n int, hears [][]int) bool {
			return mutual(hears) && count(hears, 1) == 1 && count(hears, n-1) == n-1
		})
	})
	t.Run("halves", func(t *testing.T) {
		each(t, halves, func(_ *testing.T, n int, hears [][]int) bool {
			small, large := n/2, n-n/2
			if small == large {
				return mutual(hears) && count(hears, small) == n
			}
			return mutual(hears) && count(hears, small) == small && count(hears, large) == large
		})
	})
	t.Run("majorities ring", func(t *testing.T) {
		each(t, majoritiesRing, func(_ *testing.T, n int, hears [][]int) bool {
			if n == 3 {
				return true // each majority that two of three see is all of them
			}
			for i, list := range hears {
				for _, other := range hears[:i] {
					if slices.Equal(list, other) {
						return false
					}
				}
				if len(list) <= n/2 || len(list) == n {
					return false
				}
			}
			return mutual(hears)
		})
	})
	t.Run("bridge", func(t *testing.T) {
		each(t, bridge, func(_ *testing.T, n int, hears [][]int) bool {
			return mutual(hears) && count(hears, n) == 1
		})
	})
	t.Run("one way", func(t *testing.T) {
		each(t, oneWay, func(_ *testing.T, n int, hears [][]int) bool {
			return !mutual(hears) && count(hears, n) > 0 && count(hears, n) < n
		})
	})
}

func TestParse(t *testing.T) {
	list, err := Parse("kill,bridge")
	if err != nil || len(list) != 2 || list[0].Name != "kill" || list[1].Name != "bridge" {
		t.Errorf("%v, %v", list, err)
	}
	for _, mix := range []string{"", "nothing", "kill,kill", "kill,,bridge"} {
		if _, err := Parse(mix); err == nil {
			t.Errorf("%q is taken", mix)
		}
	}
	names := make(map[string]bool)
	for _, n := range All() {
		if n.Name == "" || n.Does == "" || n.Start == nil || names[n.Name] {
			t.Errorf("%+v: a name of its own, and what it does, are missing", n)
		}
		names[n.Name] = true
	}
}
