package ring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Limits of a ring's shape.
const (
	// PartitionsMin and PartitionsMax bound Q. Fewer would not spread, more
	// would cost every member more than they give.
	PartitionsMin, PartitionsMax = 8, 4096
	// ReplicasMax bounds N: each is one more disk that every write waits for.
	ReplicasMax = 15
)

// Config is what is fixed for a cluster's life.
type Config struct {
	Seed       uint64 // of the hash that places keys
	Partitions int    // Q: a power of two
	Replicas   int    // N: slots per partition
}

// Validate returns an error that says which field is wrong, and why.
func (c Config) Validate() error {
	if c.Partitions < PartitionsMin || c.Partitions > PartitionsMax || c.Partitions&(c.Partitions-1) != 0 {
		return fmt.Errorf("partitions is %d: use a power of two from %d to %d", c.Partitions, PartitionsMin, PartitionsMax)
	}
	if c.Replicas < 1 || c.Replicas > ReplicasMax {
		return fmt.Errorf("replicas is %d: use 1 to %d", c.Replicas, ReplicasMax)
	}
	return nil
}

// Ring says, as of an epoch, who owns the slots of each partition. It is never
// changed; WithSlots makes the next one.
type Ring struct {
	config Config
	epoch  Epoch
	// slots has for each partition its N owners, all distinct; nil if there are
	// no owners yet.
	slots [][]MemberID
	// changed has for each partition the epoch at which its owners last changed;
	// none is after epoch.
	changed []Epoch
	// arrivals has for each slot that was given away after the first commit the
	// number of the move by which its owner got it.
	arrivals map[Slot]uint64
}

// Slot is one of a partition's N, from 0.
type Slot struct {
	Partition PartitionID
	Index     int
}

// New returns a ring without owners.
func New(c Config) (*Ring, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Ring{config: c}, nil
}

// Epoch of the ring; zero while there are no owners.
func (r *Ring) Epoch() Epoch { return r.epoch }

// Partitions is Q.
func (r *Ring) Partitions() int { return r.config.Partitions }

// Replicas is N.
func (r *Ring) Replicas() int { return r.config.Replicas }

// Seed is that of the hash that places keys.
func (r *Ring) Seed() uint64 { return r.config.Seed }

// HasOwners reports whether the slots were given to members.
func (r *Ring) HasOwners() bool { return r.slots != nil }

// Owners are the members that own p's slots, in their order; nil if there are
// none yet. The caller must not change them.
func (r *Ring) Owners(p PartitionID) []MemberID {
	if r.slots == nil {
		return nil
	}
	return r.slots[p]
}

// IsOwner reports whether id owns one of the first n slots of p.
func (r *Ring) IsOwner(p PartitionID, n int, id MemberID) bool {
	owners := r.Owners(p)
	return slices.Contains(owners[:min(n, len(owners))], id)
}

// OwnersChanged is the epoch at which p's owners last changed.
func (r *Ring) OwnersChanged(p PartitionID) Epoch {
	if r.changed == nil {
		return Epoch{}
	}
	return r.changed[p]
}

// Arrival is the number of the move by which the slot's owner got it; 0 for one
// that has had it since the first commit. An owner whose disk knows of another
// arrival does not hold the slot's data.
func (r *Ring) Arrival(s Slot) uint64 { return r.arrivals[s] }

// SlotOf returns the index of the slot of p that id owns.
func (r *Ring) SlotOf(p PartitionID, id MemberID) (int, bool) {
	i := slices.Index(r.Owners(p), id)
	return i, i >= 0
}

// Members are all that own a slot, in the order of their ids.
func (r *Ring) Members() []MemberID {
	seen := make(map[MemberID]bool)
	var out []MemberID
	for _, owners := range r.slots {
		for _, id := range owners {
			if !seen[id] {
				seen[id] = true
				out = append(out, id)
			}
		}
	}
	slices.SortFunc(out, MemberID.Compare)
	return out
}

// Partition returns where a key lives: xxh64 over the seed, the bucket type, the
// bucket and the key, each but the last behind its length, modulo Q. Clients
// compute the same.
func (r *Ring) Partition(bucketType, bucket, key string) PartitionID {
	return HashKey(r.config.Seed, bucketType, bucket, key, r.config.Partitions)
}

// HashKey is Partition for who knows no more of a ring than its seed and Q.
func HashKey(seed uint64, bucketType, bucket, key string, partitions int) PartitionID {
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	var size [2 * binary.MaxVarintLen64]byte
	n := binary.PutUvarint(size[:], uint64(len(bucketType)))
	n += binary.PutUvarint(size[n:], uint64(len(bucket)))
	_, _ = d.Write(size[:n])
	_, _ = d.WriteString(bucketType)
	_, _ = d.WriteString(bucket)
	_, _ = d.WriteString(key)
	return PartitionID(d.Sum64() % uint64(partitions))
}

// WithSlots returns the ring of a later epoch in which slots has for each
// partition its owners; it keeps a copy. A ring that would break an invariant is
// refused.
func (r *Ring) WithSlots(epoch Epoch, slots [][]MemberID) (*Ring, error) {
	if epoch.Compare(r.epoch) <= 0 {
		return nil, fmt.Errorf("ring: epoch %v does not follow %v", epoch, r.epoch)
	}
	next := &Ring{config: r.config, epoch: epoch, slots: make([][]MemberID, len(slots)), changed: make([]Epoch, len(slots))}
	for p, owners := range slots {
		next.slots[p] = slices.Clone(owners)
	}
	if len(slots) == r.config.Partitions {
		for p := range slots {
			next.changed[p] = epoch
			if r.slots != nil && slices.Equal(r.slots[p], slots[p]) {
				next.changed[p] = r.changed[p]
			}
		}
	}
	if err := next.Check(); err != nil {
		return nil, err
	}
	return next, nil
}

// Arrived is a slot that a member got by a move.
type Arrived struct {
	Slot   Slot
	Owner  MemberID
	Number uint64 // of the move, above 0
}

// WithArrivals returns the ring of a later epoch in which the slots have come to
// their new owners, one after the other. A ring that would break an invariant is
// refused.
func (r *Ring) WithArrivals(epoch Epoch, arrived []Arrived) (*Ring, error) {
	slots := slices.Clone(r.slots)
	arrivals := maps.Clone(r.arrivals)
	if arrivals == nil {
		arrivals = make(map[Slot]uint64)
	}
	copied := make(map[PartitionID]bool)
	for _, a := range arrived {
		p := a.Slot.Partition
		if int(p) >= len(slots) || a.Slot.Index < 0 || a.Slot.Index >= len(slots[p]) || a.Number == 0 {
			return nil, fmt.Errorf("ring: nothing arrives at slot %d of partition %d by move %d", a.Slot.Index, p, a.Number)
		}
		if !copied[p] {
			slots[p], copied[p] = slices.Clone(slots[p]), true
		}
		slots[p][a.Slot.Index] = a.Owner
		arrivals[a.Slot] = a.Number
	}
	next, err := r.WithSlots(epoch, slots)
	if err != nil {
		return nil, err
	}
	next.arrivals = arrivals
	return next, next.Check()
}

// WithEpoch returns the same owners under a later epoch, as if those of every
// partition had changed: messages of earlier epochs are refused for all.
func (r *Ring) WithEpoch(epoch Epoch) (*Ring, error) {
	next, err := r.WithSlots(epoch, r.slots)
	if err != nil {
		return nil, err
	}
	for p := range next.changed {
		next.changed[p] = epoch
	}
	next.arrivals = r.arrivals
	return next, nil
}

// Check returns an error if an invariant does not hold.
func (r *Ring) Check() error {
	if err := r.config.Validate(); err != nil {
		return fmt.Errorf("ring: %w", err)
	}
	if r.slots == nil {
		if r.epoch != (Epoch{}) || r.changed != nil {
			return errors.New("ring: without owners, but with an epoch")
		}
		return nil
	}
	if len(r.slots) != r.config.Partitions || len(r.changed) != r.config.Partitions {
		return fmt.Errorf("ring: owners of %d partitions, epochs of %d, instead of %d", len(r.slots), len(r.changed), r.config.Partitions)
	}
	for p, owners := range r.slots {
		if len(owners) != r.config.Replicas {
			return fmt.Errorf("ring: partition %d has %d slots instead of %d", p, len(owners), r.config.Replicas)
		}
		for i, id := range owners {
			if id.IsZero() {
				return fmt.Errorf("ring: slot %d of partition %d has no owner", i, p)
			}
			if slices.Contains(owners[:i], id) {
				return fmt.Errorf("ring: member %v owns two slots of partition %d", id, p)
			}
		}
		if r.changed[p] == (Epoch{}) {
			return fmt.Errorf("ring: partition %d has owners that it got at no epoch", p)
		}
		if r.changed[p].Compare(r.epoch) > 0 {
			return fmt.Errorf("ring: partition %d changed at %v, after the ring's epoch %v", p, r.changed[p], r.epoch)
		}
	}
	for s, number := range r.arrivals {
		if int(s.Partition) >= len(r.slots) || s.Index < 0 || s.Index >= r.config.Replicas || number == 0 {
			return fmt.Errorf("ring: slot %d of partition %d has an arrival by move %d", s.Index, s.Partition, number)
		}
	}
	return nil
}
