package peer

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/internal/peer/peerpb"
	"github.com/ringd/ringd/replica"
)

// encode fills to with env as message id of a stream, written at now. The error
// is ErrUnsendable.
func encode(to *peerpb.Envelope, env *replica.Envelope, id uint64, now time.Time) error {
	to.Id = id
	to.Partition = uint32(env.Partition)
	to.Generation, to.Epoch = env.Epoch.Generation, env.Epoch.Number
	to.Fallback = env.Fallback
	to.RemainingUs = 0
	if !env.Deadline.IsZero() {
		// A deadline that has passed is not the same as none.
		to.RemainingUs = uint64(max(1, env.Deadline.Sub(now).Microseconds()))
	}
	switch m := env.Message.(type) {
	case replica.Read:
		to.Message = &peerpb.Envelope_Read{Read: &peerpb.Read{Key: packKey(m.Key), Full: m.Full}}
	case replica.ReadAnswer:
		c, err := packVector(m.Context)
		if err != nil {
			return err
		}
		seen, err := packVector(m.Seen)
		if err != nil {
			return err
		}
		to.Message = &peerpb.Envelope_ReadAnswer{ReadAnswer: &peerpb.ReadAnswer{Object: m.Object, Context: c, Digest: m.Digest, Seen: seen}}
	case replica.Store:
		if m.Slot < 0 || m.Slot > slotMax {
			return fmt.Errorf("%w: a hint for slot %d", ErrUnsendable, m.Slot)
		}
		to.Message = &peerpb.Envelope_Store{Store: &peerpb.Store{Key: packKey(m.Key), Object: m.Object, Slot: uint32(m.Slot)}}
	case replica.StoreAnswer:
		to.Message = &peerpb.Envelope_StoreAnswer{StoreAnswer: &peerpb.StoreAnswer{Durable: m.Durable, Changed: m.Changed}}
	case replica.Forward:
		f, err := packWrite(&m.Write)
		if err != nil {
			return err
		}
		to.Message = &peerpb.Envelope_Forward{Forward: f}
	case replica.ForwardAnswer:
		seen, own, err := packContext(m.Result.Context)
		if err != nil {
			return err
		}
		o, err := packObject(&m.Result.Object)
		if err != nil {
			return err
		}
		to.Message = &peerpb.Envelope_ForwardAnswer{ForwardAnswer: &peerpb.ForwardAnswer{Context: seen, Own: own, Object: o}}
	case replica.List:
		if m.Limit < 0 || int64(m.Limit) > maxUint32 {
			return fmt.Errorf("%w: a list of %d names", ErrUnsendable, m.Limit)
		}
		to.Message = &peerpb.Envelope_List{List: &peerpb.List{
			BucketType: []byte(m.Type), Bucket: []byte(m.Bucket), Buckets: m.Buckets,
			After: []byte(m.After), Started: m.Started, Limit: uint32(m.Limit),
		}}
	case replica.ListAnswer:
		a, err := packList(m)
		if err != nil {
			return err
		}
		to.Message = &peerpb.Envelope_ListAnswer{ListAnswer: a}
	case replica.Failure:
		if m.Err == nil {
			return fmt.Errorf("%w: a failure without an error", ErrUnsendable)
		}
		to.Message = &peerpb.Envelope_Failure{Failure: &peerpb.Failure{Error: packError(m.Err), State: m.State}}
	default:
		return encodeExchange(to, m)
	}
	return nil
}

const maxUint32 = 1<<32 - 1

func packKey(k replica.Key) []byte {
	b := make([]byte, 0, 2*binary.MaxVarintLen32+len(k.Type)+len(k.Bucket)+len(k.Key))
	b = binary.AppendUvarint(b, uint64(len(k.Type)))
	b = append(b, k.Type...)
	b = binary.AppendUvarint(b, uint64(len(k.Bucket)))
	b = append(b, k.Bucket...)
	return append(b, k.Key...)
}

func packVector(v causal.Vector) ([]byte, error) {
	if len(v) == 0 {
		return nil, nil
	}
	if err := v.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsendable, err)
	}
	return causal.AppendVector(make([]byte, 0, 10+18*len(v)), v), nil
}

func packContext(c causal.Context) (seen, own []byte, err error) {
	if seen, err = packVector(c.Seen); err != nil {
		return nil, nil, err
	}
	own, err = packVector(c.Own)
	return seen, own, err
}

// packObject returns nothing for an object that was never written.
func packObject(o *causal.Object) ([]byte, error) {
	if isNone(o) {
		return nil, nil
	}
	if err := o.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsendable, err)
	}
	return causal.AppendObject(nil, *o), nil
}

func isNone(o *causal.Object) bool { return len(o.Context) == 0 && len(o.Siblings) == 0 }

func packWrite(w *replica.Write) (*peerpb.Forward, error) {
	seen, own, err := packContext(w.Context)
	if err != nil {
		return nil, err
	}
	f := &peerpb.Forward{
		Key: packKey(w.Key), Delete: w.Delete, Context: seen, Own: own, Value: w.Value, ContentType: []byte(w.ContentType),
		IfAbsent: w.IfAbsent, IfMatch: w.IfMatch, Return: peerpb.Return(w.Return), ExpiryMs: uint64(w.Expiry),
		Options: &peerpb.Options{
			R: int32(w.Options.R), W: int32(w.Options.W), Pr: int32(w.Options.PR), Pw: int32(w.Options.PW), Dw: int32(w.Options.DW),
			Sloppy: peerpb.Choice(w.Options.Sloppy), RepairBlocking: peerpb.Choice(w.Options.RepairBlocking),
			TimeoutNs: int64(w.Options.Timeout),
		},
	}
	if w.Request != (causal.RequestID{}) {
		f.Request = w.Request[:]
	}
	for _, m := range w.Meta {
		f.Meta = append(f.Meta, &peerpb.Meta{Key: []byte(m.Key), Value: []byte(m.Value)})
	}
	// What the other side would refuse is not sent.
	if _, err := unpackWrite(f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsendable, err)
	}
	return f, nil
}

func packList(m replica.ListAnswer) (*peerpb.ListAnswer, error) {
	a := &peerpb.ListAnswer{Done: m.Done, Entries: make([]*peerpb.ListEntry, len(m.Entries))}
	for i, e := range m.Entries {
		c, err := packVector(e.Context)
		if err != nil {
			return nil, err
		}
		a.Entries[i] = &peerpb.ListEntry{Name: []byte(e.Name), Live: e.Live, Context: c}
	}
	return a, nil
}

func packError(e *replica.Error) *peerpb.Error {
	return &peerpb.Error{
		Kind: peerpb.Kind(e.Kind), Field: []byte(e.Field), Text: []byte(e.Message),
		Needed: uint32(e.Needed), Got: uint32(e.Got), MaybeApplied: e.MaybeApplied, RetryAfterNs: int64(e.RetryAfter),
	}
}
