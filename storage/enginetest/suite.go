// Package enginetest holds the implementations of storage.Engine to the
// contract that package storage writes down.
package enginetest

import (
	"testing"

	"github.com/ringd/ringd/storage"
)

// Subject is one implementation, and what can be done to it from outside.
type Subject struct {
	// Open returns an empty engine, on a disk of its own.
	Open func(t *testing.T) storage.Engine
	// Reopen opens again what a closed engine left behind.
	Reopen func(t *testing.T, closed storage.Engine) storage.Engine
	// Crash loses power: it returns an engine opened on exactly what was synced.
	// The one that crashed is not used any more.
	Crash func(t *testing.T, e storage.Engine) storage.Engine
	// Checkpoint makes a checkpoint and opens it. Nil if there are none.
	Checkpoint func(t *testing.T, e storage.Engine) storage.Engine
}

// Run runs the suite.
func Run(t *testing.T, s Subject) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Subject)
	}{
		{"visible at once", testVisible},
		{"operations in order", testOrderInBatch},
		{"range deletes", testDeleteRange},
		{"an empty range deletes nothing", testEmptyRange},
		{"empty values", testEmptyValue},
		{"get copies", testGetCopies},
		{"batches are used again", testBatchReuse},
		{"scan in order", testScanOrder},
		{"scan stops", testScanStops},
		{"scan sees one state", testScanIsStable},
		{"scan without a range", testScanEmpty},
		{"snapshots don't change", testSnapshot},
		{"closed snapshots", testSnapshotClosed},
		{"random operations against a model", testModel},
		{"acknowledged is durable", testDurable},
		{"a wait covers the batches before", testWaitCoversEarlier},
		{"an empty batch waits for those before", testEmptyBatch},
		{"a commit is waited for many times", testWaitAgain},
		{"close and reopen", testReopen},
		{"after close", testClosed},
		{"close during a scan", testCloseDuringScan},
		{"concurrent use", testConcurrent},
		{"checkpoint", testCheckpoint},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, s) })
	}
}
