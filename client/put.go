package client

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

// Written is what an acknowledged write answers.
type Written struct {
	// Context covers the write and all that it replaced; not the siblings that it
	// left, unless they were asked for.
	Context Context
	// Siblings after the write, as [ReturnBody] or [ReturnHead] asked.
	Siblings []Sibling
	// RequestID under which it was sent.
	RequestID RequestID
}

// Put writes a value. Without [Replaces] or [IfMatch] it joins what is there as
// a sibling.
func (b *Bucket) Put(ctx context.Context, key string, value []byte, opts ...PutOption) (Written, error) {
	p := b.put(key, value, opts)
	r, err := b.c.do(ctx, p)
	if err != nil {
		return Written{}, err
	}
	return p.result(r.GetPut()), nil
}

func (b *Bucket) put(key string, value []byte, opts []PutOption) *putOp {
	p := &putOp{opHead: opHead{name: "put", key: b.key(key), write: true}}
	// A copy: an attempt that lost to another may be sent after Put returned.
	p.value = append([]byte{}, value...)
	for _, o := range opts {
		o.applyPut(p)
	}
	p.prepare()
	return p
}

type putOp struct {
	opHead
	settings    writeSettings
	value       []byte
	contentType string
	metadata    map[string]string
	ifAbsent    bool
	// At most one of ttl and expiry, in Unix milliseconds, is set.
	ttl    *durationpb.Duration
	expiry *int64
	answer ringdv1.PutRequest_Return
	wire   *ringdv1.Key
}

// prepare fixes what all attempts share.
func (p *putOp) prepare() {
	p.id = p.settings.requestID()
	p.wire = wireKey(p.key)
	p.size = len(p.key.key) + len(p.value)
	for k, v := range p.metadata {
		p.size += len(k) + len(v)
	}
}

func (p *putOp) head() *opHead { return &p.opHead }

// putMessage is all that one attempt sends, in one allocation.
type putMessage struct {
	outer   ringdv1.PipelineRequest
	choice  ringdv1.PipelineRequest_Put
	put     ringdv1.PutRequest
	options ringdv1.WriteOptions
	timeout durationpb.Duration
}

func (p *putOp) message(timeout time.Duration) *ringdv1.PipelineRequest {
	m := new(putMessage)
	p.fill(m, timeout)
	m.choice.Put = &m.put
	m.outer.Request = &m.choice
	return &m.outer
}

func (p *putOp) request(timeout time.Duration) *ringdv1.PutRequest {
	m := new(putMessage)
	p.fill(m, timeout)
	return &m.put
}

func (p *putOp) fill(m *putMessage, timeout time.Duration) {
	setDuration(&m.timeout, timeout)
	p.settings.fill(&m.options)
	m.options.Timeout = &m.timeout
	r := &m.put
	r.Key, r.Value, r.ContentType, r.Metadata = p.wire, p.value, p.contentType, p.metadata
	r.Context, r.Options, r.Return = p.settings.context, &m.options, p.answer
	r.Ttl, r.ExpiryUnixMs = p.ttl, p.expiry
	r.IfAbsent, r.IfMatch, r.RequestId = p.ifAbsent, p.settings.ifMatch, p.id[:]
}

func (p *putOp) result(r *ringdv1.PutResponse) Written {
	return Written{Context: r.GetContext(), Siblings: siblings(r.GetSiblings()), RequestID: p.id}
}

func (s *writeSettings) requestID() RequestID {
	if s.id != (RequestID{}) {
		return s.id
	}
	return NewRequestID()
}

func (s *writeSettings) fill(o *ringdv1.WriteOptions) {
	o.W, o.Pw, o.Dw, o.Sloppy = s.w, s.pw, s.dw, s.sloppy
}
