// Package ring says which members own which partition of the key space.
//
// Everything here is a pure value: no I/O, no clock, no goroutine, no log and no
// global randomness, so that a preference list or a placement plan can be
// computed, compared and tested anywhere. The caller keeps the current [Ring]
// and passes it in.
package ring
