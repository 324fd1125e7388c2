package storage

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// names draws byte strings in which what has to be escaped is common.
func names() *rapid.Generator[[]byte] {
	return rapid.SliceOfN(rapid.OneOf(
		rapid.SampledFrom([]byte{0x00, 0x01, 0x02, 0xfe, 0xff, 'a', 'b'}), rapid.Byte()), 0, 6)
}

func dataKeys() *rapid.Generator[DataKey] {
	return rapid.Custom(func(t *rapid.T) DataKey {
		return DataKey{
			Partition:  rapid.OneOf(rapid.Uint32Range(0, 2), rapid.Just(^uint32(0))).Draw(t, "partition"),
			BucketType: names().Draw(t, "type"),
			Bucket:     names().Draw(t, "bucket"),
			Key:        names().Draw(t, "key"),
		}
	})
}

func (k DataKey) encode() []byte {
	return AppendDataKey(nil, k.Partition, k.BucketType, k.Bucket, k.Key)
}

func (k DataKey) equal(o DataKey) bool {
	return k.Partition == o.Partition && bytes.Equal(k.BucketType, o.BucketType) &&
		bytes.Equal(k.Bucket, o.Bucket) && bytes.Equal(k.Key, o.Key)
}

// compare is the order in which keys have to lie on disk.
func (k DataKey) compare(o DataKey) int {
	switch {
	case k.Partition != o.Partition && k.Partition < o.Partition:
		return -1
	case k.Partition != o.Partition:
		return 1
	case !bytes.Equal(k.BucketType, o.BucketType):
		return bytes.Compare(k.BucketType, o.BucketType)
	case !bytes.Equal(k.Bucket, o.Bucket):
		return bytes.Compare(k.Bucket, o.Bucket)
	}
	return bytes.Compare(k.Key, o.Key)
}

func TestKeysRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := dataKeys().Draw(t, "k")
		got, err := ParseDataKey(k.encode())
		if err != nil || !got.equal(k) {
			t.Fatalf("%+v became %+v, %v", k, got, err)
		}
		want := ValueKey{k, rapid.Uint64().Draw(t, "actor"), rapid.Uint64().Draw(t, "counter")}
		value := AppendValueKey([]byte("before"), k.Partition, k.BucketType, k.Bucket, k.Key, want.Actor, want.Counter)
		parsed, err := ParseValueKey(bytes.TrimPrefix(value, []byte("before")))
		if err != nil || !parsed.equal(k) || parsed.Actor != want.Actor || parsed.Counter != want.Counter {
			t.Fatalf("%+v became %+v, %v", want, parsed, err)
		}
	})
}

func TestKeysKeepOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := dataKeys().Draw(t, "a"), dataKeys().Draw(t, "b")
		if rapid.Bool().Draw(t, "same bucket") {
			b.Partition, b.BucketType, b.Bucket = a.Partition, a.BucketType, a.Bucket
		}
		if got, want := bytes.Compare(a.encode(), b.encode()), a.compare(b); got != want {
			t.Fatalf("%+v and %+v compare as %d on disk, want %d", a, b, got, want)
		}
	})
}

func within(key, lower, upper []byte) bool {
	return bytes.Compare(key, lower) >= 0 && bytes.Compare(key, upper) < 0
}

func TestRangesHoldExactlyTheirKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := dataKeys().Draw(t, "a"), dataKeys().Draw(t, "b")
		switch rapid.IntRange(0, 2).Draw(t, "shared") {
		case 2:
			b.Bucket = a.Bucket
			fallthrough
		case 1:
			b.Partition, b.BucketType = a.Partition, a.BucketType
		}
		key := b.encode()
		partition := a.Partition == b.Partition
		bucketType := partition && bytes.Equal(a.BucketType, b.BucketType)
		bucket := bucketType && bytes.Equal(a.Bucket, b.Bucket)
		check := func(name string, want bool, lower, upper []byte) {
			if got := within(key, lower, upper); got != want {
				t.Fatalf("%s of %+v holds %+v: %v, want %v", name, a, b, got, want)
			}
		}
		lower, upper := DataRange(a.Partition)
		check("partition", partition, lower, upper)
		lower, upper = TypeRange(a.Partition, a.BucketType)
		check("type", bucketType, lower, upper)
		lower, upper = BucketRange(a.Partition, a.BucketType, a.Bucket)
		check("bucket", bucket, lower, upper)
		if next := Successor(a.encode()); (bytes.Compare(key, next) < 0) != (a.compare(b) >= 0) {
			t.Fatalf("the successor of %+v and %+v are in the wrong order", a, b)
		}
	})
}

func TestPartitionRanges(t *testing.T) {
	keys := func(p uint32) map[string][]byte {
		head := string(AppendPartitionMetaKey(nil, p, ""))[1:]
		return map[string][]byte{
			"data":           AppendDataKey(nil, p, []byte("t"), []byte("b"), []byte("k")),
			"value":          AppendValueKey(nil, p, []byte("t"), []byte("b"), []byte("k"), 1, 2),
			"partition meta": AppendPartitionMetaKey(nil, p, "actor"),
			"hint":           []byte("h" + head + "x"),
			"tree":           []byte("t" + head + "x"),
		}
	}
	for _, p := range []uint32{0, 7, 255, 256, ^uint32(0)} {
		held := func(key []byte) int {
			n := 0
			for _, r := range PartitionRanges(p) {
				if within(key, r.Lower, r.Upper) {
					n++
				}
			}
			return n
		}
		for name, key := range keys(p) {
			if n := held(key); n != 1 {
				t.Errorf("%s of partition %d is in %d ranges, want 1", name, p, n)
			}
		}
		for _, other := range []uint32{p - 1, p + 1} {
			for name, key := range keys(other) {
				if n := held(key); n != 0 {
					t.Errorf("%s of partition %d is in the ranges of %d", name, other, p)
				}
			}
		}
		if held(AppendMetaKey(nil, "id")) != 0 {
			t.Errorf("a record of the member is in the ranges of partition %d", p)
		}
	}
}

// What is on members' disks.
func TestKeysGolden(t *testing.T) {
	for _, c := range []struct {
		name string
		key  []byte
		want string
	}{
		{
			"data", AppendDataKey(nil, 0x01020304, []byte("default"), []byte("users"), []byte("ann")),
			"64 01020304 64656661756c74 0001 7573657273 0001 616e6e 0001",
		},
		{
			"data, escaped", AppendDataKey(nil, 1, nil, []byte{0}, []byte{0xff, 0, 1}),
			"64 00000001 0001 00ff 0001 ff 00ff 01 0001",
		},
		{
			"value", AppendValueKey(nil, 2, []byte("t"), []byte("b"), []byte{0}, 0x0a0b, 3),
			"76 00000002 74 0001 62 0001 00ff 0001 0000000000000a0b 0000000000000003",
		},
		{"partition meta", AppendPartitionMetaKey(nil, 3, "actor"), "70 00000003 6163746f72"},
		{"meta", AppendMetaKey(nil, "id"), "6d 6964"},
	} {
		if got, want := hex.EncodeToString(c.key), strings.ReplaceAll(c.want, " ", ""); got != want {
			t.Errorf("%s: %s, want %s", c.name, got, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	data := AppendDataKey(nil, 1, []byte("t"), []byte("b"), []byte("k"))
	value := AppendValueKey(nil, 1, []byte("t"), []byte("b"), []byte("k"), 1, 2)
	bad := map[string][]byte{
		"nothing": nil, "too short": data[:4], "of another keyspace": AppendMetaKey(nil, "data"),
		"an unknown escape": []byte("d\x00\x00\x00\x01t\x00\x02b\x00\x01k\x00\x01"),
		"data and more":     append(bytes.Clone(data), 'x'),
		"value and more":    append(bytes.Clone(value), 'x'),
	}
	for name, key := range bad {
		if _, err := ParseDataKey(key); !errors.Is(err, ErrKey) {
			t.Errorf("ParseDataKey of %s: %v", name, err)
		}
		if _, err := ParseValueKey(key); !errors.Is(err, ErrKey) {
			t.Errorf("ParseValueKey of %s: %v", name, err)
		}
	}
	for i := range data {
		if _, err := ParseDataKey(data[:i]); !errors.Is(err, ErrKey) {
			t.Errorf("ParseDataKey of the first %d bytes: %v", i, err)
		}
	}
	for i := range value {
		if _, err := ParseValueKey(value[:i]); !errors.Is(err, ErrKey) {
			t.Errorf("ParseValueKey of the first %d bytes: %v", i, err)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add(AppendDataKey(nil, 1, []byte("t"), []byte{0}, []byte("k")))
	f.Add(AppendValueKey(nil, 1, []byte("t"), []byte("b"), []byte{0, 0xff}, 1, 2))
	f.Add([]byte("d\x00\x00\x00\x01\x00\x02"))
	f.Fuzz(func(t *testing.T, src []byte) {
		if k, err := ParseDataKey(src); err == nil && !bytes.Equal(k.encode(), src) {
			t.Errorf("%x parses as %+v, which is %x", src, k, k.encode())
		}
		if k, err := ParseValueKey(src); err == nil {
			back := AppendValueKey(nil, k.Partition, k.BucketType, k.Bucket, k.Key, k.Actor, k.Counter)
			if !bytes.Equal(back, src) {
				t.Errorf("%x parses as %+v, which is %x", src, k, back)
			}
		}
	})
}
