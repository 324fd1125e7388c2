// Package handoff decides what moves between vnodes: what one keeps for another
// (hints), and what two owners of a partition don't agree on (anti-entropy).
//
// Everything here is a step machine ([Op]): Step(now, event) returns what to
// send and when to call again. Objects always leave through a [Sender], which
// bounds what is under way, is throttled, and tells how far it is; they are
// merged by the vnode that gets them, by one rule (causal.Receive).
// internal/member drives the machines with goroutines and the peer transport.
package handoff
