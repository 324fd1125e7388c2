package member

import (
	"context"
	"time"

	"github.com/ringd/ringd/cluster"
)

// recoverWithin bounds a recovery: listening for a leader, asking all members, and an
// election in the new log.
const recoverWithin = 40 * time.Second

// Recover implements api.Backend.
func (m *Member) Recover(ctx context.Context, acceptDataLoss bool) (cluster.Recovered, error) {
	if !m.serving.Load() {
		return cluster.Recovered{}, errNotServing
	}
	ctx, cancel := context.WithTimeout(ctx, recoverWithin)
	defer cancel()
	return m.node.Recover(ctx, acceptDataLoss)
}
