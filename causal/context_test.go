package causal_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/ringd/ringd/causal"
	"pgregory.net/rapid"
)

var (
	clusterKey = causal.NewContextKey([]byte("the secret of a cluster"))
	sampleKey  = []string{"default", "users", "ada"}
	sample     = vector(1, 7, 1<<63, 300)
)

func sealed() []byte { return seal(causal.Context{Seen: sample}) }

func seal(c causal.Context) []byte {
	return causal.Seal(clusterKey, sampleKey[0], sampleKey[1], sampleKey[2], c)
}

func open(b []byte) (causal.Context, error) {
	return causal.Open(clusterKey, sampleKey[0], sampleKey[1], sampleKey[2], b)
}

func TestContextOpensWhereItWasSealed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Texts of any bytes: keys need not be UTF-8.
		text := rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 4), func(b []byte) string { return string(b) })
		at := [3]string{text.Draw(t, "type"), text.Draw(t, "bucket"), text.Draw(t, "key")}
		c := drawContext.Draw(t, "context")
		b := causal.Seal(clusterKey, at[0], at[1], at[2], c)
		got, err := causal.Open(clusterKey, at[0], at[1], at[2], b)
		if err != nil || !got.Seen.Equal(c.Seen) || !got.Own.Equal(c.Own) {
			t.Fatalf("opened as %v: %v", got, err)
		}
		other := [3]string{text.Draw(t, "other type"), text.Draw(t, "other bucket"), text.Draw(t, "other key")}
		if _, err := causal.Open(clusterKey, other[0], other[1], other[2], b); (err == nil) != (at == other) {
			t.Fatalf("sealed for %q, opened for %q: %v", at, other, err)
		}
		if _, err := causal.Open(causal.NewContextKey(nil), at[0], at[1], at[2], b); !errors.Is(err, causal.ErrForeignContext) {
			t.Fatalf("in another cluster: %v", err)
		}
	})
}

// TestContextIsBoundToWhereItsPartsEnd has parts that are the same bytes in a
// row.
func TestContextIsBoundToWhereItsPartsEnd(t *testing.T) {
	b := causal.Seal(clusterKey, "ab", "cd", "ef", causal.Context{Seen: sample})
	for _, at := range [][3]string{{"a", "bcd", "ef"}, {"abc", "d", "ef"}, {"ab", "cde", "f"}, {"ab", "c", "def"}, {"", "abcdef", ""}} {
		if _, err := causal.Open(clusterKey, at[0], at[1], at[2], b); !errors.Is(err, causal.ErrForeignContext) {
			t.Errorf("%q: %v", at, err)
		}
	}
}

func TestNoContext(t *testing.T) {
	for _, b := range [][]byte{nil, {}} {
		if c, err := open(b); !c.Empty() || err != nil {
			t.Errorf("opened as %v: %v", c, err)
		}
	}
	// The context of a read that found nothing is one, and covers nothing.
	empty := seal(causal.Context{})
	if c, err := open(empty); len(empty) == 0 || !c.Empty() || err != nil {
		t.Errorf("opened as %v: %v", c, err)
	}
}

func TestContextsThatWereNotGivenOut(t *testing.T) {
	own := causal.Context{Seen: sample, Own: vector(2, 9)}
	for name, good := range map[string][]byte{"seen": sealed(), "seen and own": seal(own)} {
		for i := range good {
			for bit := range 8 {
				bad := bytes.Clone(good)
				bad[i] ^= 1 << bit
				want := causal.ErrForeignContext
				if i == 0 && bad[0] != sealed()[0] && bad[0] != seal(own)[0] {
					want = causal.ErrVersion
				}
				if c, err := open(bad); !errors.Is(err, want) || !c.Empty() {
					t.Fatalf("%s: bit %d of byte %d changed: %v, %v", name, bit, i, c, err)
				}
			}
		}
		for n := 1; n < len(good); n++ {
			want := causal.ErrForeignContext
			if n < 18 {
				want = causal.ErrMalformed
			}
			if _, err := open(good[:n]); !errors.Is(err, want) {
				t.Fatalf("%s: cut to %d bytes: %v", name, n, err)
			}
		}
		if _, err := open(append(good, 0)); !errors.Is(err, causal.ErrForeignContext) {
			t.Fatalf("%s: a byte more: %v", name, err)
		}
	}
}

// TestWritesReplaceOnlyWhatTheirClientSaw has clients that chain writes by the
// contexts that writes give them, beside siblings which they never read.
func TestWritesReplaceOnlyWhatTheirClientSaw(t *testing.T) {
	type client struct {
		context causal.Context
		saw     map[causal.Dot]bool // read, or written
	}
	rapid.Check(t, func(t *rapid.T) {
		replicas := make([]causal.Object, 3)
		clients := []*client{{saw: map[causal.Dot]bool{}}, {saw: map[causal.Dot]bool{}}}
		written := map[causal.Dot]bool{}
		replaced := map[causal.Dot]bool{} // by a write of someone who had seen it
		var counters [3]uint64
		var requests byte
		pick := func(name string) int { return rapid.IntRange(0, 2).Draw(t, name) }
		t.Repeat(map[string]func(*rapid.T){
			"merge": func(*rapid.T) {
				i := pick("into")
				replicas[i] = causal.Merge(replicas[i], replicas[pick("from")])
			},
			"read": func(t *rapid.T) {
				c, o := clients[rapid.IntRange(0, 1).Draw(t, "client")], replicas[pick("at")]
				for _, s := range o.Siblings {
					c.saw[s.Dot] = true
				}
				c.context = causal.Context{Seen: o.Context}
			},
			"write": func(t *rapid.T) {
				c, i := clients[rapid.IntRange(0, 1).Draw(t, "client")], pick("at")
				counters[i] += rapid.Uint64Range(1, 2).Draw(t, "step")
				requests++
				s := causal.Sibling{Dot: causal.Dot{Actor: causal.Actor(i + 1), Counter: counters[i]}, Request: request(uint64(requests))}
				after := causal.Write(replicas[i], c.context, s)
				for dot := range c.saw {
					if c.context.Covers(dot) {
						replaced[dot] = true
					}
				}
				c.saw[s.Dot], written[s.Dot] = true, true
				c.context = c.context.Wrote(after, s.Dot, s.Request)
				if !c.context.Covers(s.Dot) {
					t.Fatalf("the write's own context %v does not cover it", c.context)
				}
				if len(c.context.Own) > causal.OwnMax {
					t.Fatalf("%d own writes", len(c.context.Own))
				}
				replicas[i] = after
			},
			"": func(t *rapid.T) {
				all := causal.Merge(replicas[0], causal.Merge(replicas[1], replicas[2]))
				live := map[causal.Dot]bool{}
				for _, s := range all.Siblings {
					live[s.Dot] = true
				}
				for dot := range written {
					if !live[dot] && !replaced[dot] {
						t.Fatalf("%v is gone, and nobody who had seen it replaced it", dot)
					}
				}
			},
		})
	})
}
