package storage

import "encoding/binary"

// AppendHintKey appends the key of a hint: an object kept for the owner of a
// slot.
func AppendHintKey(dst []byte, partition uint32, slot uint8, bucketType, bucket, key []byte) []byte {
	return appendParts(append(appendHead(dst, spaceHints, partition), slot), bucketType, bucket, key)
}

// ParseHintKey reads what AppendHintKey made; else the error is ErrKey. The parts
// may share src.
func ParseHintKey(src []byte) (k DataKey, slot uint8, err error) {
	k, err = parseWhole(src, spaceHints, 1)
	if err != nil {
		return DataKey{}, 0, err
	}
	return k, src[5], nil
}

// AppendTreeKey appends the key of an object's entry in the hash tree of its
// class.
func AppendTreeKey(dst []byte, partition uint32, class uint8, leaf uint32, bucketType, bucket, key []byte) []byte {
	dst = binary.BigEndian.AppendUint32(append(appendHead(dst, spaceTree, partition), class), leaf)
	return appendParts(dst, bucketType, bucket, key)
}

// ParseTreeKey reads what AppendTreeKey made; else the error is ErrKey. The parts
// may share src.
func ParseTreeKey(src []byte) (k DataKey, class uint8, leaf uint32, err error) {
	k, err = parseWhole(src, spaceTree, 5)
	if err != nil {
		return DataKey{}, 0, 0, err
	}
	return k, src[5], binary.BigEndian.Uint32(src[6:]), nil
}

// AppendGraveKey appends the key under which it is noted that an object's record
// has no value.
func AppendGraveKey(dst []byte, partition uint32, bucketType, bucket, key []byte) []byte {
	return appendObjectKey(dst, spaceGraves, partition, bucketType, bucket, key)
}

// ParseGraveKey reads what AppendGraveKey made; else the error is ErrKey. The
// parts may share src.
func ParseGraveKey(src []byte) (DataKey, error) { return parseWhole(src, spaceGraves, 0) }

// AppendExpiryKey appends the key under which it is noted when the last value of
// an object expires.
func AppendExpiryKey(dst []byte, partition uint32, millis int64, bucketType, bucket, key []byte) []byte {
	dst = binary.BigEndian.AppendUint64(appendHead(dst, spaceExpiry, partition), uint64(millis))
	return appendParts(dst, bucketType, bucket, key)
}

// ParseExpiryKey reads what AppendExpiryKey made; else the error is ErrKey. The
// parts may share src.
func ParseExpiryKey(src []byte) (k DataKey, millis int64, err error) {
	k, err = parseWhole(src, spaceExpiry, 8)
	if err != nil {
		return DataKey{}, 0, err
	}
	return k, int64(binary.BigEndian.Uint64(src[5:])), nil
}

func parseWhole(src []byte, space byte, width int) (DataKey, error) {
	k, rest, err := parseIndexKey(src, space, width)
	if err == nil && len(rest) > 0 {
		err = ErrKey
	}
	if err != nil {
		return DataKey{}, err
	}
	return k, nil
}
