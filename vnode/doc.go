// Package vnode decides what the vnodes of one member do: which dot a write
// gets, what is merged, what is answered and when.
//
// An [Executor] is a step machine over a share of the member's partitions:
// Step(now, events, view) returns a batch to commit and the answers that need
// not wait for it. It does no I/O but reads through the view, starts no
// goroutine, and takes time and randomness as arguments. What the partitions
// store is up to a [Handler]; [KV] is the one for objects.
//
// The caller owes, for every Effects: apply the batch before the next Step,
// report its fate once, as [Synced], in the order of the batches, and deliver
// the answers. Package vnode/executor does so with goroutines, internal/sim in
// one thread.
package vnode
