package client

import (
	"crypto/rand"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

// Count is how many owners a request waits for: a number, or [Quorum], [All]
// or [None].
type Count int32

// The counts that depend on the bucket type's n. Quorum is n/2+1.
const (
	Quorum Count = -1
	All    Count = -2
	None   Count = -3 // for PR, PW and DW
)

// ParseCount reads a number, one, quorum, all or none. The error is
// [ErrInvalid].
func ParseCount(s string) (Count, error) {
	switch strings.ToLower(s) {
	case "one":
		return 1, nil
	case "quorum":
		return Quorum, nil
	case "all":
		return All, nil
	case "none":
		return None, nil
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, invalid("count", fmt.Sprintf("%q: use a number, one, quorum, all or none", s))
	}
	return Count(n), nil
}

// String returns the count as [ParseCount] reads it.
func (c Count) String() string {
	switch c {
	case Quorum:
		return "quorum"
	case All:
		return "all"
	case None:
		return "none"
	}
	return strconv.Itoa(int(c))
}

func (c Count) message() *ringdv1.Count {
	symbol := func(s ringdv1.Count_Symbol) *ringdv1.Count {
		return &ringdv1.Count{Count: &ringdv1.Count_Symbol_{Symbol: s}}
	}
	switch {
	case c == Quorum:
		return symbol(ringdv1.Count_QUORUM)
	case c == All:
		return symbol(ringdv1.Count_ALL)
	case c == None:
		return symbol(ringdv1.Count_NONE)
	case c < 0:
		// No count at all: the member refuses it and says where it stood.
		return &ringdv1.Count{Count: &ringdv1.Count_Number{Number: 1<<32 - 1}}
	}
	return &ringdv1.Count{Count: &ringdv1.Count_Number{Number: uint32(c)}}
}

// GetOption is an option of reads.
type GetOption interface{ applyGet(*getOp) }

// PutOption is an option of puts.
type PutOption interface{ applyPut(*putOp) }

// DeleteOption is an option of deletes.
type DeleteOption interface{ applyDelete(*deleteOp) }

// ListOption is an option of listings.
type ListOption interface{ applyList(*listOp) }

// WriteOption is an option of puts and deletes.
type WriteOption func(*writeSettings)

// ReadOption is an option of reads and listings.
type ReadOption func(*readSettings)

// SloppyOption is an option of reads and writes; see [Sloppy].
type SloppyOption bool

type (
	getOption    func(*getOp)
	putOption    func(*putOp)
	listOption   func(*listOp)
	readSettings struct {
		r *ringdv1.Count
	}
	writeSettings struct {
		w, pw, dw *ringdv1.Count
		sloppy    *bool
		context   Context
		ifMatch   bool
		id        RequestID
	}
)

func (o WriteOption) applyPut(p *putOp)       { o(&p.settings) }
func (o WriteOption) applyDelete(d *deleteOp) { o(&d.settings) }
func (o ReadOption) applyGet(g *getOp)        { o(&g.settings) }
func (o ReadOption) applyList(l *listOp)      { o(&l.settings) }
func (o getOption) applyGet(g *getOp)         { o(g) }
func (o putOption) applyPut(p *putOp)         { o(p) }
func (o listOption) applyList(l *listOp)      { o(l) }

func (o SloppyOption) applyGet(g *getOp)       { g.sloppy = (*bool)(&o) }
func (o SloppyOption) applyPut(p *putOp)       { p.settings.sloppy = (*bool)(&o) }
func (o SloppyOption) applyDelete(d *deleteOp) { d.settings.sloppy = (*bool)(&o) }

// R is how many owners a read hears.
func R(n Count) ReadOption { return func(s *readSettings) { s.r = n.message() } }

// PR is how many of those are primaries.
func PR(n Count) GetOption { return getOption(func(g *getOp) { g.pr = n.message() }) }

// RepairBlocking has W owners hold what is answered before it is answered.
func RepairBlocking(on bool) GetOption { return getOption(func(g *getOp) { g.repairBlocking = &on }) }

// Head leaves out the values: Sibling.Size says how large they are.
func Head() GetOption { return getOption(func(g *getOp) { g.headOnly = true }) }

// W is how many owners acknowledge a write.
func W(n Count) WriteOption { return func(s *writeSettings) { s.w = n.message() } }

// PW is how many of those are primaries.
func PW(n Count) WriteOption { return func(s *writeSettings) { s.pw = n.message() } }

// DW is how many of those have synced the write to disk.
func DW(n Count) WriteOption { return func(s *writeSettings) { s.dw = n.message() } }

// Sloppy on lets fewer owners, or members that are none, take the place of
// those that can't be reached; off refuses the request then.
func Sloppy(on bool) SloppyOption { return SloppyOption(on) }

// Replaces has the write replace what was read with context c. Without it a
// value joins what is there as a sibling.
func Replaces(c Context) WriteOption { return func(s *writeSettings) { s.context = c } }

// IfMatch is [Replaces], and refuses the write with [ErrPrecondition] if the
// key has anything that c does not cover.
func IfMatch(c Context) WriteOption {
	return func(s *writeSettings) { s.context, s.ifMatch = c, true }
}

// IfAbsent refuses a put with [ErrPrecondition] if the key has a value.
func IfAbsent() PutOption { return putOption(func(p *putOp) { p.ifAbsent = true }) }

// WithTTL has a value expire that long after a member takes the put; 0 leaves it
// to the bucket type. Of several WithTTL and [WithExpiry] the last counts.
func WithTTL(d time.Duration) PutOption {
	return putOption(func(p *putOp) { p.ttl, p.expiry = durationpb.New(d), nil })
}

// WithExpiry has a value expire at t, by the members' clocks and in whole
// milliseconds, whatever the bucket type says; the zero time is never. A t in the
// past is no error: nobody sees the value.
func WithExpiry(t time.Time) PutOption {
	var at int64
	if !t.IsZero() {
		at = t.UnixMilli()
	}
	return putOption(func(p *putOp) { p.ttl, p.expiry = nil, &at })
}

// ContentType of the value, a MIME type; not interpreted.
func ContentType(mime string) PutOption { return putOption(func(p *putOp) { p.contentType = mime }) }

// Metadata of the value, not interpreted.
func Metadata(m map[string]string) PutOption {
	return putOption(func(p *putOp) { p.metadata = maps.Clone(m) })
}

// ReturnBody has a put answer the siblings as they are after it.
func ReturnBody() PutOption {
	return putOption(func(p *putOp) { p.answer = ringdv1.PutRequest_RETURN_BODY })
}

// ReturnHead is [ReturnBody] without the values.
func ReturnHead() PutOption {
	return putOption(func(p *putOp) { p.answer = ringdv1.PutRequest_RETURN_HEAD })
}

// WithRequestID sends a write under an id of the caller's, to repeat one whose
// outcome is unknown. Without it each write draws its own.
func WithRequestID(id RequestID) WriteOption { return func(s *writeSettings) { s.id = id } }

// After goes on with a listing behind cursor.
func After(cursor Cursor) ListOption { return listOption(func(l *listOp) { l.cursor = cursor }) }

// RequestID names one write over all its attempts, so that it is applied once.
// The zero RequestID is none.
type RequestID [16]byte

// NewRequestID draws an id.
func NewRequestID() (id RequestID) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}

// String returns the id in hex.
func (id RequestID) String() string { return fmt.Sprintf("%x", id[:]) }
