package api

import (
	"context"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/quorum"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// Backend is the member behind the services. Errors are of *replica.Error.
type Backend interface {
	// State is the agreed state as this member knows it.
	State() *cluster.State
	// ContextKey seals and opens contexts.
	ContextKey() causal.ContextKey

	Get(ctx context.Context, g replica.Get) (quorum.Result, error)
	Write(ctx context.Context, w replica.Write) (quorum.Result, error)
	// List reads a page of names of one partition.
	List(ctx context.Context, p ring.PartitionID, ask replica.List, o replica.Options) (quorum.List, error)
}
