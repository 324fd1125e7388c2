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
		to.Message = &peerpb.Envelope_ReadAnswer{ReadAnswer: &peerpb.ReadAnswer{Object: m.Object, Context: c, Digest: m.Digest}}
	case replica.Store:
		to.Message = &peerpb.Envelope_Store{Store: &peerpb.Store{Key: packKey(m.Key), Object: m.Object}}
	case replica.StoreAnswer:
		to.Message = &peerpb.Envelope_StoreAnswer{StoreAnswer: &peerpb.StoreAnswer{Durable: m.Durable, Changed: m.Changed}}
	case replica.Forward:
		f, err := packWrite(&m.Write)
		if err != nil {
			return err
		}
		to.Message = &peerpb.Envelope_Forward{Forward: f}
	case replica.ForwardAnswer:
		c, err := packVector(m.Result.Context)
		if err != nil {
			return err
		}
		a := &peerpb.ForwardAnswer{Context: c}
		if len(m.Result.Object.Context) > 0 || len(m.Result.Object.Siblings) > 0 {
			if err := m.Result.Object.Check(); err != nil {
				return fmt.Errorf("%w: %w", ErrUnsendable, err)
			}
			a.Object = causal.AppendObject(nil, m.Result.Object)
		}
		to.Message = &peerpb.Envelope_ForwardAnswer{ForwardAnswer: a}
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
		return fmt.Errorf("%w: %T does not leave a member", ErrUnsendable, m)
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

func packWrite(w *replica.Write) (*peerpb.Forward, error) {
	c, err := packVector(w.Context)
	if err != nil {
		return nil, err
	}
	f := &peerpb.Forward{
		Key: packKey(w.Key), Delete: w.Delete, Context: c, Value: w.Value, ContentType: []byte(w.ContentType),
		IfAbsent: w.IfAbsent, IfMatch: w.IfMatch, Return: peerpb.Return(w.Return),
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

// What parts of a message take at most, beside texts and values.
const (
	envelopeBytes = 64
	writeBytes    = 96
	entryBytes    = 18 // of a vector
	metaBytes     = 16
	siblingBytes  = 96
	nameBytes     = 32 // of a list
)

// sizeOf estimates how many bytes m takes on the wire: no less than it does, and
// little more. Queues, frames and statistics count in it.
func sizeOf(m replica.Message) int {
	n := envelopeBytes
	switch m := m.(type) {
	case replica.Read:
		n += keyBytes(m.Key)
	case replica.ReadAnswer:
		n += len(m.Object) + entryBytes*len(m.Context)
	case replica.Store:
		n += keyBytes(m.Key) + len(m.Object)
	case replica.Forward:
		w := &m.Write
		n += writeBytes + keyBytes(w.Key) + len(w.Value) + len(w.ContentType) + entryBytes*len(w.Context)
		for _, e := range w.Meta {
			n += metaBytes + len(e.Key) + len(e.Value)
		}
	case replica.ForwardAnswer:
		n += entryBytes * (len(m.Result.Context) + len(m.Result.Object.Context))
		for i := range m.Result.Object.Siblings {
			s := &m.Result.Object.Siblings[i]
			n += siblingBytes + len(s.Value) + len(s.ContentType)
			for _, e := range s.Meta {
				n += metaBytes + len(e.Key) + len(e.Value)
			}
		}
	case replica.List:
		n += nameBytes + len(m.Type) + len(m.Bucket) + len(m.After)
	case replica.ListAnswer:
		for i := range m.Entries {
			n += nameBytes + len(m.Entries[i].Name) + entryBytes*len(m.Entries[i].Context)
		}
	case replica.Failure:
		n += nameBytes + len(m.State)
		if m.Err != nil {
			n += len(m.Err.Message) + len(m.Err.Field)
		}
	}
	return n
}

func keyBytes(k replica.Key) int { return len(k.Type) + len(k.Bucket) + len(k.Key) }

// requestKind says which answers fit a request, without holding on to it.
type requestKind uint8

const (
	noRequest requestKind = iota
	readRequest
	storeRequest
	forwardRequest
	listRequest
)

func kindOf(m replica.Message) requestKind {
	switch m.(type) {
	case replica.Read:
		return readRequest
	case replica.Store:
		return storeRequest
	case replica.Forward:
		return forwardRequest
	case replica.List:
		return listRequest
	}
	return noRequest
}

func (k requestKind) answeredBy(m replica.Message) bool {
	switch m.(type) {
	case replica.ReadAnswer:
		return k == readRequest
	case replica.StoreAnswer:
		return k == storeRequest
	case replica.ForwardAnswer:
		return k == forwardRequest
	case replica.ListAnswer:
		return k == listRequest
	case replica.Failure:
		return k != noRequest
	}
	return false
}
