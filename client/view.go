package client

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ringd/ringd/ring"
)

// view is one ring as the client uses it. It is not changed once made.
type view struct {
	seed uint64
	// owners of each partition by slot; empty before the first commit.
	owners [][]*endpoint
	// members that the ring names, then addresses of the caller's that none of
	// them is known to answer at.
	members []*endpoint
	// byID are those that the ring names, by member id.
	byID map[string]*endpoint
}

// pick returns where the next attempt goes: the first owner that is believed
// responsive, else another member that is, else a suspect in the same order;
// nil if all are in tried.
func (v *view) pick(key objectKey, now time.Duration, tried []*endpoint) *endpoint {
	var owners []*endpoint
	if len(v.owners) > 0 {
		owners = v.owners[ring.HashKey(v.seed, key.bucketType, key.bucket, key.key, len(v.owners))]
	}
	for _, e := range owners {
		if !slices.Contains(tried, e) && e.health.usable(now) {
			return e
		}
	}
	// Work that falls on members that own nothing of the key is spread.
	first := 0
	if len(v.members) > 0 {
		first = rand.IntN(len(v.members))
	}
	others := func(yield func(*endpoint) bool) {
		for i := range v.members {
			if e := v.members[(first+i)%len(v.members)]; !slices.Contains(tried, e) && !yield(e) {
				return
			}
		}
	}
	for e := range others {
		if e.health.usable(now) {
			return e
		}
	}
	for _, e := range owners {
		if !slices.Contains(tried, e) {
			return e
		}
	}
	for e := range others {
		return e
	}
	return nil
}

// objectKey names an object: bucket type, bucket and key.
type objectKey struct{ bucketType, bucket, key string }

// defaultBucketType is the type of buckets that name none.
const defaultBucketType = "default"
