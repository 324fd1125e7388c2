package client

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

// Delete removes a key's value. With [Replaces] or [IfMatch] it removes what
// that context covers, else all that a quorum knows. To delete what is not
// there is no error.
func (b *Bucket) Delete(ctx context.Context, key string, opts ...DeleteOption) (Written, error) {
	d := &deleteOp{opHead: opHead{name: "delete", key: b.key(key), write: true, size: len(key)}}
	for _, o := range opts {
		o.applyDelete(d)
	}
	d.id = d.settings.requestID()
	d.wire = wireKey(d.key)
	r, err := b.c.do(ctx, d)
	if err != nil {
		return Written{}, err
	}
	return Written{Context: r.GetDelete().GetContext(), RequestID: d.id}, nil
}

type deleteOp struct {
	opHead
	settings writeSettings
	wire     *ringdv1.Key
}

func (d *deleteOp) head() *opHead { return &d.opHead }

func (d *deleteOp) message(timeout time.Duration) *ringdv1.PipelineRequest {
	options := &ringdv1.WriteOptions{Timeout: durationpb.New(timeout)}
	d.settings.fill(options)
	return &ringdv1.PipelineRequest{Request: &ringdv1.PipelineRequest_Delete{Delete: &ringdv1.DeleteRequest{
		Key:       d.wire,
		Context:   d.settings.context,
		Options:   options,
		IfMatch:   d.settings.ifMatch,
		RequestId: d.id[:],
	}}}
}
