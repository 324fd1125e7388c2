package ring

import (
	"github.com/buraksezer/consistent"
	"github.com/cespare/xxhash/v2"
)

// propose returns, for each partition, the index of the member that the
// consistent library would have own it: bounded-load consistent hashing
// (Mirrokni, Thorup, Zadimoghaddam 2016).
func propose(members []Member, partitions int) []int {
	index := make(map[string]int, len(members))
	named := make([]consistent.Member, len(members))
	for i, m := range members {
		index[m.ID.String()] = i
		named[i] = m.ID
	}
	c := consistent.New(named, consistent.Config{
		Hasher: hasher{}, PartitionCount: partitions,
		// The library's own advice: points per member, and load over the average.
		ReplicationFactor: 20, Load: 1.25,
	})
	out := make([]int, partitions)
	for p := range out {
		out[p] = index[c.GetPartitionOwner(p).String()]
	}
	return out
}

type hasher struct{}

// Sum64 implements consistent.Hasher.
func (hasher) Sum64(b []byte) uint64 { return xxhash.Sum64(b) }
