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

// getMessage is all that one attempt sends, in one allocation.
type getMessage struct {
	outer   ringdv1.PipelineRequest
	choice  ringdv1.PipelineRequest_Get
	get     ringdv1.GetRequest
	timeout durationpb.Duration
}

func (g *getOp) message(timeout time.Duration) *ringdv1.PipelineRequest {
	m := new(getMessage)
	g.fill(&m.get, &m.timeout, timeout)
	m.choice.Get = &m.get
	m.outer.Request = &m.choice
	return &m.outer
}

func (g *getOp) request(timeout time.Duration) *ringdv1.GetRequest {
	m := new(getMessage)
	g.fill(&m.get, &m.timeout, timeout)
	return &m.get
}

func (g *getOp) fill(r *ringdv1.GetRequest, d *durationpb.Duration, timeout time.Duration) {
	setDuration(d, timeout)
	r.Key = g.wire
	r.R, r.Pr, r.Sloppy, r.RepairBlocking = g.settings.r, g.pr, g.sloppy, g.repairBlocking
	r.Timeout, r.Head = d, g.headOnly
}

func setDuration(d *durationpb.Duration, to time.Duration) {
	d.Seconds, d.Nanos = int64(to/time.Second), int32(to%time.Second)
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
