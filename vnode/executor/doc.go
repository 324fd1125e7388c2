// Package executor drives the step machines of package vnode with goroutines: a
// few per core, each with a bounded mailbox and a share of the partitions, over
// one storage engine.
package executor
