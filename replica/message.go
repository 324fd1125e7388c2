package replica

import (
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/ring"
)

// Key names an object. Its partition follows from it and the ring.
type Key struct {
	Type   string // bucket type
	Bucket string // any bytes
	Key    string // any bytes
}

// Envelope carries one message from member to member, or within one.
type Envelope struct {
	// ID is the sender's own number for the request; an answer repeats it.
	ID        uint64
	From      ring.MemberID
	To        ring.MemberID
	Epoch     ring.Epoch // of the sender's ring
	Partition ring.PartitionID
	// Deadline is by the clock of whoever holds the envelope: the wire carries
	// the time that remains. The zero time is none.
	Deadline time.Time
	// Fallback: the receiver is asked as a fallback, for its hints, and not as an
	// owner.
	Fallback bool
	Message  Message
}

// Message is one of the types below.
type Message interface{ message() }

// Read asks a vnode for an object: the whole of it, or only its ReadAnswer
// without Object.
type Read struct {
	Key  Key
	Full bool
}

// ReadAnswer is what a vnode has durably stored of a key, or a fallback of its
// hints. A key never written has no context.
type ReadAnswer struct {
	Object  []byte // causal encoding, values inline; nil unless Full was asked and Context is not empty
	Context causal.Vector
	Digest  uint64 // causal.Object.Digest
	// Seen of the vnode, taken in one step with the record: the record, or its
	// absence, counts as if Context included it. A fallback has none.
	Seen causal.Vector
}

// Store asks a vnode to merge an object, encoded with its values inline; a
// fallback, to keep it as a hint.
type Store struct {
	Key    Key
	Object []byte
	// Slot that a hint is for, from 0.
	Slot int
}

// StoreAnswer says that what was stored is covered. Durable: by a sync.
type StoreAnswer struct {
	Durable bool
	// Changed is false if the vnode had all of it already.
	Changed bool
}

// Coordinate asks the coordinator's own vnode to give a write its dot. It is
// answered twice: Prepared before the commit is durable, Committed after.
type Coordinate struct {
	Write Write
	// Expect, if Conditional, is all that the condition was checked against: a
	// vnode that has merged more refuses the write as aborted.
	Conditional   bool
	Expect        causal.Vector
	LastWriteWins bool
	// SiblingsMax and ObjectBytesMax (of all values together) bind this write;
	// zero is no limit.
	SiblingsMax, ObjectBytesMax int
	// Slots is the bucket type's n: a fallback that coordinates keeps a hint for
	// each. Everywhere: n is all.
	Slots      int
	Everywhere bool
}

// Prepared carries the object after the write, encoded with values inline, for
// the other owners. Not yet durable here. Dot is the write's.
type Prepared struct {
	Object []byte
	Dot    causal.Dot
}

// Committed says that the object is durable at the coordinator.
type Committed struct{}

// Write is a client's put or delete.
type Write struct {
	Key         Key
	Delete      bool
	Context     causal.Context
	Value       []byte
	ContentType string
	Meta        []causal.Meta
	Request     causal.RequestID
	// Expiry of the value in Unix milliseconds; 0 is never.
	Expiry int64
	// IfAbsent refuses the write if the key has a value, IfMatch if the key has
	// siblings that Context does not cover, or none that it does.
	IfAbsent, IfMatch bool
	Options           Options
	Return            Return
}

// Forward asks an owner to coordinate a write for a member that is none.
type Forward struct {
	Write Write
}

// ForwardAnswer is the outcome of a forwarded write: of the object, as Return
// asked, and its context.
type ForwardAnswer struct {
	Result WriteResult
}

// WriteResult is the outcome of a write that was acknowledged.
type WriteResult struct {
	Context causal.Context
	Object  causal.Object // as Return asked; values empty for ReturnHead
}

// Get is a client's read.
type Get struct {
	Key     Key
	Options Options
}

// List asks a vnode for the keys of a bucket in its partition, or for the
// buckets of a type, in order, after the cursor.
type List struct {
	Type    string
	Bucket  string
	Buckets bool // list buckets instead of keys
	After   string
	Started bool // After is meant, even if empty
	Limit   int
}

// ListAnswer has up to Limit names in byte order; Done: there are no more.
type ListAnswer struct {
	Entries []ListEntry
	Done    bool
}

// ListEntry is a key or bucket. Live: it has, or for a bucket holds, a value
// that is no tombstone.
type ListEntry struct {
	Name string
	Live bool
	// Context and Digest tell which replica knows more, for keys only.
	Context causal.Vector
}

// Failure answers any request that could not be done. State carries the newer
// agreed state for KindStaleRing.
type Failure struct {
	Err   *Error
	State []byte
}

func (Read) message()          {}
func (ReadAnswer) message()    {}
func (Store) message()         {}
func (StoreAnswer) message()   {}
func (Coordinate) message()    {}
func (Prepared) message()      {}
func (Committed) message()     {}
func (Forward) message()       {}
func (ForwardAnswer) message() {}
func (List) message()          {}
func (ListAnswer) message()    {}
func (Failure) message()       {}
