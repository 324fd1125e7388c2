package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/types/known/durationpb"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// Version of ringd.
const Version = "0.1.0"

// Admin serves ringd.v1.Admin.
type Admin struct {
	ringdv1.UnimplementedAdminServer
	backend Backend
}

// NewAdmin returns the service in front of b.
func NewAdmin(b Backend) *Admin { return &Admin{backend: b} }

func (s *Admin) state() (*cluster.State, error) {
	state, err := stateOf(s.backend)
	return state, statusOf(err)
}

// Status implements ringdv1.AdminServer.
func (s *Admin) Status(context.Context, *ringdv1.StatusRequest) (*ringdv1.StatusResponse, error) {
	state, err := s.state()
	if err != nil {
		return nil, err
	}
	self := s.backend.Self()
	out := &ringdv1.StatusResponse{
		ClusterId: state.ClusterID, Version: Version, Epoch: epochTo(state.Ring.Epoch()),
		Partitions: uint32(state.Ring.Partitions()), Replicas: uint32(state.Ring.Replicas()), HasOwners: state.Ring.HasOwners(),
		WireVersion: state.Wire(), Members: s.members(state), StartCommitted: self.StartCommitted, UptimeSeconds: uint64(self.Uptime.Seconds()),
	}
	alive := 0
	for _, m := range out.Members {
		if m.Id == self.ID.String() {
			out.Self = m
			m.Disk = diskTo(s.backend.Disk())
			out.Warnings = append(out.Warnings, diskWarnings(m)...)
		}
		if m.Raft == "leader" {
			out.Leader = m.Name
		}
		if m.Liveness == ringdv1.Member_ALIVE {
			alive++
		} else if m.State != stateGone {
			out.Warnings = append(out.Warnings, fmt.Sprintf("member %s is not seen", m.Name))
		}
	}
	out.Warnings = append(out.Warnings, wireWarnings(state)...)
	out.Moves = movesTo(state)
	if out.Leader == "" {
		out.Warnings = append(out.Warnings, "no leader is known: members and bucket types can't be changed until a majority is up")
	}
	if !out.HasOwners {
		out.Warnings = append(out.Warnings, fmt.Sprintf("the partitions have no owners yet: ringctl commit, once there are at least %d members", out.Replicas))
	}
	if !self.StartCommitted {
		out.Warnings = append(out.Warnings, fmt.Sprintf("this start of member %s is not agreed on yet", out.Self.GetName()))
	}
	return out, nil
}

// members in the order of their names.
func (s *Admin) members(state *cluster.State) []*ringdv1.Member {
	alive, roles := s.backend.Liveness(), s.backend.Roles()
	slots, first := make(map[ring.MemberID]uint32), make(map[ring.MemberID]uint32)
	for p := range state.Ring.Partitions() {
		for slot, id := range state.Ring.Owners(ring.PartitionID(p)) {
			slots[id]++
			if slot == 0 {
				first[id]++
			}
		}
	}
	out := make([]*ringdv1.Member, 0, len(state.Members))
	for id, m := range state.Members {
		row := &ringdv1.Member{
			Id: id.String(), Name: m.Name, GrpcAddress: m.GRPC, GossipAddress: m.Gossip, HttpAddress: m.HTTP, Zone: m.Zone,
			Weight: uint32(m.Weight), Role: string(m.Role), StartCount: m.Starts, Slots: slots[id], FirstSlots: first[id], Raft: roles[id],
			Liveness: ringdv1.Member_DEAD, WireVersion: m.Speaks(), Capabilities: m.Capabilities.Names(), State: stateOfMember(m),
		}
		switch alive[id] {
		case cluster.Alive:
			row.Liveness = ringdv1.Member_ALIVE
		case cluster.Suspect:
			row.Liveness = ringdv1.Member_SUSPECT
		}
		out = append(out, row)
	}
	slices.SortFunc(out, func(a, b *ringdv1.Member) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Members implements ringdv1.AdminServer.
func (s *Admin) Members(context.Context, *ringdv1.MembersRequest) (*ringdv1.MembersResponse, error) {
	state, err := s.state()
	if err != nil {
		return nil, err
	}
	return &ringdv1.MembersResponse{Members: s.members(state)}, nil
}

// Ring implements ringdv1.AdminServer.
func (s *Admin) Ring(_ context.Context, r *ringdv1.RingRequest) (*ringdv1.RingResponse, error) {
	state, err := s.state()
	if err != nil {
		return nil, err
	}
	out := &ringdv1.RingResponse{
		Epoch: epochTo(state.Ring.Epoch()), Partitions: uint32(state.Ring.Partitions()), Replicas: uint32(state.Ring.Replicas()),
		Seed: state.Ring.Seed(), Members: s.members(state),
	}
	index := make(map[string]uint32)
	for i, m := range out.Members {
		index[m.Id] = uint32(i)
	}
	from, to := ring.PartitionID(0), ring.PartitionID(state.Ring.Partitions())
	switch {
	case r.Partition != nil:
		if *r.Partition >= out.Partitions {
			return nil, statusOf(replica.Invalid("partition", "is %d: the ring has 0 to %d", *r.Partition, out.Partitions-1))
		}
		from, to = ring.PartitionID(*r.Partition), ring.PartitionID(*r.Partition+1)
	case r.Key != nil:
		k, err := keyFrom(r.Key, state.Settings)
		if err != nil {
			return nil, statusOf(err)
		}
		from = state.Ring.Partition(k.Type, k.Bucket, k.Key)
		to = from + 1
	}
	if !state.Ring.HasOwners() {
		return out, nil
	}
	var ids []ring.MemberID
	if to == from+1 {
		for id, m := range state.Members {
			if m.Role == cluster.RoleStorage && !m.Leaving && !m.Gone {
				ids = append(ids, id)
			}
		}
	}
	for p := from; p < to; p++ {
		pref := state.Ring.Preference(p, state.Ring.Replicas(), ids)
		row := &ringdv1.RingResponse_Partition{Id: uint32(p)}
		for _, id := range pref.Owners {
			row.Owners = append(row.Owners, index[id.String()])
		}
		for _, id := range pref.Fallbacks {
			row.Fallbacks = append(row.Fallbacks, index[id.String()])
		}
		out.Rows = append(out.Rows, row)
	}
	return out, nil
}

// Inspect implements ringdv1.AdminServer.
func (s *Admin) Inspect(ctx context.Context, r *ringdv1.InspectRequest) (*ringdv1.InspectResponse, error) {
	state, err := s.state()
	if err != nil {
		return nil, err
	}
	k, err := keyFrom(r.Key, state.Settings)
	if err != nil {
		return nil, statusOf(err)
	}
	copies, err := s.backend.Inspect(ctx, k)
	if err != nil {
		return nil, statusOf(err)
	}
	byID := make(map[string]*ringdv1.Member)
	for _, m := range s.members(state) {
		byID[m.Id] = m
	}
	out := &ringdv1.InspectResponse{Partition: uint32(state.Ring.Partition(k.Type, k.Bucket, k.Key))}
	for _, c := range copies {
		row := &ringdv1.InspectResponse_Copy{Member: byID[c.Owner.String()], Size: uint64(c.Bytes)}
		if c.Err != nil {
			row.Error = c.Err.Error()
		} else {
			inspectObject(row, c.Object)
		}
		out.Copies = append(out.Copies, row)
	}
	return out, nil
}

func inspectObject(row *ringdv1.InspectResponse_Copy, o causal.Object) {
	row.Digest = o.Digest()
	for _, e := range o.Context {
		row.Context = append(row.Context, &ringdv1.InspectResponse_Dot{Actor: uint64(e.Actor), Counter: e.Counter})
	}
	for _, sib := range o.Siblings {
		row.Siblings = append(row.Siblings, &ringdv1.InspectResponse_Copy_Sibling{
			Dot:       &ringdv1.InspectResponse_Dot{Actor: uint64(sib.Dot.Actor), Counter: sib.Dot.Counter},
			Tombstone: sib.Tombstone, ValueSize: uint64(sib.ValueSize), ContentType: sib.ContentType, Metadata: metaTo(sib.Meta),
			ModifiedUnixMs: sib.Time.Time().UnixMilli(), RequestId: sib.Request[:], ExpiryUnixMs: sib.Expiry,
		})
	}
}

func epochTo(e ring.Epoch) *ringdv1.Epoch {
	return &ringdv1.Epoch{Generation: e.Generation, Number: e.Number}
}

// CreateBucketType implements ringdv1.AdminServer.
func (s *Admin) CreateBucketType(ctx context.Context, r *ringdv1.CreateBucketTypeRequest) (*ringdv1.CreateBucketTypeResponse, error) {
	state, err := s.state()
	if err != nil {
		return nil, err
	}
	n := int(r.GetBucketType().GetN())
	if n == 0 {
		n = state.Ring.Replicas()
	}
	made := replica.NewBucketType(r.GetBucketType().GetName(), n)
	if r.GetBucketType().GetEverywhere() {
		made = replica.NewBucketTypeEverywhere(made.Name, n)
	}
	t, err := updateType(made, r.BucketType)
	if err == nil {
		err = s.backend.Apply(ctx, cluster.Command{CreateBucketType: &t})
	}
	if err != nil {
		return nil, statusOf(err)
	}
	return &ringdv1.CreateBucketTypeResponse{BucketType: typeTo(t)}, nil
}

// UpdateBucketType implements ringdv1.AdminServer.
func (s *Admin) UpdateBucketType(ctx context.Context, r *ringdv1.UpdateBucketTypeRequest) (*ringdv1.UpdateBucketTypeResponse, error) {
	state, err := s.state()
	if err != nil {
		return nil, err
	}
	t, err := bucketTypeOf(state, r.GetBucketType().GetName())
	if err == nil {
		t, err = updateType(t, r.BucketType)
	}
	if n := int(r.GetBucketType().GetN()); err == nil && n != 0 {
		t.N = n // refused if it differs
	}
	t.Everywhere = t.Everywhere || r.GetBucketType().GetEverywhere() // likewise
	if err == nil {
		err = s.backend.Apply(ctx, cluster.Command{UpdateBucketType: &t})
	}
	if err != nil {
		return nil, statusOf(err)
	}
	return &ringdv1.UpdateBucketTypeResponse{BucketType: typeTo(t)}, nil
}

// ListBucketTypes implements ringdv1.AdminServer.
func (s *Admin) ListBucketTypes(context.Context, *ringdv1.ListBucketTypesRequest) (*ringdv1.ListBucketTypesResponse, error) {
	state, err := s.state()
	if err != nil {
		return nil, err
	}
	out := new(ringdv1.ListBucketTypesResponse)
	for _, t := range state.BucketTypes {
		out.BucketTypes = append(out.BucketTypes, typeTo(t))
	}
	slices.SortFunc(out.BucketTypes, func(a, b *ringdv1.BucketType) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// DescribeBucketType implements ringdv1.AdminServer.
func (s *Admin) DescribeBucketType(_ context.Context, r *ringdv1.DescribeBucketTypeRequest) (*ringdv1.DescribeBucketTypeResponse, error) {
	state, err := s.state()
	if err != nil {
		return nil, err
	}
	t, err := bucketTypeOf(state, r.Name)
	if err != nil {
		return nil, statusOf(err)
	}
	return &ringdv1.DescribeBucketTypeResponse{BucketType: typeTo(t)}, nil
}

func bucketTypeOf(state *cluster.State, name string) (replica.BucketType, error) {
	t, ok := state.BucketType(name)
	if !ok {
		return t, replica.Errorf(replica.KindNotFound, "there is no bucket type %q: ringctl bucket-type list names those that exist", name)
	}
	return t, nil
}

// updateType sets what is set in r.
func updateType(t replica.BucketType, r *ringdv1.BucketType) (replica.BucketType, error) {
	if r == nil {
		return t, replica.Invalid("bucket_type", "is missing")
	}
	for _, f := range []countField{{"r", r.R, &t.R}, {"w", r.W, &t.W}, {"pr", r.Pr, &t.PR}, {"pw", r.Pw, &t.PW}, {"dw", r.Dw, &t.DW}} {
		if f.from == nil {
			continue
		}
		if err := countFields(f); err != nil {
			return t, err
		}
	}
	timeout, err := timeoutFrom(r.Timeout)
	if err != nil {
		return t, err
	}
	if timeout > 0 {
		t.Time = timeout
	}
	if r.DefaultTtl != nil {
		if t.DefaultTTL, err = ttlFrom("default_ttl", r.DefaultTtl); err != nil {
			return t, err
		}
	}
	if r.Sloppy != nil {
		t.Strict = !*r.Sloppy
	}
	if r.RepairBlocking != nil {
		t.RepairBlocking = *r.RepairBlocking
	}
	if r.LastWriteWins != nil {
		t.LastWriteWins = *r.LastWriteWins
	}
	return t, nil
}

func typeTo(t replica.BucketType) *ringdv1.BucketType {
	sloppy := !t.Strict
	return &ringdv1.BucketType{
		Name: t.Name, N: uint32(t.N), R: countTo(t.R), W: countTo(t.W), Pr: countTo(t.PR), Pw: countTo(t.PW), Dw: countTo(t.DW),
		Sloppy: &sloppy, Timeout: durationpb.New(t.Time), RepairBlocking: &t.RepairBlocking, LastWriteWins: &t.LastWriteWins,
		DefaultTtl: durationpb.New(t.DefaultTTL), Everywhere: t.Everywhere,
	}
}
