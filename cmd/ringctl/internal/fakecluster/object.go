package fakecluster

import (
	"encoding/binary"
	"hash/fnv"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

// object is a key's siblings. Its context is the number of writes that it
// covers, bound to the key.
type object struct {
	writes   uint64
	siblings []sibling
}

type sibling struct {
	write   uint64
	request string
	*ringdv1.Sibling
}

func (o *object) live() bool {
	return slices.ContainsFunc(o.siblings, func(s sibling) bool { return !s.Tombstone && !s.gone() })
}

func (s sibling) gone() bool { return s.ExpiryUnixMs != 0 && s.ExpiryUnixMs <= time.Now().UnixMilli() }

// has reports whether a write with that request id is there: its twin changes
// nothing.
func (o *object) has(id []byte) bool {
	return slices.ContainsFunc(o.siblings, func(s sibling) bool { return len(id) > 0 && s.request == string(id) })
}

func (o *object) add(s *ringdv1.Sibling, id []byte) {
	o.writes++
	s.ValueSize, s.ModifiedUnixMs = uint64(len(s.Value)), 1_700_000_000_000
	o.siblings = append(o.siblings, sibling{o.writes, string(id), s})
}

// cover removes what a context covers.
func (o *object) cover(through uint64) {
	o.siblings = slices.DeleteFunc(o.siblings, func(s sibling) bool { return s.write <= through })
}

func (o *object) newerThan(through uint64) bool {
	return slices.ContainsFunc(o.siblings, func(s sibling) bool { return s.write > through })
}

func (o *object) all(head bool) []*ringdv1.Sibling {
	var all []*ringdv1.Sibling
	for _, s := range o.siblings {
		if s.gone() {
			continue
		}
		one := proto.CloneOf(s.Sibling)
		if head {
			one.Value = nil
		}
		all = append(all, one)
	}
	return all
}

func keyCheck(at name) uint64 {
	h := fnv.New64a()
	for _, part := range []string{at.bucketType, at.bucket, at.key} {
		h.Write([]byte(part + "\x00"))
	}
	return h.Sum64()
}

func (o *object) context(at name) []byte {
	if o.writes == 0 {
		return nil
	}
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, keyCheck(at)), o.writes)
}

// covered reads a context; ok is false for one of another key, or of none.
func covered(at name, context []byte) (through uint64, ok bool) {
	if len(context) == 0 {
		return 0, true
	}
	if len(context) != 16 || binary.BigEndian.Uint64(context) != keyCheck(at) {
		return 0, false
	}
	return binary.BigEndian.Uint64(context[8:]), true
}
