package replica

import "github.com/ringd/ringd/ring"

// Event is what a step machine that talks to vnodes takes: one of Begin,
// Answer, Lost and Tick.
type Event interface{ event() }

// Begin starts the machine.
type Begin struct{}

// Answer is what a vnode said to the Send with the same Seq.
type Answer struct {
	Seq     uint32
	Message Message
}

// Lost says that no answer will come to a Send: it could not be sent, or the
// connection broke.
type Lost struct {
	Seq uint32
	// Sent is false if the message surely did not reach its vnode.
	Sent bool
}

// Tick is due at the time that the machine asked for. A later or an extra one
// does no harm.
type Tick struct {
	// MayHedge allows a read to ask one owner more than it needs.
	MayHedge bool
}

func (Begin) event()  {}
func (Answer) event() {}
func (Lost) event()   {}
func (Tick) event()   {}

// Send asks for a message to be sent to a vnode of the machine's partition, on
// another member or on this one. Every Send is answered by one Answer or one
// Lost, a Coordinate by one more Answer after Prepared.
type Send struct {
	Seq uint32
	To  ring.MemberID
	// Fallback as in Envelope.
	Fallback bool
	Message  Message
}
