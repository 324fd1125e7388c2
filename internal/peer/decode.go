package peer

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/internal/peer/peerpb"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// decode returns what from holds, received at now; its parts share from. From
// and To are for the caller to fill in. Objects that a vnode stores are not
// looked into: the vnode does, with their checksum. The error is errMalformed.
func decode(from *peerpb.Envelope, now time.Time) (replica.Envelope, error) {
	env := replica.Envelope{
		ID:        from.GetId(),
		Epoch:     ring.Epoch{Generation: from.GetGeneration(), Number: from.GetEpoch()},
		Partition: ring.PartitionID(from.GetPartition()),
		Fallback:  from.GetFallback(),
	}
	if env.ID == 0 {
		return env, fmt.Errorf("%w: an envelope without id", errMalformed)
	}
	if us := from.GetRemainingUs(); us > 0 {
		if us > math.MaxInt64/uint64(time.Microsecond) {
			return env, fmt.Errorf("%w: %d us remaining", errMalformed, us)
		}
		env.Deadline = now.Add(time.Duration(us) * time.Microsecond)
	}
	var err error
	switch m := from.GetMessage().(type) {
	case *peerpb.Envelope_Read:
		out := replica.Read{Full: m.Read.GetFull()}
		out.Key, err = unpackKey(m.Read.GetKey())
		env.Message = out
	case *peerpb.Envelope_ReadAnswer:
		out := replica.ReadAnswer{Object: some(m.ReadAnswer.GetObject()), Digest: m.ReadAnswer.GetDigest()}
		if out.Context, err = unpackVector(m.ReadAnswer.GetContext()); err == nil {
			out.Seen, err = unpackVector(m.ReadAnswer.GetSeen())
		}
		env.Message = out
	case *peerpb.Envelope_Store:
		if m.Store.GetSlot() > slotMax {
			return env, fmt.Errorf("%w: a hint for slot %d", errMalformed, m.Store.GetSlot())
		}
		out := replica.Store{Object: some(m.Store.GetObject()), Slot: int(m.Store.GetSlot())}
		out.Key, err = unpackKey(m.Store.GetKey())
		env.Message = out
	case *peerpb.Envelope_StoreAnswer:
		env.Message = replica.StoreAnswer{Durable: m.StoreAnswer.GetDurable(), Changed: m.StoreAnswer.GetChanged()}
	case *peerpb.Envelope_Forward:
		var w replica.Write
		w, err = unpackWrite(m.Forward)
		env.Message = replica.Forward{Write: w}
	case *peerpb.Envelope_ForwardAnswer:
		var r replica.WriteResult
		r, err = unpackResult(m.ForwardAnswer)
		env.Message = replica.ForwardAnswer{Result: r}
	case *peerpb.Envelope_List:
		env.Message = replica.List{
			Type: string(m.List.GetBucketType()), Bucket: string(m.List.GetBucket()), Buckets: m.List.GetBuckets(),
			After: string(m.List.GetAfter()), Started: m.List.GetStarted(), Limit: int(m.List.GetLimit()),
		}
	case *peerpb.Envelope_ListAnswer:
		env.Message, err = unpackList(m.ListAnswer)
	case *peerpb.Envelope_Failure:
		if m.Failure.GetError() == nil {
			return env, fmt.Errorf("%w: a failure without an error", errMalformed)
		}
		env.Message = replica.Failure{Err: unpackError(m.Failure.GetError()), State: some(m.Failure.GetState())}
	default:
		env.Message, err = decodeExchange(from)
	}
	return env, err
}

// decodeFrame appends the messages of a frame to envs, up to the first that is
// malformed, and returns their bytes in all.
func decodeFrame(envs []replica.Envelope, frame *peerpb.Frame, now time.Time) ([]replica.Envelope, int, error) {
	if frame.GetHello() != nil {
		return envs, 0, fmt.Errorf("%w: a second hello", errMalformed)
	}
	bytes := 0
	for _, e := range frame.GetEnvelopes() {
		env, err := decode(e, now)
		if err != nil {
			return envs, bytes, err
		}
		bytes += sizeOf(env.Message)
		envs = append(envs, env)
	}
	return envs, bytes, nil
}

// some is b, or nil if there is nothing in it: on the wire the two are one.
func some(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

func unpackKey(b []byte) (replica.Key, error) {
	// One string for the three parts, which share it.
	s := string(b)
	var parts [2]string
	for i := range parts {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return replica.Key{}, fmt.Errorf("%w: a key whose parts don't fit", errMalformed)
		}
		end := size + int(n)
		parts[i] = s[size:end]
		b, s = b[end:], s[end:]
	}
	return replica.Key{Type: parts[0], Bucket: parts[1], Key: s}, nil
}

func unpackVector(b []byte) (causal.Vector, error) {
	if len(b) == 0 {
		return nil, nil
	}
	v, err := causal.DecodeVector(b)
	if err != nil {
		return nil, fmt.Errorf("%w: context: %w", errMalformed, err)
	}
	return v, nil
}

func unpackWrite(f *peerpb.Forward) (replica.Write, error) {
	o := f.GetOptions()
	w := replica.Write{
		Delete: f.GetDelete(), Value: some(f.GetValue()), ContentType: string(f.GetContentType()),
		IfAbsent: f.GetIfAbsent(), IfMatch: f.GetIfMatch(), Return: replica.Return(f.GetReturn()),
		Options: replica.Options{
			R: replica.Count(o.GetR()), W: replica.Count(o.GetW()),
			PR: replica.Count(o.GetPr()), PW: replica.Count(o.GetPw()), DW: replica.Count(o.GetDw()),
			Sloppy: replica.Tri(o.GetSloppy()), RepairBlocking: replica.Tri(o.GetRepairBlocking()),
			Timeout: time.Duration(o.GetTimeoutNs()),
		},
	}
	for _, c := range []replica.Count{w.Options.R, w.Options.W, w.Options.PR, w.Options.PW, w.Options.DW} {
		if c < replica.None {
			return w, fmt.Errorf("%w: a replica count of %d", errMalformed, c)
		}
	}
	if f.GetReturn() < 0 || f.GetReturn() > peerpb.Return_BODY || !known(o.GetSloppy()) || !known(o.GetRepairBlocking()) {
		return w, fmt.Errorf("%w: a choice of a write that is not known here", errMalformed)
	}
	if f.GetExpiryMs() > math.MaxInt64 {
		return w, fmt.Errorf("%w: a value that expires at %d", errMalformed, f.GetExpiryMs())
	}
	w.Expiry = int64(f.GetExpiryMs())
	if n := copy(w.Request[:], f.GetRequest()); n != len(f.GetRequest()) || (n != 0 && n != len(w.Request)) {
		return w, fmt.Errorf("%w: a request id of %d bytes", errMalformed, len(f.GetRequest()))
	}
	for _, m := range f.GetMeta() {
		w.Meta = append(w.Meta, causal.Meta{Key: string(m.GetKey()), Value: string(m.GetValue())})
	}
	var err error
	if w.Key, err = unpackKey(f.GetKey()); err != nil {
		return w, err
	}
	w.Context, err = unpackContext(f.GetContext(), f.GetOwn())
	return w, err
}

func known(c peerpb.Choice) bool { return c >= peerpb.Choice_UNSET && c <= peerpb.Choice_OFF }

func unpackResult(a *peerpb.ForwardAnswer) (replica.WriteResult, error) {
	var r replica.WriteResult
	var err error
	if r.Object, err = unpackObject(a.GetObject()); err != nil {
		return r, err
	}
	r.Context, err = unpackContext(a.GetContext(), a.GetOwn())
	return r, err
}

func unpackContext(seen, own []byte) (c causal.Context, err error) {
	if c.Seen, err = unpackVector(seen); err != nil {
		return c, err
	}
	c.Own, err = unpackVector(own)
	return c, err
}

func unpackObject(b []byte) (causal.Object, error) {
	if len(b) == 0 {
		return causal.Object{}, nil
	}
	o, err := causal.DecodeObject(b)
	if err != nil {
		return o, fmt.Errorf("%w: object: %w", errMalformed, err)
	}
	return o, nil
}

func unpackList(a *peerpb.ListAnswer) (replica.ListAnswer, error) {
	out := replica.ListAnswer{Done: a.GetDone()}
	if n := len(a.GetEntries()); n > 0 {
		out.Entries = make([]replica.ListEntry, n)
	}
	for i, e := range a.GetEntries() {
		c, err := unpackVector(e.GetContext())
		if err != nil {
			return out, err
		}
		out.Entries[i] = replica.ListEntry{Name: string(e.GetName()), Live: e.GetLive(), Context: c}
	}
	return out, nil
}

// unpackError takes a kind that a later release knows for a fault in ringd; its
// text still says what happened.
func unpackError(e *peerpb.Error) *replica.Error {
	kind := e.GetKind()
	if kind < 0 || kind > peerpb.Kind_CORRUPT {
		kind = peerpb.Kind_INTERNAL
	}
	return &replica.Error{
		Kind: replica.Kind(kind), Field: string(e.GetField()), Message: string(e.GetText()),
		Needed: int(e.GetNeeded()), Got: int(e.GetGot()), MaybeApplied: e.GetMaybeApplied(),
		RetryAfter: time.Duration(e.GetRetryAfterNs()),
	}
}
