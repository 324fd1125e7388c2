package workload

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/jepsen/internal/history"
)

// ringKeys are written meanwhile: a run without a write is inconclusive.
const ringKeys = 50

// rings has clients look at the ring that each member has.
type rings struct{ next atomic.Int64 }

func (*rings) Name() string { return "ring" }

func (*rings) Property() string {
	return "one ring per epoch, with as many distinct owners per partition as there are replicas; a member never goes back to an earlier one"
}

func (*rings) Setup(context.Context, *Session) error { return nil }

func ringKey(i int) string { return fmt.Sprintf("ring-%d", i) }

func (w *rings) Run(ctx context.Context, s *Session) {
	for ctx.Err() == nil {
		if s.Rand.IntN(4) == 0 {
			overwrite(ctx, s, &w.next, ringKey(s.Rand.IntN(ringKeys)))
			continue
		}
		lookAtRing(ctx, s, s.any(), false)
	}
}

func (w *rings) Final(ctx context.Context, s *Session) (err error) {
	for _, m := range s.Members() {
		err = errors.Join(err, until(ctx, func() history.Op { return lookAtRing(ctx, s, m, true) }))
	}
	var keys []string
	for i := range ringKeys {
		keys = append(keys, ringKey(i))
	}
	return errors.Join(err, s.getAll(ctx, strictRead, keys))
}

// kindRing is of operations whose one value is a ringSeen, as JSON.
const kindRing = "ring"

// ringSeen is the ring that a member shows.
type ringSeen struct {
	// Life is one process of one member.
	Life               string
	Generation, Number uint64 // the epoch
	Owners             string // a digest of who owns which slot
	Wrong              string // what is wrong with it, in words; empty if nothing
}

// lookAtRing asks a member for its ring, and has no answer if its process was
// another before and after.
func lookAtRing(ctx context.Context, s *Session, m Member, final bool) history.Op {
	return s.Do(ctx, m, history.Op{Kind: kindRing, Final: final}, func(ctx context.Context, op *history.Op) error {
		before, err := m.Admin.Status(ctx, &ringdv1.StatusRequest{})
		if err != nil {
			return err
		}
		ring, err := m.Admin.Ring(ctx, &ringdv1.RingRequest{})
		if err != nil {
			return err
		}
		after, err := m.Admin.Status(ctx, &ringdv1.StatusRequest{})
		if err != nil {
			return err
		}
		seen := seenOf(ring)
		if seen.Life = lifeOf(before); seen.Life != lifeOf(after) {
			return fmt.Errorf("it was started again meanwhile: %s, then %s", seen.Life, lifeOf(after))
		}
		raw, err := json.Marshal(seen)
		op.Values = []string{string(raw)}
		return err
	})
}

func lifeOf(r *ringdv1.StatusResponse) string {
	return fmt.Sprintf("%s %d", r.Self.GetId(), r.Self.GetStartCount())
}

func seenOf(r *ringdv1.RingResponse) ringSeen {
	seen := ringSeen{Generation: r.Epoch.GetGeneration(), Number: r.Epoch.GetNumber()}
	digest := sha256.New()
	for _, row := range r.Rows {
		var ids []string
		for _, i := range row.Owners {
			if int(i) >= len(r.Members) {
				seen.Wrong = fmt.Sprintf("partition %d is owned by member %d of %d", row.Id, i, len(r.Members))
				return seen
			}
			ids = append(ids, r.Members[i].Id)
		}
		fmt.Fprintln(digest, row.Id, ids)
		slices.Sort(ids)
		if distinct := slices.Compact(ids); len(distinct) != int(r.Replicas) {
			seen.Wrong = fmt.Sprintf("partition %d has the owners %v, of %d replicas", row.Id, distinct, r.Replicas)
		}
	}
	if len(r.Rows) != int(r.Partitions) {
		seen.Wrong = fmt.Sprintf("it has %d rows for %d partitions", len(r.Rows), r.Partitions)
	}
	seen.Owners = fmt.Sprintf("%x", digest.Sum(nil)[:8])
	return seen
}

// The properties of rings.
const (
	isOneRing = "one ring per epoch"
	isOnward  = "epochs only grow"
	isOwned   = "every partition has its owners"
)

func (*rings) Check(h history.History) []history.Anomaly {
	var looks, clients []history.Op
	for _, op := range h.Ops {
		if op.Kind == kindRing {
			looks = append(looks, op)
		} else {
			clients = append(clients, op)
		}
	}
	return slices.Concat(judgeRings(looks), judgeStrict(clients))
}

func judgeRings(ops []history.Op) (found []history.Anomaly) {
	type look struct {
		op   history.Op
		seen ringSeen
	}
	tell := func(property, text string, ids ...int) {
		found = append(found, history.Anomaly{Property: property, Ops: ids, Text: text})
	}
	type epoch struct{ generation, number uint64 }
	byEpoch, byLife := make(map[epoch]look), make(map[string][]look)
	for _, op := range ops {
		if op.Outcome != history.OK {
			continue
		}
		l := look{op: op}
		if err := json.Unmarshal([]byte(op.Values[0]), &l.seen); err != nil {
			tell(isOwned, "no ring: "+err.Error(), op.ID)
			continue
		}
		if l.seen.Wrong != "" {
			tell(isOwned, op.Member+": "+l.seen.Wrong, op.ID)
		}
		e := epoch{l.seen.Generation, l.seen.Number}
		if other, ok := byEpoch[e]; !ok {
			byEpoch[e] = l
		} else if other.seen.Owners != l.seen.Owners {
			tell(isOneRing, fmt.Sprintf("%s and %s have different rings of epoch %v", other.op.Member, op.Member, e), other.op.ID, op.ID)
		}
		byLife[l.seen.Life] = append(byLife[l.seen.Life], l)
	}
	for life, looks := range byLife {
		// Of those that had ended when this one began, the one with the newest ring.
		inOrderOfEnd := slices.Clone(looks)
		slices.SortFunc(inOrderOfEnd, func(a, b look) int { return int(a.op.End - b.op.End) })
		slices.SortFunc(looks, func(a, b look) int { return int(a.op.Begin - b.op.Begin) })
		var newest look
		ended := 0
		for _, l := range looks {
			for ; ended < len(inOrderOfEnd) && inOrderOfEnd[ended].op.End < l.op.Begin; ended++ {
				if e := inOrderOfEnd[ended]; before(newest.seen, e.seen) {
					newest = e
				}
			}
			if before(l.seen, newest.seen) {
				tell(isOnward, fmt.Sprintf("%s (%s) had epoch %d of generation %d, and later %d of %d", l.op.Member, life,
					newest.seen.Number, newest.seen.Generation, l.seen.Number, l.seen.Generation), newest.op.ID, l.op.ID)
			}
		}
	}
	return found
}

func before(a, b ringSeen) bool {
	return a.Generation < b.Generation || (a.Generation == b.Generation && a.Number < b.Number)
}
