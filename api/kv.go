package api

import (
	"context"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/internal/clock"
	"github.com/ringd/ringd/replica"
)

// KV serves ringd.v1.KV.
type KV struct {
	ringdv1.UnimplementedKVServer
	backend Backend
}

// NewKV returns the service in front of b.
func NewKV(b Backend) *KV { return &KV{backend: b} }

// Get implements ringdv1.KVServer.
func (s *KV) Get(ctx context.Context, r *ringdv1.GetRequest) (*ringdv1.GetResponse, error) {
	out, err := s.get(ctx, r)
	return out, statusOf(err)
}

// Put implements ringdv1.KVServer.
func (s *KV) Put(ctx context.Context, r *ringdv1.PutRequest) (*ringdv1.PutResponse, error) {
	out, err := s.put(ctx, r)
	return out, statusOf(err)
}

// Delete implements ringdv1.KVServer.
func (s *KV) Delete(ctx context.Context, r *ringdv1.DeleteRequest) (*ringdv1.DeleteResponse, error) {
	out, err := s.delete(ctx, r)
	return out, statusOf(err)
}

func (s *KV) get(ctx context.Context, r *ringdv1.GetRequest) (*ringdv1.GetResponse, error) {
	state, err := stateOf(s.backend)
	if err != nil {
		return nil, err
	}
	key, err := keyFrom(r.Key, state.Settings)
	if err != nil {
		return nil, err
	}
	g := replica.Get{Key: key, Options: replica.Options{Sloppy: triFrom(r.Sloppy), RepairBlocking: triFrom(r.RepairBlocking)}}
	if err := countFields(countField{"r", r.R, &g.Options.R}, countField{"pr", r.Pr, &g.Options.PR}); err != nil {
		return nil, err
	}
	if g.Options.Timeout, err = timeoutFrom(r.Timeout); err != nil {
		return nil, err
	}
	result, err := s.backend.Get(ctx, g)
	if err != nil {
		return nil, err
	}
	out := &ringdv1.GetResponse{Context: s.seal(key, result.Context)}
	visible := s.visible(key, result.Object)
	if visible.Live() {
		out.Found = true
		out.Siblings = siblingsTo(visible, r.Head)
	}
	return out, nil
}

func (s *KV) put(ctx context.Context, r *ringdv1.PutRequest) (*ringdv1.PutResponse, error) {
	state, err := stateOf(s.backend)
	if err != nil {
		return nil, err
	}
	limits := state.Settings
	key, err := keyFrom(r.Key, limits)
	if err != nil {
		return nil, err
	}
	if len(r.Value) > limits.ValueBytesMax {
		return nil, replica.Invalid("value", "has %d bytes, above the limit of %d", len(r.Value), limits.ValueBytesMax)
	}
	w := replica.Write{
		Key: key, Value: r.Value, ContentType: r.ContentType,
		IfAbsent: r.IfAbsent, IfMatch: r.IfMatch, Return: replica.Return(r.Return),
	}
	if r.Return < 0 || r.Return > ringdv1.PutRequest_RETURN_BODY {
		return nil, replica.Invalid("return", "is %d: use RETURN_NOTHING, RETURN_HEAD or RETURN_BODY", r.Return)
	}
	if w.Meta, err = metaFrom(r.Metadata, r.ContentType, limits); err != nil {
		return nil, err
	}
	if r.IfAbsent && r.IfMatch {
		return nil, replica.Invalid("if_absent", "can't be asked for together with if_match")
	}
	if err := s.completeWrite(&w, r.Context, r.Options, r.RequestId); err != nil {
		return nil, err
	}
	if w.Expiry, err = s.expiry(ctx, r, key.Type); err != nil {
		return nil, err
	}
	result, err := s.backend.Write(ctx, w)
	if err != nil {
		return nil, err
	}
	return &ringdv1.PutResponse{
		Context:  s.seal(key, result.Context),
		Siblings: siblingsTo(s.visible(key, result.Object), w.Return != replica.ReturnBody),
	}, nil
}

func (s *KV) delete(ctx context.Context, r *ringdv1.DeleteRequest) (*ringdv1.DeleteResponse, error) {
	state, err := stateOf(s.backend)
	if err != nil {
		return nil, err
	}
	key, err := keyFrom(r.Key, state.Settings)
	if err != nil {
		return nil, err
	}
	w := replica.Write{Key: key, Delete: true, IfMatch: r.IfMatch}
	if err := s.completeWrite(&w, r.Context, r.Options, r.RequestId); err != nil {
		return nil, err
	}
	result, err := s.backend.Write(ctx, w)
	if err != nil {
		return nil, err
	}
	return &ringdv1.DeleteResponse{Context: s.seal(key, result.Context)}, nil
}

// completeWrite fills in what puts and deletes have in common.
func (s *KV) completeWrite(w *replica.Write, sealed []byte, o *ringdv1.WriteOptions, id []byte) error {
	var err error
	if w.Options, err = writeOptionsFrom(o); err != nil {
		return err
	}
	if w.Request, err = requestIDFrom(id); err != nil {
		return err
	}
	if w.Context, err = s.open(w.Key, sealed); err != nil {
		return err
	}
	if w.IfMatch && w.Context.Empty() {
		return replica.Invalid("context", "if_match needs the context of a read")
	}
	return nil
}

// visible is the object as a client sees it: what stands for one write counts
// once, tombstones only beside values, and what has expired by this member's
// clock not at all.
func (s *KV) visible(k replica.Key, o causal.Object) causal.Object {
	t, _ := s.backend.State().BucketType(k.Type)
	return causal.Fold(o, causal.FoldOptions{LastWriteWins: t.LastWriteWins, Now: clock.Now().UnixMilli()})
}

func (s *KV) seal(k replica.Key, c causal.Context) []byte {
	if c.Empty() {
		return nil
	}
	return causal.Seal(s.backend.ContextKey(), k.Type, k.Bucket, k.Key, c)
}

func (s *KV) open(k replica.Key, sealed []byte) (causal.Context, error) {
	c, err := causal.Open(s.backend.ContextKey(), k.Type, k.Bucket, k.Key, sealed)
	if err != nil {
		return causal.Context{}, replica.Invalid("context", "%v: use the context that a read of this very key gave", err)
	}
	return c, nil
}
