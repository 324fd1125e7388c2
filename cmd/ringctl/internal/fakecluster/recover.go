package fakecluster

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

// Recoveries is what members answer about recovery and salvage.
type Recoveries struct {
	// Recover is the answer; nil refuses, because there is a leader.
	Recover *ringdv1.RecoverResponse
	Salvage []*ringdv1.SalvageProgress
}

// SetRecoveries sets what members answer.
func (c *Cluster) SetRecoveries(r Recoveries) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.recoveries = r
}

func (a *admin) recoveries(request proto.Message) Recoveries {
	a.c.mu.Lock()
	defer a.c.mu.Unlock()
	a.c.mu.asked = append(a.c.mu.asked, request)
	return a.c.mu.recoveries
}

func (a *admin) Recover(_ context.Context, r *ringdv1.RecoverRequest) (*ringdv1.RecoverResponse, error) {
	answer := a.recoveries(r).Recover
	if answer == nil {
		return nil, status.Error(codes.FailedPrecondition, "the members have a leader")
	}
	return answer, nil
}

func (a *admin) Salvage(r *ringdv1.SalvageRequest, stream ringdv1.Admin_SalvageServer) error {
	all := a.recoveries(r).Salvage
	if len(all) == 0 {
		return status.Error(codes.InvalidArgument, "no data directory")
	}
	return tell(stream, all[:len(all)-1], all[len(all)-1], nil)
}
