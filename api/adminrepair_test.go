package api

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

var (
	firstID  = ring.MemberID{15: 1}
	secondID = ring.MemberID{15: 2}
)

// repairing is a member that reports what a test gives it.
type repairing struct {
	Backend
	scope   RepairScope
	repair  []RepairProgress
	verify  []VerifyProgress
	trees   []TreeProgress
	moving  Transfers
	disk    Disk
	failure error
}

func (*repairing) State() *cluster.State {
	return &cluster.State{Members: map[ring.MemberID]cluster.Member{firstID: {ID: firstID, Name: "one"}}}
}

func (*repairing) Self() Self { return Self{ID: firstID} }

func (r *repairing) Transfers() Transfers { return r.moving }

func (r *repairing) Disk() Disk { return r.disk }

func (r *repairing) Repair(ctx context.Context, what RepairScope, report func(RepairProgress)) error {
	r.scope = what
	return reportAll(ctx, r.repair, report, r.failure)
}

func (r *repairing) Verify(ctx context.Context, what RepairScope, _ bool, report func(VerifyProgress)) error {
	r.scope = what
	return reportAll(ctx, r.verify, report, r.failure)
}

func (r *repairing) CheckTrees(ctx context.Context, p *ring.PartitionID, report func(TreeProgress)) error {
	r.scope = RepairScope{Partition: p}
	return reportAll(ctx, r.trees, report, r.failure)
}

func reportAll[T any](ctx context.Context, all []T, report func(T), failure error) error {
	for _, p := range all {
		report(p)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return failure
}

// sent is a stream that keeps what is sent, until it fails.
type sent[T any] struct {
	grpc.ServerStream
	ctx   context.Context
	got   []*T
	fails int // after so many; 0 never
}

func (s *sent[T]) Context() context.Context { return s.ctx }

func (s *sent[T]) Send(m *T) error {
	if s.fails > 0 && len(s.got) == s.fails {
		return errors.New("the client left")
	}
	s.got = append(s.got, proto.CloneOf(any(m).(proto.Message)).(any).(*T))
	return nil
}

func TestRepairStream(t *testing.T) {
	b := &repairing{}
	for i := range 1000 {
		b.repair = append(b.repair, RepairProgress{SessionsTotal: 1000, SessionsDone: i + 1, KeysDiffered: 2, ObjectsSent: 3, BytesSent: 4, BytesRead: 5})
	}
	b.repair[999].SessionsDone, b.repair[999].SessionsFailed, b.repair[999].LastError = 999, 1, errors.New("no answer from member "+firstID.String())
	stream := &sent[ringdv1.RepairProgress]{ctx: t.Context()}
	p, typ := uint32(7), "carts"
	if err := NewAdmin(b).Repair(&ringdv1.RepairRequest{BucketType: &typ, Partition: &p}, stream); err != nil {
		t.Fatal(err)
	}
	if b.scope.BucketType != "carts" || b.scope.Partition == nil || *b.scope.Partition != 7 {
		t.Errorf("it repaired %+v", b.scope)
	}
	last := stream.got[len(stream.got)-1]
	want := &ringdv1.RepairProgress{
		SessionsTotal: 1000, SessionsDone: 999, SessionsFailed: 1, KeysDiffered: 2, ObjectsSent: 3, BytesSent: 4, BytesRead: 5,
		LastError: "no answer from member one", Done: true,
	}
	if !proto.Equal(last, want) {
		t.Errorf("the last message is %v", last)
	}
	if first := stream.got[0]; first.SessionsDone != 1 || first.Done || len(stream.got) > 100 {
		t.Errorf("%d messages were sent, first %v", len(stream.got), first)
	}
}

// TestLongCallsEnd: with an error that the member returns, and when the client
// has gone.
func TestLongCallsEnd(t *testing.T) {
	b := &repairing{failure: replica.Errorf(replica.KindNotFound, "no such bucket type")}
	b.verify = []VerifyProgress{{Unreachable: []string{"a"}}, {Unreachable: []string{"b"}}, {Unreachable: []string{"c"}}}
	stream := &sent[ringdv1.VerifyProgress]{ctx: t.Context()}
	if err := NewAdmin(b).Verify(&ringdv1.VerifyRequest{}, stream); status.Code(err) != codes.NotFound || stream.got[len(stream.got)-1].Done {
		t.Errorf("%v, sent %v", err, stream.got)
	}
	b.failure = errors.New("not asked")
	stream = &sent[ringdv1.VerifyProgress]{ctx: t.Context(), fails: 1}
	if err := NewAdmin(b).Verify(&ringdv1.VerifyRequest{}, stream); err == nil || err.Error() != "the client left" {
		t.Errorf("the client left: %v", err)
	}
}

// TestVerifyStream: every difference and every owner that was not reached is
// sent once, in messages of a bounded size.
func TestVerifyStream(t *testing.T) {
	b := &repairing{}
	const differences = 250
	p := VerifyProgress{PartitionsTotal: 2, PartitionsDone: 1, KeysCompared: 1000, KeysDiffer: differences}
	for i := range differences {
		p.Differences = append(p.Differences, Difference{
			Key: replica.Key{Type: "t", Bucket: "b", Key: fmt.Sprint(i)}, Partition: 3,
			Copies: []DifferenceCopy{
				{Owner: firstID, Object: causal.Object{
					Context:  causal.Vector{{Actor: 5, Counter: 2}},
					Siblings: []causal.Sibling{{Dot: causal.Dot{Actor: 5, Counter: 1}}, {Dot: causal.Dot{Actor: 5, Counter: 2}, Tombstone: true}},
				}},
				{Owner: secondID},
				{Owner: secondID, Corrupt: true},
			},
		})
	}
	b.verify = []VerifyProgress{p, {PartitionsTotal: 2, PartitionsDone: 2, KeysCompared: 1500, KeysDiffer: differences, Unreachable: []string{"partition 1: member " + firstID.String() + ": no answer"}}}
	stream := &sent[ringdv1.VerifyProgress]{ctx: t.Context()}
	if err := NewAdmin(b).Verify(&ringdv1.VerifyRequest{List: true}, stream); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]int)
	unreachable := 0
	for _, m := range stream.got {
		if len(m.Differences) > differencesAtOnce {
			t.Errorf("a message has %d differences", len(m.Differences))
		}
		for _, d := range m.Differences {
			seen[string(d.Key.Key)]++
		}
		for _, u := range m.Unreachable {
			if unreachable++; u != "partition 1: member one: no answer" {
				t.Errorf("it says %q", u)
			}
		}
	}
	if len(seen) != differences || seen["0"] != 1 || seen["249"] != 1 || unreachable != 1 {
		t.Errorf("%d differences, %d unreachable", len(seen), unreachable)
	}
	d := stream.got[0].Differences[0]
	want := &ringdv1.Difference{
		Key: &ringdv1.Key{BucketType: "t", Bucket: []byte("b"), Key: []byte("0")}, Partition: 3,
		Copies: []*ringdv1.Difference_Copy{
			{
				MemberId: firstID.String(), State: ringdv1.Difference_Copy_OBJECT, Values: 1, Tombstones: 1,
				Context: []*ringdv1.Difference_Dot{{Actor: 5, Counter: 2}}, Digest: d.Copies[0].Digest,
			},
			{MemberId: secondID.String(), State: ringdv1.Difference_Copy_NOTHING},
			{MemberId: secondID.String(), State: ringdv1.Difference_Copy_CORRUPT},
		},
	}
	if !proto.Equal(d, want) || d.Copies[0].Digest == 0 {
		t.Errorf("a difference is sent as %v", d)
	}
	if last := stream.got[len(stream.got)-1]; !last.Done || last.KeysCompared != 1500 || last.KeysDiffer != differences {
		t.Errorf("the last message is %v", last)
	}
}

func TestCheckTreesStream(t *testing.T) {
	b := &repairing{}
	for i := range 3 {
		p := TreeProgress{PartitionsTotal: 3, PartitionsDone: i + 1, KeysChecked: 100 * (i + 1), EntriesWrong: 60 * (i + 1), SumsWrong: i}
		for j := range 60 {
			p.Wrong = append(p.Wrong, replica.Key{Type: "t", Bucket: "b", Key: fmt.Sprint(i, j)})
		}
		b.trees = append(b.trees, p)
	}
	b.trees[2].Failed = []string{"partition 9: disk"}
	stream := &sent[ringdv1.CheckTreesProgress]{ctx: t.Context()}
	if err := NewAdmin(b).CheckTrees(&ringdv1.CheckTreesRequest{}, stream); err != nil {
		t.Fatal(err)
	}
	wrong, failed := 0, 0
	for _, m := range stream.got {
		wrong += len(m.Wrong)
		failed += len(m.Failed)
	}
	last := stream.got[len(stream.got)-1]
	if wrong != wrongKeysMax || failed != 1 || !last.Done || last.EntriesWrong != 180 || last.SumsWrong != 2 || last.KeysChecked != 300 {
		t.Errorf("%d keys and %d failures named, last %v", wrong, failed, last)
	}
}

func TestTransfersNamed(t *testing.T) {
	b := &repairing{moving: Transfers{
		Running: []Transfer{
			{Kind: "hints", Partition: 3, Slot: 1, From: firstID, To: secondID, Done: 5, Total: 10, Bytes: 4000, Elapsed: 2 * time.Second},
			{Kind: "verify"},
		},
		Hints:       HintTotals{Kept: 1, KeptBytes: 2, Stored: 3, Delivered: 4, Dropped: 5, Refused: 6},
		AntiEntropy: AntiEntropyTotals{Sessions: 1, SessionsFailed: 2, ObjectsSent: 3, BytesSent: 4, BytesRead: 5, KeysDiffered: 6, Oldest: time.Minute},
		Reaping:     ReapTotals{Reaped: 1, Kept: 2, Stuck: 3},
	}}
	got, err := NewAdmin(b).Transfers(t.Context(), &ringdv1.TransfersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	want := &ringdv1.TransfersResponse{
		MemberId: firstID.String(),
		Transfers: []*ringdv1.Transfer{
			{Kind: "hints", Partition: 3, Slot: 1, From: "one", To: secondID.String(), ItemsDone: 5, ItemsTotal: 10, BytesDone: 4000, BytesPerSecond: 2000, Seconds: 2},
			{Kind: "verify"},
		},
		Hints: &ringdv1.TransfersResponse_Hints{Kept: 1, KeptBytes: 2, Stored: 3, Delivered: 4, Dropped: 5, Refused: 6},
		AntiEntropy: &ringdv1.TransfersResponse_AntiEntropy{
			Sessions: 1, SessionsFailed: 2, ObjectsSent: 3, BytesSent: 4, BytesRead: 5, KeysDiffered: 6, OldestSeconds: 60,
		},
		Reaping: &ringdv1.TransfersResponse_Reaping{Reaped: 1, Kept: 2, Stuck: 3},
	}
	if !proto.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}
