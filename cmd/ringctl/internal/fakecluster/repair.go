package fakecluster

import (
	"context"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

// Repairs is what members answer about repair, each the same unless it says
// otherwise; nil answers that nothing is wrong.
type Repairs struct {
	Repair    []*ringdv1.RepairProgress
	Transfers *ringdv1.TransfersResponse
	Verify    []*ringdv1.VerifyProgress
	Trees     []*ringdv1.CheckTreesProgress
	// Disk is that of the last member.
	Disk *ringdv1.Disk
	// Warnings of the last member.
	Warnings []string
	// Hold has Repair, Verify and CheckTrees wait before their last message.
	Hold <-chan struct{}
}

// SetRepairs sets what members answer.
func (c *Cluster) SetRepairs(r Repairs) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.repairs = r
}

// Stop stops a member.
func (c *Cluster) Stop(i int) { c.servers[i].Stop() }

// Asked are the requests about repair that the members got.
func (c *Cluster) Asked() []proto.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.mu.asked)
}

// repairs notes the request, if there is one, and returns what to answer.
func (a *admin) repairs(request proto.Message) Repairs {
	a.c.mu.Lock()
	defer a.c.mu.Unlock()
	if request != nil {
		a.c.mu.asked = append(a.c.mu.asked, request)
	}
	return a.c.mu.repairs
}

// check refuses what members refuse.
func (a *admin) check(bucketType *string, partition *uint32) error {
	a.c.mu.Lock()
	defer a.c.mu.Unlock()
	if bucketType != nil && a.c.mu.types[*bucketType] == nil {
		return statusOf(noSuchType(*bucketType))
	}
	if partition != nil && *partition >= partitions {
		return statusOf(invalid("partition", "is %d of %d", *partition, partitions))
	}
	return nil
}

// tell sends all, and waits before the last.
func tell[T any](stream grpc.ServerStreamingServer[T], all []*T, last *T, hold <-chan struct{}) error {
	for _, m := range all {
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	if hold != nil {
		select {
		case <-hold:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
	return stream.Send(last)
}

func (a *admin) Repair(r *ringdv1.RepairRequest, stream ringdv1.Admin_RepairServer) error {
	answers := a.repairs(r)
	if err := a.check(r.BucketType, r.Partition); err != nil {
		return err
	}
	last := &ringdv1.RepairProgress{SessionsTotal: 8, SessionsDone: 8}
	if n := len(answers.Repair); n > 0 {
		last = proto.CloneOf(answers.Repair[n-1])
	}
	last.Done = true
	return tell(stream, answers.Repair, last, answers.Hold)
}

func (a *admin) Verify(r *ringdv1.VerifyRequest, stream ringdv1.Admin_VerifyServer) error {
	answers := a.repairs(r)
	if err := a.check(r.BucketType, r.Partition); err != nil {
		return err
	}
	last := &ringdv1.VerifyProgress{PartitionsTotal: partitions, PartitionsDone: partitions, KeysCompared: 12}
	if n := len(answers.Verify); n > 0 {
		last = proto.CloneOf(answers.Verify[n-1])
		last.Differences, last.Unreachable = nil, nil
	}
	last.Done = true
	all := slices.Clone(answers.Verify)
	for i, m := range all {
		if !r.List {
			all[i] = proto.CloneOf(m)
			all[i].Differences = nil
		}
	}
	return tell(stream, all, last, answers.Hold)
}

func (a *admin) CheckTrees(r *ringdv1.CheckTreesRequest, stream ringdv1.Admin_CheckTreesServer) error {
	answers := a.repairs(r)
	if err := a.check(nil, r.Partition); err != nil {
		return err
	}
	last := &ringdv1.CheckTreesProgress{PartitionsTotal: partitions, PartitionsDone: partitions, KeysChecked: 12}
	if n := len(answers.Trees); n > 0 {
		last = proto.CloneOf(answers.Trees[n-1])
		last.Wrong, last.Failed = nil, nil
	}
	last.Done = true
	return tell(stream, answers.Trees, last, answers.Hold)
}

func (a *admin) Transfers(_ context.Context, r *ringdv1.TransfersRequest) (*ringdv1.TransfersResponse, error) {
	answers := a.repairs(r)
	out := &ringdv1.TransfersResponse{}
	if answers.Transfers != nil {
		out = proto.CloneOf(answers.Transfers)
	}
	out.MemberId = a.c.members()[a.self].Id
	return out, nil
}
