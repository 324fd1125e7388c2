package fakecluster

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

// admin serves ringd.v1.Admin, as member number self.
type admin struct {
	ringdv1.UnimplementedAdminServer
	c    *Cluster
	self int
}

func (c *Cluster) members() []*ringdv1.Member {
	var all []*ringdv1.Member
	for i, address := range c.addresses {
		m := &ringdv1.Member{
			Id: fmt.Sprintf("00000000-0000-0000-0000-%012d", i+1), Name: fmt.Sprintf("node%d", i),
			GrpcAddress: address, GossipAddress: "127.0.0.1:1", HttpAddress: "127.0.0.1:2",
			Zone: "z1", Weight: 1, Role: "storage", Liveness: ringdv1.Member_ALIVE, StartCount: 1, Raft: "voter",
			WireVersion: 4,
		}
		if i == 0 {
			m.Raft, m.WireVersion = "leader", 3
		}
		for p := range partitions {
			for slot := range min(replicas, len(c.addresses)) {
				if c.owner(p, slot) == i {
					m.Slots++
					if slot == 0 {
						m.FirstSlots++
					}
				}
			}
		}
		all = append(all, m)
	}
	return all
}

func (c *Cluster) owner(partition, slot int) int { return (partition + slot) % len(c.addresses) }

func (c *Cluster) epoch() *ringdv1.Epoch {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &ringdv1.Epoch{Generation: 1, Number: c.mu.epoch}
}

func (a *admin) Status(context.Context, *ringdv1.StatusRequest) (*ringdv1.StatusResponse, error) {
	all := a.c.members()
	answers := a.repairs(nil)
	warnings := []string{"the cluster is only a test"}
	all[a.self].Disk = &ringdv1.Disk{FreeBytes: 5e9, ReserveBytes: 1e9, State: "ok"}
	if a.self == len(all)-1 && answers.Disk != nil {
		all[a.self].Disk = answers.Disk
	}
	if a.self == len(all)-1 {
		warnings = append(warnings, answers.Warnings...)
	}
	return &ringdv1.StatusResponse{
		ClusterId: ClusterID, Self: all[a.self], Version: "v0", Epoch: a.c.epoch(), Partitions: partitions, Replicas: replicas,
		HasOwners: true, WireVersion: 3, Members: all, Leader: "node0", Warnings: warnings,
		StartCommitted: true, UptimeSeconds: 90,
	}, nil
}

func (a *admin) Members(context.Context, *ringdv1.MembersRequest) (*ringdv1.MembersResponse, error) {
	return &ringdv1.MembersResponse{Members: a.c.members()}, nil
}

func (a *admin) Ring(_ context.Context, r *ringdv1.RingRequest) (*ringdv1.RingResponse, error) {
	out := &ringdv1.RingResponse{Epoch: a.c.epoch(), Partitions: partitions, Replicas: replicas, Seed: seed, Members: a.c.members()}
	if r.Partition != nil && r.GetPartition() >= partitions {
		return nil, statusOf(invalid("partition", "is %d of %d", r.GetPartition(), partitions))
	}
	for p := range partitions {
		if r.Partition != nil && int(r.GetPartition()) != p || r.Key != nil && p != 5 {
			continue
		}
		row := &ringdv1.RingResponse_Partition{Id: uint32(p)}
		for slot := range min(replicas, len(a.c.addresses)) {
			row.Owners = append(row.Owners, uint32(a.c.owner(p, slot)))
		}
		if r.Partition != nil || r.Key != nil {
			for slot := replicas; slot < len(a.c.addresses); slot++ {
				row.Fallbacks = append(row.Fallbacks, uint32(a.c.owner(p, slot)))
			}
		}
		out.Rows = append(out.Rows, row)
	}
	return out, nil
}

func (a *admin) Plan(context.Context, *ringdv1.PlanRequest) (*ringdv1.PlanResponse, error) {
	out := &ringdv1.PlanResponse{Epoch: a.c.epoch()}
	a.c.mu.Lock()
	defer a.c.mu.Unlock()
	out.Blocked = a.c.mu.blocked
	for _, m := range a.c.members() {
		row := &ringdv1.PlanResponse_Row{
			MemberId: m.Id, Name: m.Name, SlotsNow: m.Slots, SlotsNext: m.Slots, FirstSlotsNow: m.FirstSlots, FirstSlotsNext: m.FirstSlots,
		}
		if a.c.mu.planned {
			row.SlotsNow, row.FirstSlotsNow = 0, 0
		}
		out.Rows = append(out.Rows, row)
	}
	if a.c.mu.planned {
		out.Moves, out.Notes = partitions*replicas, []string{"the first owners of this cluster"}
	}
	return out, nil
}

func (a *admin) Commit(_ context.Context, r *ringdv1.CommitRequest) (*ringdv1.CommitResponse, error) {
	a.c.mu.Lock()
	defer a.c.mu.Unlock()
	if r.GetEpoch().GetNumber() != a.c.mu.epoch {
		return nil, statusOf(Refuse(codes.Aborted, "the ring has changed since that plan"))
	}
	changed := a.c.mu.planned
	if changed {
		a.c.mu.epoch++
		a.c.mu.planned = false
	}
	return &ringdv1.CommitResponse{Epoch: &ringdv1.Epoch{Generation: 1, Number: a.c.mu.epoch}, Changed: changed}, nil
}

func (a *admin) CreateBucketType(_ context.Context, r *ringdv1.CreateBucketTypeRequest) (*ringdv1.CreateBucketTypeResponse, error) {
	a.c.mu.Lock()
	defer a.c.mu.Unlock()
	if a.c.mu.types[r.BucketType.GetName()] != nil {
		return nil, statusOf(Refuse(codes.FailedPrecondition, "the bucket type exists already"))
	}
	t := bucketType(r.BucketType.GetName(), replicas)
	proto.Merge(t, r.BucketType)
	a.c.mu.types[t.Name] = t
	return &ringdv1.CreateBucketTypeResponse{BucketType: t}, nil
}

func (a *admin) ListBucketTypes(context.Context, *ringdv1.ListBucketTypesRequest) (*ringdv1.ListBucketTypesResponse, error) {
	a.c.mu.Lock()
	defer a.c.mu.Unlock()
	out := &ringdv1.ListBucketTypesResponse{}
	for _, n := range slices.Sorted(maps.Keys(a.c.mu.types)) {
		out.BucketTypes = append(out.BucketTypes, a.c.mu.types[n])
	}
	return out, nil
}

func (a *admin) DescribeBucketType(_ context.Context, r *ringdv1.DescribeBucketTypeRequest) (*ringdv1.DescribeBucketTypeResponse, error) {
	a.c.mu.Lock()
	defer a.c.mu.Unlock()
	t := a.c.mu.types[r.GetName()]
	if t == nil {
		return nil, statusOf(noSuchType(r.GetName()))
	}
	return &ringdv1.DescribeBucketTypeResponse{BucketType: t}, nil
}

func (a *admin) UpdateBucketType(_ context.Context, r *ringdv1.UpdateBucketTypeRequest) (*ringdv1.UpdateBucketTypeResponse, error) {
	a.c.mu.Lock()
	defer a.c.mu.Unlock()
	t := a.c.mu.types[r.BucketType.GetName()]
	if t == nil {
		return nil, statusOf(noSuchType(r.BucketType.GetName()))
	}
	t = proto.CloneOf(t)
	proto.Merge(t, r.BucketType)
	if ttl := r.BucketType.GetDefaultTtl(); ttl != nil {
		t.DefaultTtl = ttl // Merge takes a zero for nothing
	}
	a.c.mu.types[t.Name] = t
	return &ringdv1.UpdateBucketTypeResponse{BucketType: t}, nil
}

func (a *admin) Inspect(_ context.Context, r *ringdv1.InspectRequest) (*ringdv1.InspectResponse, error) {
	out := &ringdv1.InspectResponse{Partition: 5}
	a.c.mu.Lock()
	defer a.c.mu.Unlock()
	at, bad := a.c.checkLocked(r.Key)
	if bad != nil {
		return nil, statusOf(bad)
	}
	o := a.c.atLocked(at)
	for i, m := range a.c.members() {
		c := &ringdv1.InspectResponse_Copy{Member: m}
		out.Copies = append(out.Copies, c)
		if i == replicas-1 {
			c.Error = "it does not answer"
			continue
		}
		for _, s := range o.siblings {
			dot := &ringdv1.InspectResponse_Dot{Actor: 0xabc, Counter: s.write}
			c.Context = append(c.Context, dot)
			c.Size += s.ValueSize + 40
			c.Siblings = append(c.Siblings, &ringdv1.InspectResponse_Copy_Sibling{
				Dot: dot, Tombstone: s.Tombstone, ValueSize: s.ValueSize, ContentType: s.ContentType,
				Metadata: s.Metadata, ModifiedUnixMs: s.ModifiedUnixMs, RequestId: []byte(s.request),
				ExpiryUnixMs: s.ExpiryUnixMs,
			})
		}
	}
	return out, nil
}
