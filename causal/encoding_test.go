package causal_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"reflect"
	"runtime"
	"testing"

	"github.com/ringd/ringd/causal"
	"pgregory.net/rapid"
)

// summed appends the checksum that an object's encoding ends in.
func summed(body []byte) []byte {
	return binary.BigEndian.AppendUint32(bytes.Clone(body), crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
}

func TestObjectsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := drawObject.Draw(t, "object")
		b := causal.AppendObject([]byte("before"), o)
		if !bytes.HasPrefix(b, []byte("before")) {
			t.Fatalf("what stood before is gone")
		}
		got, err := causal.DecodeObject(b[len("before"):])
		if err != nil || !reflect.DeepEqual(got, o) {
			t.Fatalf("%+v came back as %+v: %v", o, got, err)
		}
		v, err := causal.DecodeVector(causal.AppendVector(nil, o.Context))
		if err != nil || !v.Equal(o.Context) {
			t.Fatalf("%v came back as %v: %v", o.Context, v, err)
		}
	})
}

func TestDecodedValuesShareTheSource(t *testing.T) {
	b := causal.AppendObject(nil, golden["siblings"])
	o, err := causal.DecodeObject(b)
	if err != nil {
		t.Fatal(err)
	}
	v := o.Siblings[0].Value
	if i := bytes.Index(b, v); i < 0 || &b[i] != &v[0] {
		t.Error("the value was copied")
	}
	if was := bytes.Clone(b); !bytes.Equal(append(v, 'x')[:len(v)], v) || !bytes.Equal(b, was) {
		t.Error("appending to a value writes into what follows it")
	}
}

func TestEveryChangedBitOfAnObjectIsFound(t *testing.T) {
	good := causal.AppendObject(nil, golden["siblings"])
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			if _, err := causal.DecodeObject(bad); !errors.Is(err, causal.ErrChecksum) || errors.Is(err, causal.ErrMalformed) {
				t.Fatalf("bit %d of byte %d changed: %v", bit, i, err)
			}
		}
	}
	for n := range good {
		want := causal.ErrChecksum
		if n < 5 {
			want = causal.ErrMalformed
		}
		if _, err := causal.DecodeObject(good[:n]); !errors.Is(err, want) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
}

// TestObjectsThatNobodyEncodes have a right checksum and are not canonical.
func TestObjectsThatNobodyEncodes(t *testing.T) {
	const one = "\x01" + "\x00\x00\x00\x00\x00\x00\x00\x01" + "\x01" // a vector: actor 1, counter 1
	const dot = "\x00\x00\x00\x00\x00\x00\x00\x01" + "\x01"
	const rest = "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00" + // time, expiry
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // request
	for name, c := range map[string]struct {
		body string
		want error
	}{
		"good, empty":         {"\x01\x00\x00", nil},
		"good":                {"\x01" + one + "\x01\x00" + dot + "\x01" + rest + "\x00\x00v", nil},
		"version":             {"\x02\x00\x00", causal.ErrVersion},
		"trailing":            {"\x01\x00\x00\x00", causal.ErrMalformed},
		"overlong count":      {"\x01\x80\x00\x00", causal.ErrMalformed},
		"overlong size":       {"\x01" + one + "\x01\x00" + dot + "\x81\x00" + rest + "\x00\x00v", causal.ErrMalformed},
		"more than 64 bits":   {"\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", causal.ErrMalformed},
		"unknown flag":        {"\x01" + one + "\x01\x04" + dot + "\x01" + rest + "\x00\x00v", causal.ErrMalformed},
		"tombstone, value":    {"\x01" + one + "\x01\x01" + dot + "\x01" + rest + "\x00\x00v", causal.ErrMalformed},
		"tombstone, apart":    {"\x01" + one + "\x01\x03" + dot + "\x01" + rest + "\x00\x00", causal.ErrMalformed},
		"apart, with a value": {"\x01" + one + "\x01\x02" + dot + "\x01" + rest + "\x00\x00v", causal.ErrMalformed},
		"value cut":           {"\x01" + one + "\x01\x00" + dot + "\x02" + rest + "\x00\x00v", causal.ErrMalformed},
		"uncovered sibling":   {"\x01\x00\x01\x00" + dot + "\x01" + rest + "\x00\x00v", causal.ErrMalformed},
		"dot twice":           {"\x01" + one + "\x02\x00" + dot + "\x01" + rest + "\x00\x00v\x00" + dot + "\x01" + rest + "\x00\x00v", causal.ErrMalformed},
		"metadata twice":      {"\x01" + one + "\x01\x00" + dot + "\x01" + rest + "\x00\x02\x01k\x00\x01k\x00v", causal.ErrMalformed},
		"metadata unsorted":   {"\x01" + one + "\x01\x00" + dot + "\x01" + rest + "\x00\x02\x01k\x00\x01j\x00v", causal.ErrMalformed},
	} {
		src := summed([]byte(c.body))
		o, err := causal.DecodeObject(src)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, not %v", name, err, c.want)
		}
		if c.want == nil && !bytes.Equal(causal.AppendObject(nil, o), src) {
			t.Errorf("%s: encoded again it is %x", name, causal.AppendObject(nil, o))
		}
	}
}

func TestVectorsThatNobodyEncodes(t *testing.T) {
	const one, two = "\x00\x00\x00\x00\x00\x00\x00\x01\x01", "\x00\x00\x00\x00\x00\x00\x00\x02\x01"
	for name, src := range map[string]string{
		"nothing": "", "trailing": "\x01" + one + "\x00", "cut": "\x02" + one, "unsorted": "\x02" + two + one,
		"twice": "\x02" + one + one, "no actor": "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01",
		"no counter": "\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00", "overlong": "\x81\x00" + one,
	} {
		if v, err := causal.DecodeVector([]byte(src)); !errors.Is(err, causal.ErrMalformed) {
			t.Errorf("%s: %v, %v", name, v, err)
		}
	}
}

// TestCountsBuyNoMemory announces as much as can be in what follows, and more.
func TestCountsBuyNoMemory(t *testing.T) {
	const length = 1 << 20
	filler := bytes.Repeat([]byte{0xff}, length)
	count := func(n uint64) []byte { return binary.AppendUvarint(nil, n) }
	sibling := append([]byte("\x01\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\x00"), make([]byte, 8+1+16+1)...)
	for name, head := range map[string][]byte{
		"entries":           append([]byte{1}, count(length/9)...),
		"entries, too many": append([]byte{1}, count(math.MaxUint64)...),
		"siblings":          append([]byte{1, 0}, count(length/37)...),
		"metadata":          append(sibling, count(length/2)...),
		"value":             append([]byte("\x01\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01"), count(math.MaxInt32)...),
	} {
		src := summed(append(bytes.Clone(head), filler...))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := causal.DecodeObject(src)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, causal.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 5*uint64(len(src)) {
			t.Errorf("%s: %d bytes made %d", name, len(src), got)
		}
	}
}
