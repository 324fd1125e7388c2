package fakecluster

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc/codes"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

// kv serves ringd.v1.KV.
type kv struct {
	ringdv1.UnimplementedKVServer
	c *Cluster
}

func (k *kv) Get(_ context.Context, r *ringdv1.GetRequest) (*ringdv1.GetResponse, error) {
	out := k.c.answer(&ringdv1.PipelineRequest{Request: &ringdv1.PipelineRequest_Get{Get: r}})
	if out.GetError() != nil {
		return nil, statusOf(out.GetError())
	}
	return out.GetGet(), nil
}

func (k *kv) Put(_ context.Context, r *ringdv1.PutRequest) (*ringdv1.PutResponse, error) {
	out := k.c.answer(&ringdv1.PipelineRequest{Request: &ringdv1.PipelineRequest_Put{Put: r}})
	if out.GetError() != nil {
		return nil, statusOf(out.GetError())
	}
	return out.GetPut(), nil
}

func (k *kv) Delete(_ context.Context, r *ringdv1.DeleteRequest) (*ringdv1.DeleteResponse, error) {
	out := k.c.answer(&ringdv1.PipelineRequest{Request: &ringdv1.PipelineRequest_Delete{Delete: r}})
	if out.GetError() != nil {
		return nil, statusOf(out.GetError())
	}
	return out.GetDelete(), nil
}

func (k *kv) Pipeline(stream ringdv1.KV_PipelineServer) error {
	for {
		frame, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		out := &ringdv1.PipelineResponses{}
		for _, r := range frame.Requests {
			answer := k.c.answer(r)
			answer.Id = r.Id
			out.Responses = append(out.Responses, answer)
		}
		if err := stream.Send(out); err != nil {
			return err
		}
	}
}

func (k *kv) ListKeys(r *ringdv1.ListKeysRequest, stream ringdv1.KV_ListKeysServer) error {
	k.c.mu.Lock()
	_, known := k.c.mu.types[typeName(r.BucketType)]
	var keys []string
	for at, o := range k.c.mu.objects {
		if at.bucketType == typeName(r.BucketType) && at.bucket == string(r.Bucket) && at.key > string(r.Cursor) && o.live() {
			keys = append(keys, at.key)
		}
	}
	k.c.mu.Unlock()
	if !known {
		return statusOf(noSuchType(r.BucketType))
	}
	slices.Sort(keys)
	for page := range slices.Chunk(keys, k.c.PageKeys) {
		out := &ringdv1.ListKeysResponse{Cursor: []byte(page[len(page)-1])}
		for _, key := range page {
			out.Keys = append(out.Keys, []byte(key))
		}
		if err := stream.Send(out); err != nil {
			return err
		}
	}
	return nil
}

func (k *kv) ListBuckets(r *ringdv1.ListBucketsRequest, stream ringdv1.KV_ListBucketsServer) error {
	k.c.mu.Lock()
	buckets := make(map[string]bool)
	for at, o := range k.c.mu.objects {
		if at.bucketType == typeName(r.BucketType) && o.live() {
			buckets[at.bucket] = true
		}
	}
	k.c.mu.Unlock()
	out := &ringdv1.ListBucketsResponse{Cursor: []byte("end")}
	for _, b := range slices.Sorted(maps.Keys(buckets)) {
		out.Buckets = append(out.Buckets, []byte(b))
	}
	return stream.Send(out)
}

func typeName(s string) string {
	if s == "" {
		return "default"
	}
	return s
}

func noSuchType(name string) *ringdv1.ErrorDetail {
	return Refuse(codes.NotFound, `bucket type "`+name+`" does not exist`)
}

// answer does one request.
func (c *Cluster) answer(r *ringdv1.PipelineRequest) *ringdv1.PipelineResponse {
	c.mu.Lock()
	hook := c.mu.hook
	c.mu.Unlock()
	if hook != nil {
		if d := hook(r); d != nil {
			return failed(d)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch q := r.Request.(type) {
	case *ringdv1.PipelineRequest_Get:
		return c.getLocked(q.Get)
	case *ringdv1.PipelineRequest_Put:
		return c.putLocked(q.Put)
	case *ringdv1.PipelineRequest_Delete:
		return c.deleteLocked(q.Delete)
	}
	return failed(Refuse(codes.InvalidArgument, "no such request"))
}

func failed(d *ringdv1.ErrorDetail) *ringdv1.PipelineResponse {
	return &ringdv1.PipelineResponse{Response: &ringdv1.PipelineResponse_Error{Error: d}}
}

// checkLocked is what all requests are held to.
func (c *Cluster) checkLocked(k *ringdv1.Key) (name, *ringdv1.ErrorDetail) {
	at := name{typeName(k.GetBucketType()), string(k.GetBucket()), string(k.GetKey())}
	switch {
	case c.mu.types[at.bucketType] == nil:
		return at, noSuchType(at.bucketType)
	case at.key == "" || len(at.key) > keyMax:
		return at, invalid("key", "has %d bytes: use 1 to %d", len(at.key), keyMax)
	case at.bucket == "" || len(at.bucket) > keyMax:
		return at, invalid("bucket", "has %d bytes: use 1 to %d", len(at.bucket), keyMax)
	}
	return at, nil
}

func (c *Cluster) atLocked(at name) *object {
	o := c.mu.objects[at]
	if o == nil {
		o = &object{}
		c.mu.objects[at] = o
	}
	return o
}

func (c *Cluster) getLocked(r *ringdv1.GetRequest) *ringdv1.PipelineResponse {
	at, bad := c.checkLocked(r.Key)
	if bad != nil {
		return failed(bad)
	}
	o := c.atLocked(at)
	out := &ringdv1.GetResponse{Context: o.context(at)}
	if o.live() {
		out.Found, out.Siblings = true, o.all(r.Head)
	}
	return &ringdv1.PipelineResponse{Response: &ringdv1.PipelineResponse_Get{Get: out}}
}

func (c *Cluster) putLocked(r *ringdv1.PutRequest) *ringdv1.PipelineResponse {
	at, bad := c.checkLocked(r.Key)
	through, ok := covered(at, r.Context)
	switch {
	case bad != nil:
		return failed(bad)
	case len(r.Value) > valueMax:
		return failed(invalid("value", "has %d bytes, above the limit of %d", len(r.Value), valueMax))
	case r.Options.GetW().GetNumber() > replicas:
		return failed(invalid("w", "is %d, and the bucket type has n = %d", r.Options.GetW().GetNumber(), replicas))
	case !ok:
		return failed(invalid("context", "is not one of this key"))
	case r.IfMatch && len(r.Context) == 0:
		return failed(invalid("context", "if_match needs the context of a read"))
	}
	o := c.atLocked(at)
	if r.IfAbsent && o.live() || r.IfMatch && o.newerThan(through) {
		return failed(Refuse(codes.FailedPrecondition, "the key has changed"))
	}
	if !o.has(r.RequestId) {
		o.cover(through)
		o.add(&ringdv1.Sibling{
			Value: r.Value, ContentType: r.ContentType, Metadata: r.Metadata, ExpiryUnixMs: c.expiryLocked(at.bucketType, r),
		}, r.RequestId)
		c.mu.puts++
	}
	out := &ringdv1.PutResponse{Context: o.context(at)}
	if r.Return != ringdv1.PutRequest_RETURN_NOTHING {
		out.Siblings = o.all(r.Return == ringdv1.PutRequest_RETURN_HEAD)
	}
	return &ringdv1.PipelineResponse{Response: &ringdv1.PipelineResponse_Put{Put: out}}
}

// expiryLocked is when the value of a put is gone.
func (c *Cluster) expiryLocked(bucketType string, r *ringdv1.PutRequest) int64 {
	ttl := r.GetTtl().AsDuration()
	switch {
	case r.ExpiryUnixMs != nil:
		return r.GetExpiryUnixMs()
	case ttl == 0:
		ttl = c.mu.types[bucketType].GetDefaultTtl().AsDuration()
	}
	if ttl == 0 {
		return 0
	}
	return time.Now().Add(ttl).UnixMilli()
}

func (c *Cluster) deleteLocked(r *ringdv1.DeleteRequest) *ringdv1.PipelineResponse {
	at, bad := c.checkLocked(r.Key)
	if bad != nil {
		return failed(bad)
	}
	o := c.atLocked(at)
	through, ok := covered(at, r.Context)
	if !ok {
		return failed(invalid("context", "is not one of this key"))
	}
	if o.has(r.RequestId) {
		return &ringdv1.PipelineResponse{Response: &ringdv1.PipelineResponse_Delete{Delete: &ringdv1.DeleteResponse{Context: o.context(at)}}}
	}
	if r.IfMatch && o.newerThan(through) {
		return failed(Refuse(codes.FailedPrecondition, "the key has changed"))
	}
	if len(r.Context) == 0 {
		through = o.writes
	}
	o.cover(through)
	o.add(&ringdv1.Sibling{Tombstone: true}, r.RequestId)
	return &ringdv1.PipelineResponse{Response: &ringdv1.PipelineResponse_Delete{Delete: &ringdv1.DeleteResponse{Context: o.context(at)}}}
}
