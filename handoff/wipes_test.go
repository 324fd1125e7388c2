package handoff_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
)

// acknowledged is what is promised of a key: a value that a quorum took is there
// until a write names it, and one that a write of a quorum named is gone.
type acknowledged struct {
	key           replica.Key
	taken         map[causal.Dot]string
	named, forAll []causal.Vector // by any write; by those that a quorum took
}

func covers(contexts []causal.Vector, d causal.Dot) bool {
	return slices.ContainsFunc(contexts, func(ctx causal.Vector) bool { return ctx.Covers(d) })
}

// One owner after another loses all its data, in the middle of everything else
// that may happen, and no other before it has its data back. What a quorum took is
// there in the end, and what a quorum deleted is not.
func TestEmptiedOwnersLoseNothingAcknowledged(t *testing.T) {
	owners := []string{"A", "B", "C"}
	for seed := range *seeds {
		rng := rand.New(rand.NewPCG(seed, 4))
		c := newCluster(t)
		var keys []*acknowledged
		var late []func()
		wipes := 0
		for i := range 4 {
			keys = append(keys, &acknowledged{key: key(fmt.Sprint(i)), taken: make(map[causal.Dot]string)})
		}
		whole := func() bool {
			return !slices.ContainsFunc(c.members[:3], func(h *host) bool {
				a, ok := h.ask(h, false, replica.Capture{Look: true}).(replica.CaptureAnswer)
				return !ok || a.Incomplete
			})
		}
		for i := range 150 {
			switch rng.IntN(12) {
			default:
				late = append(late, c.writeAnywhere(rng, keys[rng.IntN(len(keys))], fmt.Sprint(i))...)
			case 0, 1, 2:
				pair := [][2]string{{"A", "B"}, {"A", "C"}, {"B", "C"}}[rng.IntN(3)]
				c.agree(pair[0], pair[1])
			case 3:
				c.reap(owners[rng.IntN(3)])
			case 4:
				c.deliverAll()
			case 5:
				c.members[rng.IntN(5)].crash()
			case 6:
				if len(late) > 0 {
					j := rng.IntN(len(late))
					late[j]()
					late = slices.Delete(late, j, j+1)
				}
			case 7:
				if whole() {
					c.members[rng.IntN(3)].wipe()
					wipes++
				}
			}
		}
		c.settle()
		for _, arrive := range late {
			arrive()
		}
		c.settle()
		if wipes == 0 || !whole() {
			t.Fatalf("seed %d: %d wipes, and whole: %v", seed, wipes, whole())
		}
		for _, k := range keys {
			for _, name := range owners {
				a, err := c.read(name, k.key.Key)
				if err != nil {
					t.Fatalf("seed %d: %s: %v", seed, name, err)
				}
				o := causal.Object{}
				if len(a.Object) > 0 {
					if o, _ = causal.DecodeObject(a.Object); len(o.Context) == 0 {
						t.Fatalf("seed %d: %s answers nonsense", seed, name)
					}
				}
				for d, value := range k.taken {
					if !covers(k.named, d) && !o.HasDot(d) {
						t.Fatalf("seed %d: %s lost value %s of %v, which a quorum took", seed, name, value, k.key)
					}
				}
				for _, s := range o.Siblings {
					if !s.Tombstone && covers(k.forAll, s.Dot) {
						t.Fatalf("seed %d: %s has value %s of %v, which a quorum deleted", seed, name, s.Value, k.key)
					}
				}
			}
		}
		if n := c.round(); n != 0 {
			t.Fatalf("seed %d: %d objects were sent between owners that agree", seed, n)
		}
	}
}

// writeAnywhere makes one write or delete, at an owner or a fallback, that reaches
// some of the other owners. It returns the messages that are late.
func (c *cluster) writeAnywhere(rng *rand.Rand, k *acknowledged, value string) (late []func()) {
	c.t.Helper()
	by := c.members[rng.IntN(3)]
	fallback := rng.IntN(6) == 0
	if fallback {
		by = c.members[3+rng.IntN(2)]
	}
	w := replica.Write{Key: k.key, Value: []byte(value)}
	copy(w.Request[:], value)
	reader := c.members[rng.IntN(3)]
	if a, ok := reader.ask(reader, false, replica.Read{Key: k.key}).(replica.ReadAnswer); ok && rng.IntN(3) > 0 {
		w.Context.Seen = a.Context
		if w.Delete = rng.IntN(2) == 0; w.Delete {
			w.Value = nil
		}
	}
	prepared, ok := by.give(by, fallback, replica.Coordinate{Write: w, Slots: 3}).answers[0].(replica.Prepared)
	if !ok {
		c.t.Fatalf("%s did not coordinate", by.name)
	}
	o, err := causal.DecodeObject(prepared.Object)
	if err != nil {
		c.t.Fatal(err)
	}
	took := 0
	if !fallback {
		took++
	}
	for slot, owner := range c.members[:3] {
		if owner == by || rng.IntN(3) == 0 {
			continue
		}
		to, hint := owner, rng.IntN(4) == 0
		if hint {
			to = c.members[3+rng.IntN(2)]
		}
		arrive := func() {
			if _, ok := to.ask(by, hint, replica.Store{Key: k.key, Object: prepared.Object, Slot: slot}).(replica.StoreAnswer); !ok {
				c.t.Fatalf("%s did not store", to.name)
			}
		}
		if rng.IntN(3) == 0 {
			late = append(late, arrive)
			continue
		}
		arrive()
		if !hint {
			took++
		}
	}
	k.named = append(k.named, w.Context.Seen)
	if took < 2 {
		return late
	}
	k.forAll = append(k.forAll, w.Context.Seen)
	for _, s := range o.Siblings {
		if !s.Tombstone && string(s.Value) == value {
			k.taken[s.Dot] = value
		}
	}
	return late
}
