package causal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
)

// Errors of decoding.
var (
	// ErrMalformed says that bytes are not an encoding of what was expected.
	ErrMalformed = errors.New("malformed encoding")
	// ErrChecksum says that bytes are not those that were written.
	ErrChecksum = errors.New("checksum mismatch")
	// ErrVersion says that bytes were written by a later release.
	ErrVersion = errors.New("unknown version of the encoding")
)

const objectVersion = 1

// valueSizeMax is far above what any limit lets in, and an int everywhere.
const valueSizeMax = math.MaxInt32

// Flags of a sibling's encoding.
const (
	flagTombstone = 1 << iota
	flagApart
	flagsKnown = flagTombstone | flagApart
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendVector appends the encoding of v: the number of entries, then for each
// the actor, 8 bytes, and the counter. Numbers are varints but for actors.
func AppendVector(dst []byte, v Vector) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(v)))
	for _, e := range v {
		dst = binary.BigEndian.AppendUint64(dst, uint64(e.Actor))
		dst = binary.AppendUvarint(dst, e.Counter)
	}
	return dst
}

// DecodeVector reads what AppendVector made, all of src. The error is
// ErrMalformed.
func DecodeVector(src []byte) (Vector, error) {
	d := decoder{src: src}
	v := d.vector()
	if err := d.end(); err != nil {
		return nil, err
	}
	if err := v.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return v, nil
}

// AppendObject appends the encoding of o, for which Check holds. Equal objects
// have equal encodings, and an object has one.
//
//	version (1), context, siblings,
//	  for each: flags (1), actor (8), counter, value size, timestamp (8),
//	  expiry, request id (16), content type, metadata, value unless apart
//	CRC-32C (4) of all before
//
// Texts and values go behind their length; numbers are varints unless their
// size is given.
func AppendObject(dst []byte, o Object) []byte {
	from := len(dst)
	dst = append(slices.Grow(dst, SizeBound(o)), objectVersion)
	dst = AppendVector(dst, o.Context)
	dst = binary.AppendUvarint(dst, uint64(len(o.Siblings)))
	for i := range o.Siblings {
		dst = appendSibling(dst, &o.Siblings[i])
	}
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[from:], castagnoli))
}

// SizeBound is at least the length of o's encoding.
func SizeBound(o Object) int {
	n := 1 + 10 + 18*len(o.Context) + 10 + 4
	for i := range o.Siblings {
		s := &o.Siblings[i]
		n += 1 + 8 + 10 + 10 + 8 + 10 + 16 + 10 + len(s.ContentType) + 10 + len(s.Value)
		for _, m := range s.Meta {
			n += 20 + len(m.Key) + len(m.Value)
		}
	}
	return n
}

func appendSibling(dst []byte, s *Sibling) []byte {
	var flags byte
	if s.Tombstone {
		flags |= flagTombstone
	}
	if s.Apart {
		flags |= flagApart
	}
	dst = append(dst, flags)
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.Dot.Actor))
	dst = binary.AppendUvarint(dst, s.Dot.Counter)
	dst = binary.AppendUvarint(dst, uint64(s.ValueSize))
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.Time))
	dst = binary.AppendUvarint(dst, uint64(s.Expiry))
	dst = append(dst, s.Request[:]...)
	dst = appendText(dst, s.ContentType)
	dst = binary.AppendUvarint(dst, uint64(len(s.Meta)))
	for _, m := range s.Meta {
		dst = appendText(dst, m.Key)
		dst = appendText(dst, m.Value)
	}
	if !s.Apart {
		dst = append(dst, s.Value...)
	}
	return dst
}

func appendText(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// DecodeObject reads what AppendObject made, all of src, and checks it. Values
// share src, which must not change while the object is in use. What is allocated
// is at most a small multiple of src, whatever its counts say. Errors:
// ErrChecksum, ErrVersion (every version ends in this checksum), ErrMalformed.
func DecodeObject(src []byte) (Object, error) {
	if len(src) < 5 {
		return Object{}, fmt.Errorf("object of %d bytes: %w", len(src), ErrMalformed)
	}
	body := src[:len(src)-4]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(src[len(body):]) {
		return Object{}, ErrChecksum
	}
	if src[0] != objectVersion {
		return Object{}, fmt.Errorf("version %d: %w", src[0], ErrVersion)
	}
	d := decoder{src: body[1:]}
	o := Object{Context: d.vector()}
	if n := d.count(siblingBytesMin); n > 0 {
		o.Siblings = make([]Sibling, n)
		for i := range o.Siblings {
			d.sibling(&o.Siblings[i])
		}
	}
	if err := d.end(); err != nil {
		return Object{}, err
	}
	if err := o.Check(); err != nil {
		return Object{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return o, nil
}

const (
	entryBytesMin   = 9
	siblingBytesMin = 1 + 8 + 1 + 1 + 8 + 1 + 16 + 1 + 1
	metaBytesMin    = 2
)

// decoder reads from the front of src until something is wrong.
type decoder struct {
	src []byte
	bad bool
}

func (d *decoder) take(n uint64) []byte {
	if d.bad || n > uint64(len(d.src)) {
		d.bad = true
		return nil
	}
	out := d.src[:n:n]
	d.src = d.src[n:]
	return out
}

// number reads a varint in its shortest form.
func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.src)
	if d.bad || size <= 0 || (size > 1 && d.src[size-1] == 0) {
		d.bad = true
		return 0
	}
	d.src = d.src[size:]
	return n
}

// count reads how many elements follow, of at least least bytes each: no more
// than can be there.
func (d *decoder) count(least int) int {
	n := d.number()
	if n > uint64(len(d.src)/least) {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) fixed64() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) text() string { return string(d.take(d.number())) }

func (d *decoder) vector() Vector {
	n := d.count(entryBytesMin)
	if n == 0 {
		return nil
	}
	v := make(Vector, n)
	for i := range v {
		v[i] = Entry{Actor(d.fixed64()), d.number()}
	}
	return v
}

func (d *decoder) sibling(s *Sibling) {
	if b := d.take(1); b != nil {
		if b[0]&^flagsKnown != 0 {
			d.bad = true
		}
		s.Tombstone, s.Apart = b[0]&flagTombstone != 0, b[0]&flagApart != 0
	}
	s.Dot = Dot{Actor(d.fixed64()), d.number()}
	size := d.number()
	s.Time = HLC(d.fixed64())
	expiry := d.number()
	if size > valueSizeMax || expiry > math.MaxInt64 {
		d.bad = true
	}
	s.ValueSize, s.Expiry = int(size), int64(expiry)
	copy(s.Request[:], d.take(16))
	s.ContentType = d.text()
	if n := d.count(metaBytesMin); n > 0 {
		// An entry takes 32 bytes here and as few as 2 in src, so room is made for
		// those that were read, not for those that are announced.
		s.Meta = make([]Meta, 0, min(n, 16))
		for range n {
			m := Meta{d.text(), d.text()}
			if d.bad {
				return
			}
			s.Meta = append(s.Meta, m)
		}
	}
	if !s.Apart && size > 0 {
		s.Value = d.take(size)
	}
}

func (d *decoder) end() error {
	if d.bad || len(d.src) > 0 {
		return ErrMalformed
	}
	return nil
}
