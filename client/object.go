package client

import (
	"errors"
	"fmt"
	"time"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

// Context is what a read knew of a key, opaque, and good for that key only.
// Hand it to the write that replaces what was read.
type Context []byte

// Object is a key's state as a read found it.
type Object struct {
	// Siblings that no later write has replaced. More than one: writes that did
	// not know of each other.
	Siblings []Sibling
	// Context covers all siblings. A deleted key has one too, without siblings.
	Context Context
}

// Sibling is one value of a key.
type Sibling struct {
	// Value is nil where only the head was asked for, and of a deletion.
	Value []byte
	// Size of the value in bytes, with [Head] too.
	Size        int
	ContentType string
	Metadata    map[string]string
	// Modified by the clock of the member that coordinated the write.
	Modified time.Time
	// Expiry is when the value is gone, by the members' clocks; zero is never.
	Expiry time.Time
	// Deleted: this sibling is a deletion, made by one who did not know of the
	// others.
	Deleted bool
}

// ErrSiblings means that the key has more than one sibling where one value was asked for.
var ErrSiblings = errors.New("the key has siblings")

// Value returns the value if the key has exactly one sibling. Otherwise the
// error is [ErrSiblings], or [ErrNotFound] if there is none or only a deletion.
func (o Object) Value() ([]byte, error) {
	switch {
	case len(o.Siblings) > 1:
		return nil, fmt.Errorf("%w: %d", ErrSiblings, len(o.Siblings))
	case len(o.Siblings) == 0 || o.Siblings[0].Deleted:
		return nil, &Error{Code: CodeNotFound}
	}
	return o.Siblings[0].Value, nil
}

func siblings(in []*ringdv1.Sibling) []Sibling {
	if len(in) == 0 {
		return nil
	}
	out := make([]Sibling, len(in))
	for i, s := range in {
		out[i] = Sibling{
			Value:       s.GetValue(),
			Size:        int(s.GetValueSize()),
			ContentType: s.GetContentType(),
			Metadata:    s.GetMetadata(),
			Modified:    time.UnixMilli(s.GetModifiedUnixMs()),
			Deleted:     s.GetTombstone(),
		}
		if at := s.GetExpiryUnixMs(); at != 0 {
			out[i].Expiry = time.UnixMilli(at)
		}
	}
	return out
}
