package client

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

// Get reads a key. For a key without a value the error is [ErrNotFound]; the
// object's Context is good then too, for a write that replaces the deletion of
// which it tells.
func (b *Bucket) Get(ctx context.Context, key string, opts ...GetOption) (Object, error) {
	g := b.get(key, opts)
	r, err := b.c.do(ctx, g)
	if err != nil {
		return Object{}, err
	}
	return g.result(r.GetGet())
}

func (b *Bucket) get(key string, opts []GetOption) *getOp {
	g := &getOp{opHead: opHead{name: "get", key: b.key(key), size: len(key)}}
	for _, o := range opts {
		o.applyGet(g)
	}
	g.wire = wireKey(g.key)
	return g
}

type getOp struct {
	opHead
	settings       readSettings
	pr             *ringdv1.Count
	sloppy         *bool
	repairBlocking *bool
	headOnly       bool
	wire           *ringdv1.Key
}

func (g *getOp) head() *opHead { return &g.opHead }

func (g *getOp) message(timeout time.Duration) *ringdv1.PipelineRequest {
	return &ringdv1.PipelineRequest{Request: &ringdv1.PipelineRequest_Get{Get: g.request(timeout)}}
}

func (g *getOp) request(timeout time.Duration) *ringdv1.GetRequest {
	return &ringdv1.GetRequest{
		Key:            g.wire,
		R:              g.settings.r,
		Pr:             g.pr,
		Sloppy:         g.sloppy,
		RepairBlocking: g.repairBlocking,
		Timeout:        durationpb.New(timeout),
		Head:           g.headOnly,
	}
}

func (g *getOp) result(r *ringdv1.GetResponse) (Object, error) {
	o := Object{Siblings: siblings(r.GetSiblings()), Context: r.GetContext()}
	if !r.GetFound() {
		o.Siblings = nil
		err := &Error{Code: CodeNotFound, Message: "the key has no value"}
		g.blame(err)
		return o, err
	}
	return o, nil
}

func wireKey(k objectKey) *ringdv1.Key {
	return &ringdv1.Key{BucketType: k.bucketType, Bucket: []byte(k.bucket), Key: []byte(k.key)}
}
