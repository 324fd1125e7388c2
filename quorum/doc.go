// Package quorum decides, for one request at a time, which owners are asked,
// how many answers are enough, what they add up to, and what is repaired.
//
// Every request is a step machine ([Op]): Step(now, event) returns what to send,
// when to call again, and the answer to the client. It keeps no clock, sends
// nothing itself, and knows of the cluster only the [View] that it was given.
// internal/member drives the machines with goroutines and the peer transport,
// internal/sim in one thread.
package quorum
