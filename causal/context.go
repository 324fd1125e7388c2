package causal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
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

const (
	contextVersion = 1
	macBytes       = 16
)

// Seal returns v for a client to carry: version, vector, and the first 16 bytes
// of an HMAC-SHA-256 over the key that it was read from and the vector. Counters
// run over all keys of a vnode, so that on another key v would silently cover
// writes that were never seen there.
func Seal(k ContextKey, bucketType, bucket, key string, v Vector) []byte {
	out := make([]byte, 0, 1+10+18*len(v)+sha256.Size)
	out = AppendVector(append(out, contextVersion), v)
	return k.appendMAC(out, bucketType, bucket, key, out)
}

// Open returns the vector of a context that Seal made for this key. No bytes are
// no context. Errors: ErrForeignContext, ErrMalformed, ErrVersion.
func Open(k ContextKey, bucketType, bucket, key string, sealed []byte) (Vector, error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	if len(sealed) < 1+1+macBytes {
		return nil, fmt.Errorf("context of %d bytes: %w", len(sealed), ErrMalformed)
	}
	if sealed[0] != contextVersion {
		return nil, fmt.Errorf("context of version %d: %w", sealed[0], ErrVersion)
	}
	body, tag := sealed[:len(sealed)-macBytes], sealed[len(sealed)-macBytes:]
	if !hmac.Equal(k.appendMAC(nil, bucketType, bucket, key, body), tag) {
		return nil, ErrForeignContext
	}
	return DecodeVector(body[1:])
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
