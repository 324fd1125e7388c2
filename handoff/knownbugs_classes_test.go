package handoff_test

import (
	"testing"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
)

// A bucket type of n=2 is held by the first two owners only. What the third one
// says that it has seen holds for the keys that it owns; told so to the first, it
// would make "deleted" of keys of the second that the first has not got yet, and
// the next exchange delete them there.
func TestOwnerDoesNotVouchForKeysThatItDoesNotOwn(t *testing.T) {
	c := newCluster(t)
	k := replica.Key{Type: "pair", Bucket: "b", Key: "k"}
	c.write("B", replica.Write{Key: k, Value: []byte("v")})
	c.agree("B", "C")
	c.agree("A", "C")
	c.agree("A", "B")
	for _, name := range []string{"A", "B"} {
		h := c.host(name)
		if a, ok := h.ask(h, false, replica.Read{Key: k, Full: true}).(replica.ReadAnswer); !ok || a.Object == nil {
			t.Fatalf("%s lost the key: %+v", name, a)
		}
	}
}

// For such a type the third owner may be a fallback. It delivers its hints, but has
// not been compared with their owner, which must not take what the third has seen
// as an owner for seen.
func TestOwnerThatIsAFallbackOfASmallerTypeDoesNotVouch(t *testing.T) {
	c := newCluster(t)
	k := replica.Key{Type: "pair", Bucket: "b", Key: "k"}
	c.put("C", "acknowledged", "v", nil, "B")
	c.hint("C", "A", k, c.write("B", replica.Write{Key: k, Value: []byte("v")}))
	c.deliver("C", "A")
	c.host("B").down = true
	c.wantGet("A", "acknowledged", strict, "v")
	c.host("B").down = false
	c.round()
	c.wantAgreed("acknowledged", "v")
}

// What the third owner coordinated as a fallback of such a type is a dot of its
// actor like those of its own keys. The exchange of these says nothing about it:
// the hint is still to come.
func TestHintOfAnOwnerIsNotTakenForSeen(t *testing.T) {
	c := newCluster(t)
	k := replica.Key{Type: "pair", Bucket: "b", Key: "k"}
	h := c.host("C")
	h.ask(h, true, replica.Coordinate{Write: replica.Write{Key: k, Value: []byte("v"), Request: causal.RequestID{1}}, Slots: 2})
	c.round()
	c.deliver("C", "A")
	c.deliver("C", "B")
	for _, name := range []string{"A", "B"} {
		h := c.host(name)
		if a, ok := h.ask(h, false, replica.Read{Key: k, Full: true}).(replica.ReadAnswer); !ok || a.Object == nil {
			t.Fatalf("%s dropped the hint: %+v", name, a)
		}
	}
}

// Deletions of every class are forgotten, whoever coordinated them, beside keys of
// the others.
func TestDeletesOfEveryClassAreForgotten(t *testing.T) {
	c := newCluster(t)
	owners := map[string][]string{"one": {"A"}, "pair": {"A", "B"}, "default": {"A", "B", "C"}}
	deletes := 0
	for typ, names := range owners {
		for _, by := range names {
			k := replica.Key{Type: typ, Bucket: "b", Key: by}
			o := c.write(by, replica.Write{Key: k, Value: []byte("v")})
			c.write(by, replica.Write{Key: k, Delete: true, Context: causal.Context{Seen: o.Context}})
			deletes++
		}
	}
	c.round()
	c.round()
	reaped := 0
	for _, name := range owners["default"] {
		r := c.reap(name)
		if r.Kept != 0 {
			t.Fatalf("%s: %+v", name, r)
		}
		reaped += r.Reaped
	}
	if reaped < deletes {
		t.Fatalf("%d records of %d deletions were removed", reaped, deletes)
	}
}
