package handoff_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
)

var seeds = flag.Uint64("handoff.seeds", 20, "how many random histories TestNothingIsLostOrComesBack tries")

// history is what was written to a key: values by their dots, and the contexts that
// the writes named.
type history struct {
	key      replica.Key
	values   map[causal.Dot]string
	contexts []causal.Vector
}

// want are the values that no write covered, in the order of their dots.
func (h *history) want() []string {
	var dots []causal.Dot
	for d := range h.values {
		if !slices.ContainsFunc(h.contexts, func(ctx causal.Vector) bool { return ctx.Covers(d) }) {
			dots = append(dots, d)
		}
	}
	slices.SortFunc(dots, causal.Dot.Compare)
	var values []string
	for _, d := range dots {
		values = append(values, h.values[d])
	}
	return values
}

// Writes reach some owners, some of them much later, or a fallback only; hints are
// delivered, owners compared and deletions forgotten, all at random times and with
// clean stops in between. Nothing was lost by a disk, so in the end every owner has exactly the
// values that no later write or delete had read; and so has, of keys that all members hold, everyone.
func TestNothingIsLostOrComesBack(t *testing.T) {
	types := []string{"default", "pair", "one", "all"}
	for seed := range *seeds {
		rng := rand.New(rand.NewPCG(seed, 3))
		c := newCluster(t)
		c.types["all"] = replica.CopyClass(3)
		var keys []*history
		var late []func()
		for i := range 8 {
			typ := types[i%len(types)]
			keys = append(keys, &history{
				key: replica.Key{Type: typ, Bucket: "b", Key: fmt.Sprint(i)}, values: make(map[causal.Dot]string),
			})
		}
		for i := range 120 {
			switch rng.IntN(10) {
			default:
				late = append(late, c.writeSomewhere(rng, keys[rng.IntN(len(keys))], fmt.Sprint(i))...)
			case 0, 1:
				pairs := [][2]string{{"A", "B"}, {"A", "C"}, {"B", "C"}, {"A", "F"}, {"A", "G"}}
				pair := pairs[rng.IntN(len(pairs))]
				c.agree(pair[0], pair[1])
			case 2:
				h := c.members[rng.IntN(5)]
				h.ask(h, false, replica.Reap{Limit: 1000})
			case 3:
				c.deliverAll()
			case 4:
				if h := c.members[rng.IntN(5)]; rng.IntN(2) == 0 {
					h.restart()
				} else {
					h.crash()
				}
			case 5:
				if len(late) > 0 {
					j := rng.IntN(len(late))
					late[j]()
					late = slices.Delete(late, j, j+1)
				}
			}
		}
		c.settle()
		for i, h := range keys[:len(types)] {
			c.writeSomewhere(rng, h, fmt.Sprint("again", i))
		}
		for j, arrive := range late {
			if j%2 == 0 {
				arrive()
			}
		}
		c.settle()
		for _, h := range keys {
			holders := c.types[h.key.Type]
			if holders > 3 {
				holders = len(c.members)
			}
			for _, owner := range c.members[:holders] {
				a, ok := owner.ask(owner, false, replica.Read{Key: h.key, Full: true}).(replica.ReadAnswer)
				if !ok {
					t.Fatalf("seed %d: %s does not answer", seed, owner.name)
				}
				var o causal.Object
				if len(a.Object) > 0 {
					var err error
					if o, err = causal.DecodeObject(a.Object); err != nil {
						t.Fatal(err)
					}
				}
				if got, want := fmt.Sprint(valuesOf(o)), fmt.Sprint(h.want()); got != want {
					t.Fatalf("seed %d: %s has %s of %v, and not %s", seed, owner.name, got, h.key, want)
				}
			}
		}
		if n := c.round() + c.copies(); n != 0 {
			t.Fatalf("seed %d: %d objects were sent between owners that agree", seed, n)
		}
	}
}

// writeSomewhere makes one write or delete, at an owner of its key or a fallback,
// that reaches some of the other owners, some of them by a hint. It returns the
// messages that are late.
func (c *cluster) writeSomewhere(rng *rand.Rand, h *history, value string) (late []func()) {
	c.t.Helper()
	n := min(c.types[h.key.Type], 3)
	everywhere := c.types[h.key.Type] > n
	owners := c.members[:n]
	by, fallback := owners[rng.IntN(n)], false
	if rng.IntN(5) == 0 {
		others := c.members[n:]
		by, fallback = others[rng.IntN(len(others))], true
	}
	w := replica.Write{Key: h.key, Value: []byte(value)}
	copy(w.Request[:], value)
	if rng.IntN(3) > 0 {
		reader := owners[rng.IntN(n)]
		a, ok := reader.ask(reader, false, replica.Read{Key: h.key}).(replica.ReadAnswer)
		if !ok {
			c.t.Fatalf("%s does not answer", reader.name)
		}
		w.Context.Seen = a.Context
		w.Delete = rng.IntN(2) == 0
		if w.Delete {
			w.Value = nil
		}
	}
	in := by.give(by, fallback, replica.Coordinate{Write: w, Slots: n, Everywhere: everywhere})
	prepared, ok := in.answers[0].(replica.Prepared)
	if !ok {
		c.t.Fatalf("%s: %v", by.name, in.answers)
	}
	o, err := causal.DecodeObject(prepared.Object)
	if err != nil {
		c.t.Fatal(err)
	}
	h.contexts = append(h.contexts, w.Context.Seen)
	if !w.Delete {
		for _, s := range o.Siblings {
			if string(s.Value) == value {
				h.values[s.Dot] = value
			}
		}
	}
	for _, other := range c.members[3:] {
		arrive := func() { other.ask(by, false, replica.Store{Key: h.key, Object: prepared.Object}) }
		if everywhere && rng.IntN(3) == 0 {
			late = append(late, arrive)
		} else if everywhere && rng.IntN(2) == 0 {
			arrive()
		}
	}
	for slot, owner := range owners {
		if owner == by || rng.IntN(2) == 0 {
			continue
		}
		to, asFallback := owner, false
		if rng.IntN(3) == 0 {
			others := c.members[n:]
			to, asFallback = others[rng.IntN(len(others))], true
		}
		arrive := func() {
			if _, ok := to.ask(by, asFallback, replica.Store{Key: h.key, Object: prepared.Object, Slot: slot}).(replica.StoreAnswer); !ok {
				c.t.Fatalf("%s did not store", to.name)
			}
		}
		if rng.IntN(3) == 0 {
			late = append(late, arrive)
			continue
		}
		arrive()
	}
	return late
}

// settle has all hints delivered, owners agree, and deletions forgotten.
func (c *cluster) settle() {
	c.t.Helper()
	c.deliverAll()
	for range 2 {
		c.round()
		c.copies()
		for _, h := range c.members {
			h.ask(h, false, replica.Reap{Limit: 1000}) // refused by one without a copy
		}
	}
}

// copies compares the first owner with the members that hold copies, if there are any.
func (c *cluster) copies() (sent int) {
	c.t.Helper()
	if _, ok := c.types["all"]; ok {
		sent = c.agree("A", "F") + c.agree("A", "G")
	}
	return sent
}

// deliverAll has all members deliver their hints.
func (c *cluster) deliverAll() {
	c.t.Helper()
	for _, h := range c.members {
		for _, owner := range c.members[:3] {
			if owner != h {
				c.deliver(h.name, owner.name)
			}
		}
	}
}
