package api

import (
	"context"
	"time"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/internal/clock"
	"github.com/ringd/ringd/replica"
)

// expiry is when the value of a put is gone, in Unix milliseconds; 0 is never.
// A ttl is counted from now, the bucket type's too.
func (s *KV) expiry(ctx context.Context, r *ringdv1.PutRequest, bucketType string) (int64, error) {
	now := clock.Now()
	if r.ExpiryUnixMs != nil {
		at := r.GetExpiryUnixMs()
		switch {
		case r.Ttl != nil:
			return 0, replica.Invalid("expiry_unix_ms", "can't be given together with ttl")
		case at < 0 || at > now.Add(replica.TTLMax).UnixMilli():
			return 0, replica.Invalid("expiry_unix_ms", "is %d: use 0, which is never, or Unix milliseconds up to %v from now", at, replica.TTLMax)
		}
		return at, nil
	}
	ttl, err := ttlFrom("ttl", r.Ttl)
	if err != nil {
		return 0, err
	}
	if ttl == 0 {
		t, err := s.backend.BucketType(ctx, bucketType)
		if err != nil {
			return 0, err
		}
		ttl = t.DefaultTTL
	}
	if ttl == 0 {
		return 0, nil
	}
	return now.Add(ttl + time.Millisecond - 1).UnixMilli(), nil
}
