package api

import (
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/replica"
)

func keyFrom(k *ringdv1.Key, limits cluster.Settings) (replica.Key, error) {
	if k == nil {
		return replica.Key{}, replica.Invalid("key", "is missing")
	}
	bucket, err := bucketFrom(k.BucketType, k.Bucket, limits)
	if err != nil {
		return replica.Key{}, err
	}
	if len(k.Key) == 0 {
		return replica.Key{}, replica.Invalid("key", "is empty: use 1 to %d bytes", limits.KeyBytesMax)
	}
	if len(k.Key) > limits.KeyBytesMax {
		return replica.Key{}, replica.Invalid("key", "has %d bytes, above the limit of %d", len(k.Key), limits.KeyBytesMax)
	}
	bucket.Key = string(k.Key)
	return bucket, nil
}

func bucketFrom(typeName string, bucket []byte, limits cluster.Settings) (replica.Key, error) {
	typeName, err := typeFrom(typeName)
	if err != nil {
		return replica.Key{}, err
	}
	if len(bucket) == 0 {
		return replica.Key{}, replica.Invalid("bucket", "is empty: use 1 to %d bytes", limits.KeyBytesMax)
	}
	if len(bucket) > limits.KeyBytesMax {
		return replica.Key{}, replica.Invalid("bucket", "has %d bytes, above the limit of %d", len(bucket), limits.KeyBytesMax)
	}
	return replica.Key{Type: typeName, Bucket: string(bucket)}, nil
}

func typeFrom(name string) (string, error) {
	if name == "" {
		return replica.DefaultBucketType, nil
	}
	if len(name) > replica.MaxTypeNameBytes {
		return "", replica.Invalid("bucket_type", "has %d bytes, above the limit of %d", len(name), replica.MaxTypeNameBytes)
	}
	return name, nil
}

func countFrom(field string, c *ringdv1.Count) (replica.Count, error) {
	switch c := c.GetCount().(type) {
	case nil:
		return replica.Unset, nil
	case *ringdv1.Count_Number:
		if c.Number == 0 {
			return replica.None, nil
		}
		if c.Number > 1<<16 {
			return 0, replica.Invalid(field, "is %d: above any n", c.Number)
		}
		return replica.Count(c.Number), nil
	case *ringdv1.Count_Symbol_:
		switch c.Symbol {
		case ringdv1.Count_QUORUM:
			return replica.Quorum, nil
		case ringdv1.Count_ALL:
			return replica.All, nil
		case ringdv1.Count_NONE:
			return replica.None, nil
		}
	}
	return 0, replica.Invalid(field, "is no known count: use a number, QUORUM, ALL or NONE")
}

func countTo(c replica.Count) *ringdv1.Count {
	symbol := func(s ringdv1.Count_Symbol) *ringdv1.Count {
		return &ringdv1.Count{Count: &ringdv1.Count_Symbol_{Symbol: s}}
	}
	switch c {
	case replica.Unset:
		return nil
	case replica.Quorum:
		return symbol(ringdv1.Count_QUORUM)
	case replica.All:
		return symbol(ringdv1.Count_ALL)
	case replica.None:
		return symbol(ringdv1.Count_NONE)
	}
	return &ringdv1.Count{Count: &ringdv1.Count_Number{Number: uint32(c)}}
}

func triFrom(b *bool) replica.Tri {
	switch {
	case b == nil:
		return replica.Default
	case *b:
		return replica.On
	}
	return replica.Off
}

func timeoutFrom(d *durationpb.Duration) (time.Duration, error) {
	if d == nil {
		return 0, nil
	}
	if err := d.CheckValid(); err != nil || d.AsDuration() <= 0 {
		return 0, replica.Invalid("timeout", "is %v: it has to be above 0", d.AsDuration())
	}
	return d.AsDuration(), nil
}

// ttlFrom reads how long a value is there; 0 if that is not said.
func ttlFrom(field string, d *durationpb.Duration) (time.Duration, error) {
	if d == nil {
		return 0, nil
	}
	if err := d.CheckValid(); err != nil || d.AsDuration() < 0 || d.AsDuration() > replica.TTLMax {
		return 0, replica.Invalid(field, "is %v: use 0 to %v", d.AsDuration(), replica.TTLMax)
	}
	return d.AsDuration(), nil
}

// countFields sets each count from its field of a request, naming the one that
// is wrong.
func countFields(fields ...countField) error {
	for _, f := range fields {
		c, err := countFrom(f.name, f.from)
		if err != nil {
			return err
		}
		*f.to = c
	}
	return nil
}

type countField struct {
	name string
	from *ringdv1.Count
	to   *replica.Count
}

func writeOptionsFrom(o *ringdv1.WriteOptions) (replica.Options, error) {
	out := replica.Options{}
	if o == nil {
		return out, nil
	}
	out.Sloppy = triFrom(o.Sloppy)
	err := countFields(
		countField{"w", o.W, &out.W}, countField{"pw", o.Pw, &out.PW}, countField{"dw", o.Dw, &out.DW})
	if err == nil {
		out.Timeout, err = timeoutFrom(o.Timeout)
	}
	return out, err
}

func requestIDFrom(b []byte) (causal.RequestID, error) {
	var id causal.RequestID
	switch len(b) {
	case 0:
		_, _ = rand.Read(id[:]) // never fails: it ends the process instead
		return id, nil
	case len(id):
		copy(id[:], b)
		if id != (causal.RequestID{}) {
			return id, nil
		}
		return id, replica.Invalid("request_id", "is all zeros: use 16 random bytes")
	}
	return id, replica.Invalid("request_id", "has %d bytes: use 16 random ones, the same over all retries", len(b))
}

func metaFrom(m map[string]string, contentType string, limits cluster.Settings) ([]causal.Meta, error) {
	size := len(contentType)
	meta := make([]causal.Meta, 0, len(m))
	for k, v := range m {
		if k == "" {
			return nil, replica.Invalid("metadata", "has an empty name")
		}
		size += len(k) + len(v)
		meta = append(meta, causal.Meta{Key: k, Value: v})
	}
	if size > limits.MetadataBytesMax {
		return nil, replica.Invalid("metadata", "has %d bytes, content type included, above the limit of %d", size, limits.MetadataBytesMax)
	}
	if len(meta) == 0 {
		return nil, nil
	}
	slices.SortFunc(meta, func(a, b causal.Meta) int { return strings.Compare(a.Key, b.Key) })
	return meta, nil
}

// siblingsTo translates the siblings that a client sees. Bare leaves out values.
func siblingsTo(o causal.Object, bare bool) []*ringdv1.Sibling {
	out := make([]*ringdv1.Sibling, len(o.Siblings))
	for i, s := range o.Siblings {
		out[i] = &ringdv1.Sibling{
			ValueSize: uint64(s.ValueSize), ContentType: s.ContentType, Metadata: metaTo(s.Meta),
			ModifiedUnixMs: s.Time.Time().UnixMilli(), Tombstone: s.Tombstone,
			ExpiryUnixMs: s.Expiry,
		}
		if !bare {
			out[i].Value = s.Value
		}
	}
	return out
}

func metaTo(meta []causal.Meta) map[string]string {
	if len(meta) == 0 {
		return nil
	}
	out := make(map[string]string, len(meta))
	for _, m := range meta {
		out[m.Key] = m.Value
	}
	return out
}
