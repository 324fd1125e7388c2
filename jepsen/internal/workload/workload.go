// Package workload holds what clients do to a cluster while it is being broken,
// and the checkers that judge what they saw.
package workload

import (
	"context"

	"github.com/ringd/ringd/jepsen/internal/history"
)

// Workload is one kind of work and the property that holds of it. Its methods
// may run at the same time, one Run per client.
type Workload interface {
	Name() string
	// Property is what Check holds the history to, in a sentence.
	Property() string
	// Setup makes what the clients need, such as bucket types, before anything
	// is broken.
	Setup(ctx context.Context, s *Session) error
	// Run works as one client until ctx ends. Failed operations are not its
	// failure: they are in the history.
	Run(ctx context.Context, s *Session)
	// Final looks at what is there in the end, once everything is healed.
	Final(ctx context.Context, s *Session) error
	// Check returns what breaks the property. It is a function of the history alone.
	Check(h history.History) []history.Anomaly
}

// All are the workloads, each time made anew: what one of them keeps is of one run.
func All() []Workload {
	return []Workload{
		&set{}, &register{}, &deletes{}, &sessions{}, &keyspace{}, &replicas{}, &rings{}, &cart{}, &hot{},
		&topology{},
	}
}
