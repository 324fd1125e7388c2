package api

import (
	"context"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/ring"
)

// SalvageProgress counts since a salvage began.
type SalvageProgress struct {
	// Member whose data directory it is, by id and name.
	Member                          ring.MemberID
	Name                            string
	PartitionsTotal, PartitionsDone int
	// ObjectsRead, of their encoding BytesRead; hints count for each slot.
	ObjectsRead int
	BytesRead   int64
	// CopiesChanged counts, of each object, the owners that learned from it.
	CopiesChanged int
	// ObjectsHinted are now kept for owners that could not be reached; ObjectsLeft
	// lack with an owner, and are not kept for it.
	ObjectsHinted, ObjectsLeft int
	RecordsDamaged             int
	// PartitionsLeft are those of ObjectsLeft, and those that could not be read to
	// their end.
	PartitionsLeft []ring.PartitionID
	// LastError is why something is left or damaged; nil if nothing is.
	LastError error
}

// Recover implements ringdv1.AdminServer.
func (s *Admin) Recover(ctx context.Context, r *ringdv1.RecoverRequest) (*ringdv1.RecoverResponse, error) {
	if _, err := s.state(); err != nil {
		return nil, err
	}
	got, err := s.backend.Recover(ctx, r.AcceptDataLoss)
	if err != nil {
		return nil, statusOf(err)
	}
	out := &ringdv1.RecoverResponse{
		Epoch: epochTo(got.State.Ring.Epoch()), Member: nameOf(got.State, s.backend.Self().ID), MovesCancelled: uint32(got.Cancelled),
	}
	for _, id := range got.Reached {
		out.Reached = append(out.Reached, nameOf(got.State, id))
	}
	return out, nil
}

// Salvage implements ringdv1.AdminServer.
func (s *Admin) Salvage(r *ringdv1.SalvageRequest, stream ringdv1.Admin_SalvageServer) error {
	state, err := s.state()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	out := progress[ringdv1.SalvageProgress]{send: stream.Send, cancel: cancel}
	last := new(ringdv1.SalvageProgress)
	err = s.backend.Salvage(ctx, r.Directory, func(p SalvageProgress) {
		last = &ringdv1.SalvageProgress{
			Member: p.Name, MemberId: p.Member.String(), PartitionsTotal: uint32(p.PartitionsTotal), PartitionsDone: uint32(p.PartitionsDone),
			ObjectsRead: uint64(p.ObjectsRead), BytesRead: uint64(p.BytesRead), CopiesChanged: uint64(p.CopiesChanged),
			ObjectsHinted: uint64(p.ObjectsHinted), ObjectsLeft: uint64(p.ObjectsLeft), RecordsDamaged: uint64(p.RecordsDamaged),
		}
		for _, partition := range p.PartitionsLeft {
			last.PartitionsLeft = append(last.PartitionsLeft, uint32(partition))
		}
		if p.LastError != nil {
			last.LastError = named(state, p.LastError.Error())[0]
		}
		out.tell(last, false)
	})
	last.Done = true
	return out.end(last, err)
}
