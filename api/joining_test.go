package api

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cluster"
)

// joining is a member that takes connections and knows of no cluster yet.
// Nothing but its state may be asked for.
type joining struct{ Backend }

func (joining) State() *cluster.State { return nil }

type silent[T any] struct{ grpc.ServerStreamingServer[T] }

// TestJoiningMember: requests that come before the member has joined are told
// to go elsewhere.
func TestJoiningMember(t *testing.T) {
	ctx := context.Background()
	kv, admin := NewKV(joining{}), NewAdmin(joining{})
	key := &ringdv1.Key{Bucket: []byte("b"), Key: []byte("k")}
	for name, ask := range map[string]func() error{
		"get":      func() error { _, err := kv.Get(ctx, &ringdv1.GetRequest{Key: key}); return err },
		"put":      func() error { _, err := kv.Put(ctx, &ringdv1.PutRequest{Key: key}); return err },
		"delete":   func() error { _, err := kv.Delete(ctx, &ringdv1.DeleteRequest{Key: key}); return err },
		"batchGet": func() error { _, err := kv.BatchGet(ctx, &ringdv1.BatchGetRequest{}); return err },
		"batchPut": func() error { _, err := kv.BatchPut(ctx, &ringdv1.BatchPutRequest{}); return err },
		"keys": func() error {
			return kv.ListKeys(&ringdv1.ListKeysRequest{Bucket: []byte("b")}, silent[ringdv1.ListKeysResponse]{})
		},
		"buckets": func() error {
			return kv.ListBuckets(&ringdv1.ListBucketsRequest{}, silent[ringdv1.ListBucketsResponse]{})
		},
		"status": func() error { _, err := admin.Status(ctx, &ringdv1.StatusRequest{}); return err },
		"ring":   func() error { _, err := admin.Ring(ctx, &ringdv1.RingRequest{}); return err },
		"plan":   func() error { _, err := admin.Plan(ctx, &ringdv1.PlanRequest{}); return err },
		"commit": func() error { _, err := admin.Commit(ctx, &ringdv1.CommitRequest{}); return err },
		"stage":  func() error { _, err := admin.StageChange(ctx, &ringdv1.StageChangeRequest{}); return err },
		"abort":  func() error { _, err := admin.Abort(ctx, &ringdv1.AbortRequest{}); return err },
		"cancel": func() error { _, err := admin.Cancel(ctx, &ringdv1.CancelRequest{}); return err },
		"remove": func() error { _, err := admin.RemoveMember(ctx, &ringdv1.RemoveMemberRequest{}); return err },
		"create": func() error {
			_, err := admin.CreateBucketType(ctx, &ringdv1.CreateBucketTypeRequest{})
			return err
		},
		"settings": func() error { _, err := admin.GetSettings(ctx, &ringdv1.GetSettingsRequest{}); return err },
		"set": func() error {
			_, err := admin.UpdateSettings(ctx, &ringdv1.UpdateSettingsRequest{})
			return err
		},
		"transfers": func() error { _, err := admin.Transfers(ctx, &ringdv1.TransfersRequest{}); return err },
		"repair": func() error {
			return admin.Repair(&ringdv1.RepairRequest{}, silent[ringdv1.RepairProgress]{})
		},
		"verify": func() error {
			return admin.Verify(&ringdv1.VerifyRequest{}, silent[ringdv1.VerifyProgress]{})
		},
		"trees": func() error {
			return admin.CheckTrees(&ringdv1.CheckTreesRequest{}, silent[ringdv1.CheckTreesProgress]{})
		},
		"inspect": func() error { _, err := admin.Inspect(ctx, &ringdv1.InspectRequest{Key: key}); return err },
	} {
		if err := ask(); status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
}
