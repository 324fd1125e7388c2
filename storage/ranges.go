package storage

import (
	"bytes"
	"encoding/binary"
)

// DataRange holds the objects of a partition.
func DataRange(partition uint32) (lower, upper []byte) {
	lower = appendHead(nil, spaceData, partition)
	return lower, prefixEnd(lower)
}

// TypeRange holds the objects of a bucket type in a partition.
func TypeRange(partition uint32, bucketType []byte) (lower, upper []byte) {
	lower = appendPart(appendHead(nil, spaceData, partition), bucketType)
	return lower, prefixEnd(lower)
}

// BucketRange holds the objects of a bucket in a partition, in the byte order of
// their keys.
func BucketRange(partition uint32, bucketType, bucket []byte) (lower, upper []byte) {
	lower = appendPart(appendPart(appendHead(nil, spaceData, partition), bucketType), bucket)
	return lower, prefixEnd(lower)
}

// ValueRange holds the values that are kept apart from one object.
func ValueRange(partition uint32, bucketType, bucket, key []byte) (lower, upper []byte) {
	lower = appendObjectKey(nil, spaceValues, partition, bucketType, bucket, key)
	return lower, prefixEnd(lower)
}

// HintRange holds the hints that a partition keeps for a slot.
func HintRange(partition uint32, slot uint8) (lower, upper []byte) {
	lower = append(appendHead(nil, spaceHints, partition), slot)
	return lower, prefixEnd(lower)
}

// TreeRange holds the entries of a class's hash tree in the leaves from from up
// to, not including, to.
func TreeRange(partition uint32, class uint8, from, to uint32) (lower, upper []byte) {
	head := append(appendHead(nil, spaceTree, partition), class)
	lower = binary.BigEndian.AppendUint32(bytes.Clone(head), from)
	return lower, binary.BigEndian.AppendUint32(head, to)
}

// GraveRange holds the notes of records without a value.
func GraveRange(partition uint32) (lower, upper []byte) {
	lower = appendHead(nil, spaceGraves, partition)
	return lower, prefixEnd(lower)
}

// ExpiryRange holds the notes of what expires up to, not including, millis.
func ExpiryRange(partition uint32, millis int64) (lower, upper []byte) {
	lower = appendHead(nil, spaceExpiry, partition)
	return lower, binary.BigEndian.AppendUint64(bytes.Clone(lower), uint64(millis))
}

// Range is [Lower, Upper).
type Range struct{ Lower, Upper []byte }

// partitionSpaces are the keyspaces that are cut by partition.
var partitionSpaces = []byte{spaceData, spaceExpiry, spaceGraves, spaceHints, spacePartition, spaceTree, spaceValues}

// DerivedRanges hold what belongs to a partition and is no object and no hint:
// indexes of the objects, and what is the vnode's as a whole.
func DerivedRanges(partition uint32) []Range {
	return rangesOf(partition, []byte{spaceExpiry, spaceGraves, spacePartition, spaceTree})
}

// HeldRanges hold a partition's objects and what is derived from each of them: no
// hints, and nothing that is the vnode's as a whole.
func HeldRanges(partition uint32) []Range {
	return rangesOf(partition, []byte{spaceData, spaceExpiry, spaceGraves, spaceTree, spaceValues})
}

// PartitionRanges hold all that belongs to a partition, in all keyspaces, what is
// the vnode's as a whole included: who drops the rest and keeps some of that sets
// it again after the DeleteRange, in the same batch.
func PartitionRanges(partition uint32) []Range { return rangesOf(partition, partitionSpaces) }

func rangesOf(partition uint32, spaces []byte) []Range {
	var out []Range
	for _, space := range spaces {
		lower := appendHead(nil, space, partition)
		out = append(out, Range{lower, prefixEnd(lower)})
	}
	return out
}

// Successor returns the least key above key.
func Successor(key []byte) []byte { return append(bytes.Clone(key), 0) }

// prefixEnd returns the least key above all that begin with prefix. No prefix
// here is all 0xff: the first byte is a keyspace.
func prefixEnd(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	panic("storage: a prefix without an end")
}

// noPartition is above all partitions.
const noPartition = 1<<32 - 1

// SentinelKeys are one key in every keyspace that holds a partition's data,
// outside of all partitions: what stands there tells whether the keyspace still
// is the one that it was put into.
func SentinelKeys() [][]byte {
	var keys [][]byte
	for _, space := range partitionSpaces {
		keys = append(keys, appendHead(nil, space, noPartition))
	}
	return keys
}
