package member

import (
	"context"

	"github.com/ringd/ringd/api"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

var errNoRepair = replica.Errorf(replica.KindUnavailable, "this member does not repair")

// Repair implements api.Backend.
func (m *Member) Repair(context.Context, api.RepairScope, func(api.RepairProgress)) error {
	return errNoRepair
}

// Transfers implements api.Backend.
func (m *Member) Transfers() api.Transfers { return api.Transfers{} }

// Verify implements api.Backend.
func (m *Member) Verify(context.Context, api.RepairScope, bool, func(api.VerifyProgress)) error {
	return errNoRepair
}

// CheckTrees implements api.Backend.
func (m *Member) CheckTrees(context.Context, *ring.PartitionID, func(api.TreeProgress)) error {
	return errNoRepair
}

// Disk implements api.Backend.
func (m *Member) Disk() api.Disk { return api.Disk{} }
