package api

import (
	"context"
	"strings"
	"time"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/internal/clock"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

const (
	// progressEvery bounds how often mere numbers are sent: a person reads them.
	progressEvery = 100 * time.Millisecond
	// differencesAtOnce keep a message below what gRPC takes: each has a key and
	// a bucket, and a context per owner.
	differencesAtOnce = 100
	// wrongKeysMax bounds the keys that one check of trees names.
	wrongKeysMax = 100
)

// progress sends what a long call reports. The first message that can't be sent
// ends the call.
type progress[T any] struct {
	send   func(*T) error
	cancel context.CancelFunc
	last   time.Time
	err    error
}

// tell sends m if it is due, or has to be sent.
func (p *progress[T]) tell(m *T, must bool) {
	now := clock.Now()
	if p.err != nil || !must && now.Sub(p.last) < progressEvery {
		return
	}
	p.last = now
	if p.err = p.send(m); p.err != nil {
		p.cancel()
	}
}

// end returns the outcome of the call: the last message is sent if err is nil.
func (p *progress[T]) end(last *T, err error) error {
	if p.err != nil {
		return p.err
	}
	if err != nil {
		return statusOf(err)
	}
	return p.send(last)
}

func scopeFrom(bucketType *string, partition *uint32) RepairScope {
	var what RepairScope
	if bucketType != nil {
		what.BucketType = *bucketType
	}
	what.Partition = partitionFrom(partition)
	return what
}

func partitionFrom(partition *uint32) *ring.PartitionID {
	if partition == nil {
		return nil
	}
	p := ring.PartitionID(*partition)
	return &p
}

// Repair implements ringdv1.AdminServer.
func (s *Admin) Repair(r *ringdv1.RepairRequest, stream ringdv1.Admin_RepairServer) error {
	state, err := s.state()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	out := progress[ringdv1.RepairProgress]{send: stream.Send, cancel: cancel}
	last := new(ringdv1.RepairProgress)
	err = s.backend.Repair(ctx, scopeFrom(r.BucketType, r.Partition), func(p RepairProgress) {
		last = repairTo(state, p)
		out.tell(last, false)
	})
	last.Done = true
	return out.end(last, err)
}

func repairTo(state *cluster.State, p RepairProgress) *ringdv1.RepairProgress {
	out := &ringdv1.RepairProgress{
		SessionsTotal: uint64(p.SessionsTotal), SessionsDone: uint64(p.SessionsDone), SessionsFailed: uint64(p.SessionsFailed),
		KeysDiffered: uint64(p.KeysDiffered), ObjectsSent: uint64(p.ObjectsSent), BytesSent: uint64(p.BytesSent), BytesRead: uint64(p.BytesRead),
	}
	if p.LastError != nil {
		out.LastError = named(state, p.LastError.Error())[0]
	}
	return out
}

// Transfers implements ringdv1.AdminServer.
func (s *Admin) Transfers(context.Context, *ringdv1.TransfersRequest) (*ringdv1.TransfersResponse, error) {
	state, err := s.state()
	if err != nil {
		return nil, err
	}
	t := s.backend.Transfers()
	h, a := t.Hints, t.AntiEntropy
	out := &ringdv1.TransfersResponse{
		MemberId: s.backend.Self().ID.String(),
		Hints: &ringdv1.TransfersResponse_Hints{
			Kept: uint64(h.Kept), KeptBytes: uint64(h.KeptBytes), Stored: uint64(h.Stored), Delivered: uint64(h.Delivered),
			Dropped: uint64(h.Dropped), Refused: uint64(h.Refused),
		},
		AntiEntropy: &ringdv1.TransfersResponse_AntiEntropy{
			Sessions: uint64(a.Sessions), SessionsFailed: uint64(a.SessionsFailed), ObjectsSent: uint64(a.ObjectsSent),
			BytesSent: uint64(a.BytesSent), BytesRead: uint64(a.BytesRead), KeysDiffered: uint64(a.KeysDiffered),
			OldestSeconds: a.Oldest.Seconds(),
		},
		Reaping: &ringdv1.TransfersResponse_Reaping{
			Reaped: uint64(t.Reaping.Reaped), Kept: uint64(t.Reaping.Kept), Stuck: uint64(t.Reaping.Stuck),
		},
	}
	for _, r := range t.Running {
		out.Transfers = append(out.Transfers, transferTo(state, r))
	}
	return out, nil
}

func transferTo(state *cluster.State, t Transfer) *ringdv1.Transfer {
	out := &ringdv1.Transfer{
		Kind: t.Kind, Partition: uint32(t.Partition), Slot: uint32(t.Slot), From: nameOf(state, t.From), To: nameOf(state, t.To),
		ItemsDone: uint64(t.Done), ItemsTotal: uint64(t.Total), BytesDone: uint64(t.Bytes), Seconds: t.Elapsed.Seconds(),
	}
	if t.Elapsed > 0 {
		out.BytesPerSecond = float64(t.Bytes) / t.Elapsed.Seconds()
	}
	return out
}

// named returns texts with members' names where they have ids.
func named(state *cluster.State, texts ...string) []string {
	var pairs []string
	for id, m := range state.Members {
		pairs = append(pairs, id.String(), m.Name)
	}
	names := strings.NewReplacer(pairs...)
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = names.Replace(t)
	}
	return out
}

// nameOf returns a member's name, its id if it is not known, or nothing if there
// is none.
func nameOf(state *cluster.State, id ring.MemberID) string {
	if id.IsZero() {
		return ""
	}
	if m, ok := state.Members[id]; ok {
		return m.Name
	}
	return id.String()
}

// Verify implements ringdv1.AdminServer.
func (s *Admin) Verify(r *ringdv1.VerifyRequest, stream ringdv1.Admin_VerifyServer) error {
	state, err := s.state()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	out := progress[ringdv1.VerifyProgress]{send: stream.Send, cancel: cancel}
	var last VerifyProgress
	err = s.backend.Verify(ctx, scopeFrom(r.BucketType, r.Partition), r.List, func(p VerifyProgress) {
		last = p
		p.Unreachable = named(state, p.Unreachable...)
		for len(p.Differences) > differencesAtOnce {
			part := p
			part.Differences, part.Unreachable = p.Differences[:differencesAtOnce], nil
			out.tell(verifyTo(part), true)
			p.Differences = p.Differences[differencesAtOnce:]
		}
		out.tell(verifyTo(p), len(p.Differences) > 0 || len(p.Unreachable) > 0)
	})
	last.Differences, last.Unreachable = nil, nil // were sent
	end := verifyTo(last)
	end.Done = true
	return out.end(end, err)
}

func verifyTo(p VerifyProgress) *ringdv1.VerifyProgress {
	out := &ringdv1.VerifyProgress{
		PartitionsTotal: uint64(p.PartitionsTotal), PartitionsDone: uint64(p.PartitionsDone),
		KeysCompared: uint64(p.KeysCompared), KeysDiffer: uint64(p.KeysDiffer), Unreachable: p.Unreachable,
	}
	for _, d := range p.Differences {
		row := &ringdv1.Difference{Key: keyTo(d.Key), Partition: uint32(d.Partition)}
		for _, c := range d.Copies {
			row.Copies = append(row.Copies, differenceCopyTo(c))
		}
		out.Differences = append(out.Differences, row)
	}
	return out
}

func keyTo(k replica.Key) *ringdv1.Key {
	return &ringdv1.Key{BucketType: k.Type, Bucket: []byte(k.Bucket), Key: []byte(k.Key)}
}

func differenceCopyTo(c DifferenceCopy) *ringdv1.Difference_Copy {
	out := &ringdv1.Difference_Copy{MemberId: c.Owner.String()}
	switch {
	case c.Corrupt:
		out.State = ringdv1.Difference_Copy_CORRUPT
		return out
	case isNothing(c.Object):
		out.State = ringdv1.Difference_Copy_NOTHING
		return out
	}
	out.State, out.Digest = ringdv1.Difference_Copy_OBJECT, c.Object.Digest()
	for _, e := range c.Object.Context {
		out.Context = append(out.Context, &ringdv1.Difference_Dot{Actor: uint64(e.Actor), Counter: e.Counter})
	}
	for _, sib := range c.Object.Siblings {
		if sib.Tombstone {
			out.Tombstones++
		} else {
			out.Values++
		}
	}
	return out
}

func isNothing(o causal.Object) bool { return len(o.Context) == 0 && len(o.Siblings) == 0 }

// CheckTrees implements ringdv1.AdminServer.
func (s *Admin) CheckTrees(r *ringdv1.CheckTreesRequest, stream ringdv1.Admin_CheckTreesServer) error {
	if _, err := s.state(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	out := progress[ringdv1.CheckTreesProgress]{send: stream.Send, cancel: cancel}
	last := new(ringdv1.CheckTreesProgress)
	named := 0
	err := s.backend.CheckTrees(ctx, partitionFrom(r.Partition), func(p TreeProgress) {
		last = &ringdv1.CheckTreesProgress{
			PartitionsTotal: uint64(p.PartitionsTotal), PartitionsDone: uint64(p.PartitionsDone),
			KeysChecked: uint64(p.KeysChecked), EntriesWrong: uint64(p.EntriesWrong), SumsWrong: uint64(p.SumsWrong), Failed: p.Failed,
		}
		for _, k := range p.Wrong[:min(len(p.Wrong), wrongKeysMax-named)] {
			last.Wrong = append(last.Wrong, keyTo(k))
			named++
		}
		out.tell(last, len(last.Wrong) > 0 || len(p.Failed) > 0)
	})
	end := &ringdv1.CheckTreesProgress{
		PartitionsTotal: last.PartitionsTotal, PartitionsDone: last.PartitionsDone, KeysChecked: last.KeysChecked,
		EntriesWrong: last.EntriesWrong, SumsWrong: last.SumsWrong, Done: true,
	}
	return out.end(end, err)
}
