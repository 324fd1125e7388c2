package client_test

import "github.com/ringd/ringd/ring"

func partitionOf(bucketType, bucket, key string) int {
	return int(ring.HashKey(fakeSeed, bucketType, bucket, key, fakePartitions))
}
