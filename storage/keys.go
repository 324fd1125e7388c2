package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// The keyspaces, by the first byte of a key. All but meta are followed by the
// partition, so that each is dropped by one range.
const (
	spaceData      = 'd' // partition, bucket type, bucket, key -> object
	spaceExpiry    = 'e' // partition, Unix milliseconds, key -> nothing
	spaceGraves    = 'g' // partition, key -> nothing: a record without values
	spaceHints     = 'h' // partition, slot, key -> object
	spaceMeta      = 'm' // name -> what is the member's as a whole
	spacePartition = 'p' // partition, name -> what is a vnode's as a whole
	spaceTree      = 't' // partition, class, leaf, key -> version hash
	spaceValues    = 'v' // as data, then dot -> a value kept apart from its object
)

// ErrKey says that bytes are not a key of the keyspace asked for.
var ErrKey = errors.New("storage: not a key of this keyspace")

// Variable parts are escaped so that they sort as their bytes do and end where
// they end: 0x00 becomes 0x00 0xff, and 0x00 0x01 ends the part.
const (
	escape     = 0x00
	escapedNul = 0xff
	partEnd    = 0x01
)

func appendPart(dst, part []byte) []byte {
	for {
		i := bytes.IndexByte(part, escape)
		if i < 0 {
			break
		}
		dst = append(dst, part[:i]...)
		dst = append(dst, escape, escapedNul)
		part = part[i+1:]
	}
	dst = append(dst, part...)
	return append(dst, escape, partEnd)
}

// cutPart returns the first part of src and what follows it. The part's capacity
// ends with it, so that appending to it leaves src as it is.
func cutPart(src []byte) (part, rest []byte, err error) {
	i := bytes.IndexByte(src, escape)
	if i >= 0 && i+1 < len(src) && src[i+1] == partEnd {
		return src[:i:i], src[i+2:], nil // nothing escaped: no copy
	}
	for {
		i := bytes.IndexByte(src, escape)
		if i < 0 || i+1 >= len(src) {
			return nil, nil, ErrKey
		}
		part = append(part, src[:i]...)
		switch src[i+1] {
		case partEnd:
			return part, src[i+2:], nil
		case escapedNul:
			part = append(part, 0)
		default:
			return nil, nil, ErrKey
		}
		src = src[i+2:]
	}
}

func appendHead(dst []byte, space byte, partition uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, space), partition)
}

// AppendDataKey appends the key of an object.
func AppendDataKey(dst []byte, partition uint32, bucketType, bucket, key []byte) []byte {
	return appendObjectKey(dst, spaceData, partition, bucketType, bucket, key)
}

func appendObjectKey(dst []byte, space byte, partition uint32, bucketType, bucket, key []byte) []byte {
	if dst == nil {
		// Room for a dot, too.
		dst = make([]byte, 0, 5+len(bucketType)+len(bucket)+len(key)+6+16)
	}
	return appendParts(appendHead(dst, space, partition), bucketType, bucket, key)
}

func appendParts(dst, bucketType, bucket, key []byte) []byte {
	dst = appendPart(dst, bucketType)
	dst = appendPart(dst, bucket)
	return appendPart(dst, key)
}

// DataKey is a parsed key of an object.
type DataKey struct {
	Partition               uint32
	BucketType, Bucket, Key []byte
}

// ParseDataKey reads what AppendDataKey made; else the error is ErrKey. The parts
// may share src.
func ParseDataKey(src []byte) (DataKey, error) { return parseWhole(src, spaceData, 0) }

// parseIndexKey reads the key of an object that stands behind width bytes of
// something else.
func parseIndexKey(src []byte, space byte, width int) (k DataKey, rest []byte, err error) {
	if len(src) < 5+width || src[0] != space {
		return k, nil, ErrKey
	}
	k.Partition = binary.BigEndian.Uint32(src[1:])
	rest = src[5+width:]
	for _, part := range []*[]byte{&k.BucketType, &k.Bucket, &k.Key} {
		if *part, rest, err = cutPart(rest); err != nil {
			return k, nil, err
		}
	}
	return k, rest, nil
}

// ValueKey is a parsed key of a value kept apart.
type ValueKey struct {
	DataKey
	Actor, Counter uint64 // the sibling's dot
}

// ParseValueKey reads what AppendValueKey made; else the error is ErrKey. The
// parts may share src.
func ParseValueKey(src []byte) (ValueKey, error) {
	k, rest, err := parseIndexKey(src, spaceValues, 0)
	if err == nil && len(rest) != 16 {
		err = ErrKey
	}
	if err != nil {
		return ValueKey{}, err
	}
	return ValueKey{k, binary.BigEndian.Uint64(rest), binary.BigEndian.Uint64(rest[8:])}, nil
}

// AppendValueKey appends the key of a value that is kept apart from its object:
// the object's, and the dot of the sibling.
func AppendValueKey(dst []byte, partition uint32, bucketType, bucket, key []byte, actor, counter uint64) []byte {
	dst = appendObjectKey(dst, spaceValues, partition, bucketType, bucket, key)
	dst = binary.BigEndian.AppendUint64(dst, actor)
	return binary.BigEndian.AppendUint64(dst, counter)
}

// AppendPartitionMetaKey appends the key of something that is a vnode's as a
// whole.
func AppendPartitionMetaKey(dst []byte, partition uint32, name string) []byte {
	return append(appendHead(dst, spacePartition, partition), name...)
}

// AppendMetaKey appends the key of something that is the member's as a whole.
func AppendMetaKey(dst []byte, name string) []byte {
	return append(append(dst, spaceMeta), name...)
}
