package vnode

import (
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
)

// BatchID numbers the batches of one executor in the order in which they are
// applied, from 1.
type BatchID uint64

// Event is one of Request, Synced, Installed, Room and Stop.
type Event interface{ event() }

// Request is a message for a vnode. It is answered once, or twice for
// replica.Coordinate, with Reply handed back as it is.
type Request struct {
	Envelope replica.Envelope
	Reply    any
}

// Synced reports the fate of a batch and of all before it: durable, or unknown
// if Err is not nil.
type Synced struct {
	Batch BatchID
	Err   error
}

// Installed tells of a newer agreed state: the ring, Moves, Leaving, Types and
// HintBytesMax as in Config. They come in the order of their states.
type Installed struct {
	Ring         *ring.Ring
	Moves        map[ring.PartitionID]replica.Move
	Leaving      bool
	Types        map[string]int
	HintBytesMax int64
}

// Room tells how much of the disk is left.
type Room struct{ Level RoomLevel }

// RoomLevel says what may still be written.
type RoomLevel uint8

// The levels of room.
const (
	// RoomEnough: everything.
	RoomEnough RoomLevel = iota
	// RoomReserve: deletes, and what gives up data.
	RoomReserve
	// RoomNone: only what gives up data.
	RoomNone
)

// Stop ends the executor: its last batch marks the vnodes as cleanly stopped.
// Requests after it are refused.
type Stop struct{}

func (Request) event()   {}
func (Synced) event()    {}
func (Installed) event() {}
func (Room) event()      {}
func (Stop) event()      {}

// Answer is what a request gets.
type Answer struct {
	Reply    any
	Envelope replica.Envelope
}

// Effects is what the caller of Step has to do.
type Effects struct {
	// Batch to apply and to sync, under ID; nil if there is none. It is the
	// caller's until it reports Synced.
	Batch *storage.Batch
	ID    BatchID
	// Answers to deliver now, before or after the batch is applied.
	Answers []Answer
	// Behind, if not zero, is a member whose ring is newer than this one's:
	// fetch it and send Installed.
	Behind ring.MemberID
	// Notices of what an operator may want to know.
	Notices []Notice
}

// NoticeKind says what a Notice tells of.
type NoticeKind uint8

// The kinds of notice.
const (
	// NoticeNewActor: the vnode begins a new life of its counter.
	NoticeNewActor NoticeKind = iota
	// NoticeOwnDots: dots of this vnode's actor came in that it never gave. Its
	// data went back in time without that being found out at the start.
	NoticeOwnDots
	// NoticeCommitFailed: a batch's fate is unknown; the executor serves no more.
	NoticeCommitFailed
	// NoticeReadFailed: the disk or a record is bad.
	NoticeReadFailed
	// NoticeSkew: a timestamp further ahead than the bound was not taken over.
	NoticeSkew
	// NoticeDamaged: the record of Key is corrupt. It answers nothing until a
	// replica.Restore replaces it by what the other owners have.
	NoticeDamaged
	// NoticeVnodeFailed and NoticeVnodeServes: the disk returned an error for the
	// vnode, and it refuses all requests; it is tried again.
	NoticeVnodeFailed
	NoticeVnodeServes
	// NoticeHintStored; NoticeHintRefused: there is no room for more; and
	// NoticeHintDropped: it was corrupt, and its owner has to get it otherwise.
	NoticeHintStored
	NoticeHintRefused
	NoticeHintDropped
	// NoticeWhole: the vnode, which had lost data, has all of it again.
	NoticeWhole
	// NoticeDropped: the vnode, which owns nothing any more, gave up its data.
	NoticeDropped
)

// Notice is an observation; it asks for nothing.
type Notice struct {
	Kind      NoticeKind
	Partition ring.PartitionID
	Key       replica.Key // NoticeDamaged
	Detail    string
}
