package member

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/handoff"
	"github.com/ringd/ringd/internal/clock"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/vnode"
)

// giveBackRetry is how long a partition is left alone of which something could not be
// given back: all of it is read again.
const giveBackRetry = 30 * time.Second

// handback is how far this member has come in giving back what it holds of a
// partition, a slot of which a recovery took from it.
type handback struct {
	// lives are of the owners that have merged all of it, in that life.
	lives   map[ring.MemberID]uint64
	retryAt time.Time
}

// heldAsOwner says that what is left at this member's vnode may have been acknowledged
// by it alone: no move that counts has brought it to another owner.
func heldAsOwner(state *cluster.State, left replica.LeftoversAnswer) bool {
	return state.Recovery != nil && left.Owned && (left.Fence == 0 || state.IsOfEarlierLog(left.Fence))
}

// giveBack has each owner of p merge what this member holds of its keys, and reports
// whether all have, in the lives that they are in. Owners that are down, or have not
// taken their slot over yet, are given it later.
func (m *mover) giveBack(ctx context.Context, r *ring.Ring, p ring.PartitionID) bool {
	h := m.handbacks[p]
	if h == nil {
		h = &handback{lives: make(map[ring.MemberID]uint64)}
		m.handbacks[p] = h
	}
	if clock.Now().Before(h.retryAt) {
		return false
	}
	all := true
	for slot, owner := range r.Owners(p) {
		a, ok := m.ask(ctx, owner, p, replica.Capture{Look: true}).(replica.CaptureAnswer)
		if ok && h.lives[owner] == a.Life {
			continue
		}
		if !ok {
			all = false
			continue
		}
		changed, err := m.giveOwner(ctx, p, slot, owner)
		if changed > 0 {
			m.log.Info("an owner got back what was in a slot that a recovery took from this member", "partition", p, "owner", owner, "objects", changed)
		}
		if err != nil {
			m.log.Warn("what is in a slot that a recovery took from this member could not be given back yet", "partition", p, "owner", owner, "error", err)
			h.retryAt, all = clock.Now().Add(giveBackRetry), false
			continue
		}
		h.lives[owner] = a.Life
	}
	return all
}

// giveOwner has the owner of a slot merge the objects of the bucket types whose n
// reaches it, as salvage does. Damaged ones are given up. It returns how many told the
// owner something.
func (m *mover) giveOwner(ctx context.Context, p ring.PartitionID, slot int, owner ring.MemberID) (changed int, err error) {
	damaged, unknown := 0, ""
	types := m.coord.node.State().BucketTypes
	owned := func(f vnode.Found) bool {
		t, known := types[f.Item.Key.Type]
		switch {
		case f.Err != nil:
			damaged++
		case !known:
			unknown = f.Item.Key.Type
		default:
			return t.N > slot
		}
		return false
	}
	scanErr := pages(ctx, m.store, p, 0, owned, func(items []replica.Item) bool {
		op := handoff.NewSalvage(p, slot, m.coord.self, owner, items, m.repair.transfers)
		if e := m.repair.transfers.run(ctx, p, op); e != nil {
			err = e
		}
		changed += op.Changed()
		return err == nil
	})
	if damaged > 0 {
		m.log.Warn("objects of a slot that a recovery took from this member are damaged, and can't be given back", "partition", p, "objects", damaged)
	}
	if unknown != "" && err == nil {
		err = fmt.Errorf("there is no bucket type %q any more: create it again with its n", unknown)
	}
	return changed, errors.Join(err, scanErr, ctx.Err())
}
