package vnode

import (
	"time"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// Config is what an executor needs to know from the start.
type Config struct {
	Self ring.MemberID
	Ring *ring.Ring
	// Moves are those under way that are to be carried out now, by partition.
	Moves map[ring.PartitionID]replica.Move
	// Leaving: the member takes no more hints.
	Leaving bool
	// Types has the n of each bucket type that is known. A request that names
	// another waits, as one of a newer ring does. Not to be changed.
	Types map[string]int
	// The executor serves the partitions p with p mod Of == Index.
	Index, Of int
	// StartCount of this start of the member. Proven: it was committed to the
	// agreed state after this start began; without that no vnode goes on with
	// its former actor.
	StartCount uint64
	Proven     bool
	// Random draws actors.
	Random func() uint64
	// InlineBytes is the size up to which a value stands in its object's record.
	InlineBytes int
	// MaxSkew bounds how far ahead of this member's clock a timestamp may be to
	// be taken over.
	MaxSkew time.Duration
	// HeldMax bounds the requests that wait for a newer ring.
	HeldMax int
	// HintBytesMax bounds the hints that this executor keeps.
	HintBytesMax int64
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Of: 1,
		// Half a Pebble block pair: larger values would be read and rewritten
		// with every comparison of the record.
		InlineBytes: 4 << 10,
		// Clocks kept by NTP are within seconds of each other.
		MaxSkew: time.Minute,
		// One ring change's worth of requests in flight.
		HeldMax: 1024,
		// A share of what a member keeps by default.
		HintBytesMax: 1 << 30,
	}
}
