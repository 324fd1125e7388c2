package api

import (
	"context"
	"time"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/quorum"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// Backend is the member behind the services. Errors are of *replica.Error.
type Backend interface {
	// State is the agreed state as this member knows it, nil before it joined.
	State() *cluster.State
	// ContextKey seals and opens contexts.
	ContextKey() causal.ContextKey

	// BucketType is the properties of a type, asked for afresh if this member has
	// not heard of it.
	BucketType(ctx context.Context, name string) (replica.BucketType, error)

	Get(ctx context.Context, g replica.Get) (quorum.Result, error)
	Write(ctx context.Context, w replica.Write) (quorum.Result, error)
	// List reads a page of names of one partition.
	List(ctx context.Context, p ring.PartitionID, ask replica.List, o replica.Options) (quorum.List, error)
	// Inspect reads a key from each of its owners by itself.
	Inspect(ctx context.Context, k replica.Key) ([]Copy, error)

	Self() Self
	// Liveness of the members that gossip sees.
	Liveness() map[ring.MemberID]cluster.Liveness
	// Roles of members in the log: leader, voter or nonvoter.
	Roles() map[ring.MemberID]string
	// Plan is what a commit would do, and the state that it starts from.
	Plan() (*cluster.State, ring.Placement, error)
	// Commit carries out the plan, if ring and revision of the state are still those
	// that it was seen at, and reports whether that changed anything.
	// AcceptDataLoss allows rebuilds that may miss acknowledged writes.
	Commit(ctx context.Context, epoch ring.Epoch, revision uint64, acceptDataLoss bool) (bool, error)
	// Apply has a command agreed on.
	Apply(ctx context.Context, c cluster.Command) error
	// Change has agreed on what change makes of the state that the leader has. It is
	// asked again as long as another change comes between; an empty command is none.
	Change(ctx context.Context, change func(*cluster.State) (cluster.Command, error)) error

	// Repair runs the comparisons of owners that this member begins, and returns
	// once all have ended, or with ctx. One that fails is counted and is no error
	// of the whole.
	//
	// Report, here and below, is called by one goroutine at a time, with the first
	// totals, now and then, and with the last; it waits for a slow caller.
	Repair(ctx context.Context, what RepairScope, report func(RepairProgress)) error
	// Transfers of this member.
	Transfers() Transfers
	// Verify compares what all owners have, key by key; list has it report the
	// differences. An owner that can't be asked is reported and is no error of the
	// whole.
	Verify(ctx context.Context, what RepairScope, list bool, report func(VerifyProgress)) error
	// CheckTrees holds this member's hash trees against its data, and sets right
	// what is wrong; of one partition, if p is not nil.
	CheckTrees(ctx context.Context, p *ring.PartitionID, report func(TreeProgress)) error
	Disk() Disk

	// Recover begins a new recovery generation at this member, as cluster.Node.Recover.
	Recover(ctx context.Context, acceptDataLoss bool) (cluster.Recovered, error)
	// Salvage has the owners merge what a data directory on this host holds, of a
	// member that was removed. What could not be merged is reported and is no error
	// of the whole.
	Salvage(ctx context.Context, directory string, report func(SalvageProgress)) error
}

// stateOf returns the agreed state, or why there is none. A member takes
// connections before it has joined.
func stateOf(b Backend) (*cluster.State, error) {
	if state := b.State(); state != nil {
		return state, nil
	}
	return nil, replica.Errorf(replica.KindUnavailable, "the member belongs to no cluster yet: it is joining")
}

// Copy is what one owner has of a key. Err says why nothing is known.
type Copy struct {
	Owner  ring.MemberID
	Object causal.Object
	Bytes  int // of the object's encoding
	Err    error
}

// Self is what a member knows of itself.
type Self struct {
	ID             ring.MemberID
	Uptime         time.Duration
	StartCommitted bool
	Serving        bool
}
