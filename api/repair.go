package api

import (
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// RepairScope says what is repaired or compared.
type RepairScope struct {
	// BucketType, if set, is the only one.
	BucketType string
	// Partition, if not nil, is the only one.
	Partition *ring.PartitionID
}

// RepairProgress counts since the repair began. Sessions are comparisons of one
// partition between two owners.
type RepairProgress struct {
	SessionsTotal int
	// SessionsDone came to their end, SessionsFailed did not.
	SessionsDone, SessionsFailed int
	KeysDiffered                 int
	// ObjectsSent both ways, and their bytes.
	ObjectsSent int
	BytesSent   int64
	// BytesRead of sums, entries and heads that were compared.
	BytesRead int64
	// LastError is why a session failed; nil if none did.
	LastError error
}

// Transfers are what a member sends, and what it counted since it started.
type Transfers struct {
	Running     []Transfer
	Hints       HintTotals
	AntiEntropy AntiEntropyTotals
	Reaping     ReapTotals
}

// Transfer is one that is under way.
type Transfer struct {
	Kind      string // "hints", "anti-entropy" and the like
	Partition ring.PartitionID
	Slot      int // of hints
	From, To  ring.MemberID
	// Done of Total objects; Total is 0 while it is not known. Bytes are those of
	// the objects done.
	Done, Total int
	Bytes       int64
	Elapsed     time.Duration // since it began
}

// HintTotals are those of the hints that a member took for others. Kept and
// KeptBytes are of now.
type HintTotals struct {
	Kept      int
	KeptBytes int64
	Stored    int64
	// Delivered: their owners have them durably.
	Delivered int64
	// Dropped without having been delivered.
	Dropped int64
	// Refused because hint_bytes_max was reached.
	Refused int64
}

// AntiEntropyTotals are those of the comparisons that a member began.
type AntiEntropyTotals struct {
	Sessions, SessionsFailed int64
	ObjectsSent              int64
	BytesSent, BytesRead     int64
	KeysDiffered             int64
	// Oldest is how long ago the partition was compared that waits longest.
	Oldest time.Duration
}

// ReapTotals are those of deletions. Kept and Stuck are of now.
type ReapTotals struct {
	Reaped int64
	// Kept because an owner is not known to have seen them.
	Kept int
	// Stuck name writes of a dead actor that no owner has seen.
	Stuck int
}

// VerifyProgress counts since the comparison began. Differences and Unreachable
// are those found since the report before.
type VerifyProgress struct {
	PartitionsTotal, PartitionsDone int
	KeysCompared, KeysDiffer        int
	Differences                     []Difference
	// Unreachable says which partition and owner could not be asked, and why.
	Unreachable []string
}

// Difference is a key that its owners don't agree on.
type Difference struct {
	Key       replica.Key
	Partition ring.PartitionID
	Copies    []DifferenceCopy // by slot
}

// DifferenceCopy is what one owner has of the key.
type DifferenceCopy struct {
	Owner ring.MemberID
	// Corrupt: the record fails its checksum; Object is empty then.
	Corrupt bool
	// Object may lack its values. An empty one: the owner has nothing.
	Object causal.Object
}

// TreeProgress counts since the check began. Wrong and Failed are those found
// since the report before.
type TreeProgress struct {
	PartitionsTotal, PartitionsDone int
	KeysChecked                     int
	// EntriesWrong did not stand for what the data says, SumsWrong not for their
	// entries.
	EntriesWrong, SumsWrong int
	// Wrong are keys of entries that were wrong.
	Wrong []replica.Key
	// Failed says which partition could not be checked, and why.
	Failed []string
}

// Disk is the one below a member's data directory.
type Disk struct {
	FreeBytes, ReserveBytes int64
	// Full: less than the reserve is free, so that writes are refused.
	Full bool
	// StoreBytes are taken by what the member stores.
	StoreBytes int64
	// FailedVnodes don't serve because the disk returned errors.
	FailedVnodes int
}
