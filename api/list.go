package api

import (
	"context"
	"encoding/binary"
	"hash/fnv"
	"slices"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/quorum"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// listPage is how many names are asked of an owner at a time.
const listPage = 500

// ListKeys implements ringdv1.KVServer.
func (s *KV) ListKeys(r *ringdv1.ListKeysRequest, stream ringdv1.KV_ListKeysServer) error {
	return statusOf(s.listKeys(r, stream))
}

// ListBuckets implements ringdv1.KVServer.
func (s *KV) ListBuckets(r *ringdv1.ListBucketsRequest, stream ringdv1.KV_ListBucketsServer) error {
	return statusOf(s.listBuckets(r, stream))
}

func (s *KV) listKeys(r *ringdv1.ListKeysRequest, stream ringdv1.KV_ListKeysServer) error {
	state, err := stateOf(s.backend)
	if err != nil {
		return err
	}
	bucket, err := bucketFrom(r.BucketType, r.Bucket, state.Settings)
	if err != nil {
		return err
	}
	var o replica.Options
	if err := countFields(countField{"r", r.R, &o.R}); err != nil {
		return err
	}
	if o.Timeout, err = timeoutFrom(r.Timeout); err != nil {
		return err
	}
	at := cursor{of: bucket}
	if err := at.parse(r.Cursor, state.Ring.Partitions()); err != nil {
		return err
	}
	for int(at.partition) < state.Ring.Partitions() {
		page, err := s.backend.List(stream.Context(), at.partition, replica.List{
			Type: bucket.Type, Bucket: bucket.Bucket, After: at.after, Started: at.started, Limit: listPage,
		}, o)
		if err != nil {
			return err
		}
		at.advance(page)
		if len(page.Names) == 0 {
			continue
		}
		out := &ringdv1.ListKeysResponse{Cursor: at.append(nil)}
		for _, name := range page.Names {
			out.Keys = append(out.Keys, []byte(name))
		}
		if err := stream.Send(out); err != nil {
			return err
		}
	}
	return nil
}

func (s *KV) listBuckets(r *ringdv1.ListBucketsRequest, stream ringdv1.KV_ListBucketsServer) error {
	state, err := stateOf(s.backend)
	if err != nil {
		return err
	}
	typeName, err := typeFrom(r.BucketType)
	if err != nil {
		return err
	}
	var o replica.Options
	if err := countFields(countField{"r", r.R, &o.R}); err != nil {
		return err
	}
	if o.Timeout, err = timeoutFrom(r.Timeout); err != nil {
		return err
	}
	at := cursor{of: replica.Key{Type: typeName}}
	if err := at.parse(r.Cursor, state.Ring.Partitions()); err != nil {
		return err
	}
	for {
		page, err := s.bucketPage(stream.Context(), state.Ring.Partitions(), replica.List{
			Type: typeName, Buckets: true, After: at.after, Started: at.started, Limit: listPage,
		}, o)
		if err != nil {
			return err
		}
		at.after, at.started = page.Through, true
		if len(page.Names) > 0 {
			out := &ringdv1.ListBucketsResponse{Cursor: at.append(nil)}
			for _, name := range page.Names {
				out.Buckets = append(out.Buckets, []byte(name))
			}
			if err := stream.Send(out); err != nil {
				return err
			}
		}
		if page.Done {
			return nil
		}
	}
}

// bucketPage merges one page of every partition: the names up to where all
// pages reach, each once, in byte order.
func (s *KV) bucketPage(ctx context.Context, partitions int, ask replica.List, o replica.Options) (quorum.List, error) {
	pages := make([]quorum.List, partitions)
	errs := make([]error, partitions)
	each(partitions, func(p int) {
		pages[p], errs[p] = s.backend.List(ctx, ring.PartitionID(p), ask, o)
	})
	merged := quorum.List{Done: true}
	for p := range pages {
		if errs[p] != nil {
			return quorum.List{}, errs[p]
		}
		if page := pages[p]; !page.Done && (merged.Done || page.Through < merged.Through) {
			merged.Done, merged.Through = false, page.Through
		}
	}
	for _, page := range pages {
		for _, name := range page.Names {
			if merged.Done || name <= merged.Through {
				merged.Names = append(merged.Names, name)
			}
		}
	}
	slices.Sort(merged.Names)
	merged.Names = slices.Compact(merged.Names)
	return merged, nil
}

// cursor is where a listing stands. Its encoding: version, partition (4 bytes),
// a check of what is listed (8), whether anything was (1), the last name.
type cursor struct {
	of        replica.Key // bucket type and bucket
	partition ring.PartitionID
	after     string
	started   bool
}

const (
	cursorVersion = 1
	cursorHead    = 1 + 4 + 8 + 1
)

func (c *cursor) advance(page quorum.List) {
	if page.Done {
		c.partition++
		c.after, c.started = "", false
		return
	}
	c.after, c.started = page.Through, true
}

func (c *cursor) check() uint64 {
	d := fnv.New64a()
	_, _ = d.Write([]byte(c.of.Type))
	_, _ = d.Write([]byte{0})
	_, _ = d.Write([]byte(c.of.Bucket))
	return d.Sum64()
}

func (c *cursor) append(dst []byte) []byte {
	dst = append(dst, cursorVersion)
	dst = binary.BigEndian.AppendUint32(dst, uint32(c.partition))
	dst = binary.BigEndian.AppendUint64(dst, c.check())
	if c.started {
		dst = append(dst, 1)
	} else {
		dst = append(dst, 0)
	}
	return append(dst, c.after...)
}

func (c *cursor) parse(src []byte, partitions int) error {
	if len(src) == 0 {
		return nil
	}
	if len(src) < cursorHead || src[0] != cursorVersion || src[13] > 1 {
		return replica.Invalid("cursor", "is malformed: use one that a listing gave")
	}
	if binary.BigEndian.Uint64(src[5:]) != c.check() {
		return replica.Invalid("cursor", "was given for another bucket")
	}
	c.partition = ring.PartitionID(binary.BigEndian.Uint32(src[1:]))
	if int(c.partition) > partitions {
		return replica.Invalid("cursor", "names partition %d of %d", c.partition, partitions)
	}
	c.started, c.after = src[13] == 1, string(src[cursorHead:])
	return nil
}
