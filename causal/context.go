package causal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// ErrForeignContext says that a context was not given out for this key by this
// cluster.
var ErrForeignContext = errors.New("the context was not given out for this key by this cluster")

// ContextKey authenticates the contexts of one cluster.
type ContextKey struct{ secret [sha256.Size]byte }

// NewContextKey derives the key from a secret that all members share.
func NewContextKey(clusterSecret []byte) ContextKey {
	mac := hmac.New(sha256.New, clusterSecret)
	mac.Write([]byte("ringd context v1"))
	var k ContextKey
	mac.Sum(k.secret[:0])
	return k
}

// Context is what a client has seen of a key.
type Context struct {
	// Seen covers all that its reads had merged.
	Seen Vector
	// Own are its writes that Seen does not cover, because they were made beside
	// siblings which the client has not seen: their actor may have given those dots
	// too. Each counter stands for its dot alone, and for none before it.
	Own Vector
}

// OwnMax bounds Context.Own. A client gets one more for each coordinator that had
// not merged its last write, which is rare; what is forgotten stays as a sibling.
const OwnMax = 8

// Empty reports whether c covers nothing.
func (c Context) Empty() bool { return len(c.Seen) == 0 && len(c.Own) == 0 }

// Covers reports whether the client has seen the write of that dot.
func (c Context) Covers(d Dot) bool { return c.Seen.Covers(d) || c.Own.Get(d.Actor) == d.Counter }

// Dots returns a vector that covers all that c does, and more.
func (c Context) Dots() Vector { return c.Seen.Join(c.Own) }

// Wrote returns the context of a client that knew c, once its write of that dot
// and request made o: all of o, if nothing is in it that the client has not seen, else c and
// the write itself, with its twins of other attempts.
func (c Context) Wrote(o Object, dot Dot, request RequestID) Context {
	mine := func(s Sibling) bool { return s.Dot == dot || request != RequestID{} && s.Request == request }
	if !slices.ContainsFunc(o.Siblings, func(s Sibling) bool { return !s.Tombstone && !mine(s) && !c.Covers(s.Dot) }) {
		return Context{Seen: o.Context}
	}
	out := Context{Seen: c.Seen}
	for _, s := range o.Siblings {
		if mine(s) && !out.Covers(s.Dot) {
			out.Own = out.Own.With(s.Dot)
		}
	}
	for _, e := range c.Own {
		d := Dot(e)
		if len(out.Own) < OwnMax && !o.Context.Covers(d) && out.Own.Get(d.Actor) == 0 {
			out.Own = out.Own.With(d)
		}
	}
	return out
}

// Versions of sealed contexts. The first has no Own: a client may carry one
// from an older member, and to one.
const (
	seenOnly     = 1
	seenAndOwn   = 2
	macBytes     = 16
	sealedAtMost = 2 + 2*10 // bytes besides entries and code
)

// Seal returns c for a client to carry: version, vectors, and the first 16 bytes
// of an HMAC-SHA-256 over the key that it was read from and the vectors. Counters
// run over all keys of a vnode, so that on another key they would silently cover
// writes that were never seen there.
func Seal(k ContextKey, bucketType, bucket, key string, c Context) []byte {
	out := make([]byte, 0, sealedAtMost+18*(len(c.Seen)+len(c.Own))+sha256.Size)
	if len(c.Own) == 0 {
		out = AppendVector(append(out, seenOnly), c.Seen)
	} else {
		own := AppendVector(nil, c.Own)
		out = binary.AppendUvarint(append(out, seenAndOwn), uint64(len(own)))
		out = AppendVector(append(out, own...), c.Seen)
	}
	return k.appendMAC(out, bucketType, bucket, key, out)
}

// Open returns a context that Seal made for this key. No bytes are no context.
// Errors: ErrForeignContext, ErrMalformed, ErrVersion.
func Open(k ContextKey, bucketType, bucket, key string, sealed []byte) (Context, error) {
	if len(sealed) == 0 {
		return Context{}, nil
	}
	if len(sealed) < 1+1+macBytes {
		return Context{}, fmt.Errorf("context of %d bytes: %w", len(sealed), ErrMalformed)
	}
	if sealed[0] != seenOnly && sealed[0] != seenAndOwn {
		return Context{}, fmt.Errorf("context of version %d: %w", sealed[0], ErrVersion)
	}
	body, tag := sealed[:len(sealed)-macBytes], sealed[len(sealed)-macBytes:]
	if !hmac.Equal(k.appendMAC(nil, bucketType, bucket, key, body), tag) {
		return Context{}, ErrForeignContext
	}
	var c Context
	var err error
	rest := body[1:]
	if sealed[0] == seenAndOwn {
		n, read := binary.Uvarint(rest)
		if read <= 0 || n > uint64(len(rest)-read) {
			return Context{}, fmt.Errorf("context: own writes of %d bytes: %w", n, ErrMalformed)
		}
		if c.Own, err = DecodeVector(rest[read : read+int(n)]); err != nil {
			return Context{}, err
		}
		rest = rest[read+int(n):]
	}
	if c.Seen, err = DecodeVector(rest); err != nil {
		return Context{}, err
	}
	return c, nil
}

// appendMAC appends the code over the key's parts, each behind its length, and
// body, which is all that follows them.
func (k ContextKey) appendMAC(dst []byte, bucketType, bucket, key string, body []byte) []byte {
	h := hmac.New(sha256.New, k.secret[:])
	var space [128]byte
	b := space[:0]
	for _, part := range [...]string{bucketType, bucket, key} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	h.Write(b)
	h.Write(body)
	return h.Sum(dst)[:len(dst)+macBytes]
}
