package causal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Write returns o after a write of s, whose dot is new, by someone who knew ctx:
// siblings that ctx covers are gone, others stay beside s.
func Write(o Object, ctx Context, s Sibling) Object {
	out := Object{
		Context:  o.Context.Join(ctx.Seen).With(s.Dot),
		Siblings: make([]Sibling, 0, len(o.Siblings)+1),
	}
	placed := false
	for i := range o.Siblings {
		old := &o.Siblings[i]
		if ctx.Covers(old.Dot) {
			continue
		}
		if !placed && s.Dot.Compare(old.Dot) < 0 {
			out.Siblings, placed = append(out.Siblings, s), true
		}
		out.Siblings = append(out.Siblings, *old)
	}
	if !placed {
		out.Siblings = append(out.Siblings, s)
	}
	return out
}

// Live reports whether o has a value that is no tombstone.
func (o Object) Live() bool {
	return slices.ContainsFunc(o.Siblings, func(s Sibling) bool { return !s.Tombstone })
}

// IsTombstone reports whether o was deleted: it has siblings and all of them are
// tombstones. A key never written is neither live nor a tombstone.
func (o Object) IsTombstone() bool { return len(o.Siblings) > 0 && !o.Live() }

// HasRequest returns the smallest dot of request among the siblings, tombstones
// too. The zero request is nobody's. A request whose sibling was replaced is
// not found: the object does not remember it.
func (o Object) HasRequest(request RequestID) (Dot, bool) {
	if request == (RequestID{}) {
		return Dot{}, false
	}
	for _, s := range o.Siblings {
		if s.Request == request {
			return s.Dot, true
		}
	}
	return Dot{}, false
}

// Digest is equal for equal objects, and different, but for a chance of 2^-64,
// for others: xxh64 over the context and the siblings' dots.
func (o Object) Digest() uint64 {
	var space [256]byte
	b := AppendVector(space[:0], o.Context)
	for _, s := range o.Siblings {
		b = binary.BigEndian.AppendUint64(b, uint64(s.Dot.Actor))
		b = binary.BigEndian.AppendUint64(b, s.Dot.Counter)
	}
	return xxhash.Sum64(b)
}

// Check returns an error if the invariants of Object don't hold.
func (o Object) Check() error {
	if err := o.Context.Check(); err != nil {
		return err
	}
	for i := range o.Siblings {
		if i > 0 && o.Siblings[i-1].Dot.Compare(o.Siblings[i].Dot) >= 0 {
			return fmt.Errorf("object: siblings out of order at dot %v", o.Siblings[i].Dot)
		}
		if err := o.Siblings[i].check(o.Context); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sibling) check(ctx Vector) error {
	switch {
	case s.Dot.Actor == 0 || s.Dot.Counter == 0:
		return errors.New("object: a sibling without a dot")
	case !ctx.Covers(s.Dot):
		return fmt.Errorf("object: the context does not cover its sibling %v", s.Dot)
	case s.Apart && (s.Tombstone || s.Value != nil):
		return fmt.Errorf("object: sibling %v has no value to keep apart, or has it here too", s.Dot)
	case !s.Apart && s.ValueSize != len(s.Value):
		return fmt.Errorf("object: sibling %v of %d bytes says that it has %d", s.Dot, len(s.Value), s.ValueSize)
	case s.ValueSize < 0 || s.ValueSize > valueSizeMax:
		return fmt.Errorf("object: sibling %v of %d bytes", s.Dot, s.ValueSize)
	case s.Tombstone && len(s.Value) > 0:
		return fmt.Errorf("object: tombstone %v has a value", s.Dot)
	case s.Expiry < 0:
		return fmt.Errorf("object: sibling %v expires at %d", s.Dot, s.Expiry)
	}
	for i := 1; i < len(s.Meta); i++ {
		if s.Meta[i-1].Key >= s.Meta[i].Key {
			return fmt.Errorf("object: metadata of %v out of order", s.Dot)
		}
	}
	return nil
}
