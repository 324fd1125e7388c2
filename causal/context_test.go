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

func sealed() []byte {
	return causal.Seal(clusterKey, sampleKey[0], sampleKey[1], sampleKey[2], sample)
}

func open(b []byte) (causal.Vector, error) {
	return causal.Open(clusterKey, sampleKey[0], sampleKey[1], sampleKey[2], b)
}

func TestContextOpensWhereItWasSealed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Texts of any bytes: keys need not be UTF-8.
		text := rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 4), func(b []byte) string { return string(b) })
		at := [3]string{text.Draw(t, "type"), text.Draw(t, "bucket"), text.Draw(t, "key")}
		v := drawVector.Draw(t, "vector")
		b := causal.Seal(clusterKey, at[0], at[1], at[2], v)
		got, err := causal.Open(clusterKey, at[0], at[1], at[2], b)
		if err != nil || !got.Equal(v) {
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
	b := causal.Seal(clusterKey, "ab", "cd", "ef", sample)
	for _, at := range [][3]string{{"a", "bcd", "ef"}, {"abc", "d", "ef"}, {"ab", "cde", "f"}, {"ab", "c", "def"}, {"", "abcdef", ""}} {
		if _, err := causal.Open(clusterKey, at[0], at[1], at[2], b); !errors.Is(err, causal.ErrForeignContext) {
			t.Errorf("%q: %v", at, err)
		}
	}
}

func TestNoContext(t *testing.T) {
	for _, b := range [][]byte{nil, {}} {
		if v, err := open(b); v != nil || err != nil {
			t.Errorf("opened as %v: %v", v, err)
		}
	}
	// The context of a read that found nothing is one, and covers nothing.
	empty := causal.Seal(clusterKey, sampleKey[0], sampleKey[1], sampleKey[2], nil)
	if v, err := open(empty); len(empty) == 0 || v != nil || err != nil {
		t.Errorf("opened as %v: %v", v, err)
	}
}

func TestContextsThatWereNotGivenOut(t *testing.T) {
	good := sealed()
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			want := causal.ErrForeignContext
			if i == 0 {
				want = causal.ErrVersion
			}
			if v, err := open(bad); !errors.Is(err, want) || v != nil {
				t.Fatalf("bit %d of byte %d changed: %v, %v", bit, i, v, err)
			}
		}
	}
	for n := 1; n < len(good); n++ {
		want := causal.ErrForeignContext
		if n < 18 {
			want = causal.ErrMalformed
		}
		if _, err := open(good[:n]); !errors.Is(err, want) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	if _, err := open(append(good, 0)); !errors.Is(err, causal.ErrForeignContext) {
		t.Fatalf("a byte more: %v", err)
	}
}
