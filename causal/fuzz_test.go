package causal_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/ringd/ringd/causal"
)

// FuzzDecodeObject fuzzes the body, with the checksum put behind it: few inputs
// would get past that by chance.
func FuzzDecodeObject(f *testing.F) {
	for _, o := range golden {
		b := causal.AppendObject(nil, o)
		f.Add(b[:len(b)-4])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := causal.DecodeObject(body); err != nil && !isDecodeError(err) {
			t.Fatalf("an error of no kind: %v", err)
		}
		src := summed(body)
		o, err := causal.DecodeObject(src)
		if err != nil {
			if !isDecodeError(err) || errors.Is(err, causal.ErrChecksum) {
				t.Fatalf("wrong error: %v", err)
			}
			return
		}
		if again := causal.AppendObject(nil, must(t, o)); !bytes.Equal(again, src) {
			t.Fatalf("%x is accepted, and encoded as %x", src, again)
		}
		if merged, outcome := causal.MergeOutcome(o, o); outcome != causal.Unchanged || !same(merged, o) {
			t.Fatalf("%v merged with itself: %v", o, merged)
		}
		must(t, causal.Fold(o, causal.FoldOptions{LastWriteWins: true}))
	})
}

func isDecodeError(err error) bool {
	return errors.Is(err, causal.ErrMalformed) || errors.Is(err, causal.ErrChecksum) || errors.Is(err, causal.ErrVersion)
}

func FuzzDecodeVector(f *testing.F) {
	for _, o := range golden {
		f.Add(causal.AppendVector(nil, o.Context))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		v, err := causal.DecodeVector(src)
		if err != nil {
			if !errors.Is(err, causal.ErrMalformed) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		if err := v.Check(); err != nil {
			t.Fatal(err)
		}
		if again := causal.AppendVector(nil, v); !bytes.Equal(again, src) {
			t.Fatalf("%x is accepted, and encoded as %x", src, again)
		}
	})
}

// FuzzOpen holds that only what Seal made for the key is opened.
func FuzzOpen(f *testing.F) {
	f.Add("default", "users", "ada", sealed())
	f.Add("default", "users", "bob", sealed())
	f.Add("", "", "", []byte{})
	f.Fuzz(func(t *testing.T, bucketType, bucket, key string, b []byte) {
		v, err := causal.Open(clusterKey, bucketType, bucket, key, b)
		switch {
		case err == nil && len(b) > 0:
			if again := causal.Seal(clusterKey, bucketType, bucket, key, v); !bytes.Equal(again, b) {
				t.Fatalf("%x was opened, which Seal never made", b)
			}
		case err != nil && !errors.Is(err, causal.ErrForeignContext) && !isDecodeError(err):
			t.Fatalf("an error of no kind: %v", err)
		}
	})
}
