package ring

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// A ring with arrivals is of version 2. One without is still written as version
// 1, which earlier releases read.
const (
	ringVersion         = 1
	ringVersionArrivals = 2
)

// ringJSON is the persisted form: members once, slots as indexes into them.
type ringJSON struct {
	Version    int        `json:"version"`
	Seed       uint64     `json:"seed"`
	Partitions int        `json:"partitions"`
	Replicas   int        `json:"replicas"`
	Epoch      Epoch      `json:"epoch"`
	Members    []MemberID `json:"members,omitempty"`
	// Slots[p] are the owners of partition p, as indexes into Members.
	Slots [][]int `json:"slots,omitempty"`
	// Epochs that partitions changed at, and Changed[p] as an index into them.
	Epochs  []Epoch `json:"epochs,omitempty"`
	Changed []int   `json:"changed,omitempty"`
	// Arrivals are partition, slot and number, in that order.
	Arrivals [][3]uint64 `json:"arrivals,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (r *Ring) MarshalJSON() ([]byte, error) { return json.Marshal(r.encoded()) }

// encoded is the one form of r: members in the order of their ids, epochs in the
// order in which the partitions name them.
func (r *Ring) encoded() ringJSON {
	out := ringJSON{
		Version: ringVersion, Seed: r.config.Seed, Partitions: r.config.Partitions, Replicas: r.config.Replicas,
		Epoch: r.epoch, Members: r.Members(),
	}
	for p, owners := range r.slots {
		row := make([]int, len(owners))
		for i, id := range owners {
			row[i], _ = slices.BinarySearchFunc(out.Members, id, MemberID.Compare)
		}
		out.Slots = append(out.Slots, row)
		at := slices.Index(out.Epochs, r.changed[p])
		if at < 0 {
			at = len(out.Epochs)
			out.Epochs = append(out.Epochs, r.changed[p])
		}
		out.Changed = append(out.Changed, at)
	}
	for s, number := range r.arrivals {
		out.Arrivals = append(out.Arrivals, [3]uint64{uint64(s.Partition), uint64(s.Index), number})
	}
	slices.SortFunc(out.Arrivals, func(a, b [3]uint64) int { return slices.Compare(a[:], b[:]) })
	if len(out.Arrivals) > 0 {
		out.Version = ringVersionArrivals
	}
	return out
}

// UnmarshalJSON implements json.Unmarshaler. It takes only a ring that satisfies
// Check, with tables as MarshalJSON writes them; otherwise r stays as it was.
func (r *Ring) UnmarshalJSON(src []byte) error {
	var in ringJSON
	d := json.NewDecoder(bytes.NewReader(src))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return fmt.Errorf("ring: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("ring: there is more after the ring's end")
	}
	if in.Version != ringVersion && in.Version != ringVersionArrivals {
		return fmt.Errorf("ring: version %d is not known", in.Version)
	}
	next := Ring{config: Config{in.Seed, in.Partitions, in.Replicas}, epoch: in.Epoch}
	if len(in.Changed) != len(in.Slots) {
		return fmt.Errorf("ring: slots of %d partitions, and epochs of %d", len(in.Slots), len(in.Changed))
	}
	for p, row := range in.Slots {
		owners := make([]MemberID, len(row))
		for i, m := range row {
			if m < 0 || m >= len(in.Members) {
				return fmt.Errorf("ring: partition %d names member %d of %d", p, m, len(in.Members))
			}
			owners[i] = in.Members[m]
		}
		next.slots = append(next.slots, owners)
		if in.Changed[p] < 0 || in.Changed[p] >= len(in.Epochs) {
			return fmt.Errorf("ring: partition %d names epoch %d of %d", p, in.Changed[p], len(in.Epochs))
		}
		next.changed = append(next.changed, in.Epochs[in.Changed[p]])
	}
	if len(in.Arrivals) > 0 {
		next.arrivals = make(map[Slot]uint64, len(in.Arrivals))
	}
	for _, a := range in.Arrivals {
		if a[0] >= uint64(len(in.Slots)) || a[1] >= uint64(in.Replicas) {
			return fmt.Errorf("ring: an arrival at slot %d of partition %d", a[1], a[0])
		}
		next.arrivals[Slot{PartitionID(a[0]), int(a[1])}] = a[2]
	}
	if err := next.Check(); err != nil {
		return err
	}
	want := next.encoded()
	if !slices.Equal(in.Members, want.Members) {
		return errors.New("ring: the table of members is not the owners, in order")
	}
	if !slices.Equal(in.Epochs, want.Epochs) {
		return errors.New("ring: the table of epochs is not those of the partitions, in order")
	}
	if !slices.Equal(in.Arrivals, want.Arrivals) || in.Version != want.Version {
		return errors.New("ring: the table of arrivals is not in order, or of another version")
	}
	*r = next
	return nil
}
