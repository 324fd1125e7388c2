package member

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
	"github.com/ringd/ringd/vnode"
)

// identifyStore gives a new store its name, which stands in the data directory
// and in every keyspace. One that was emptied, or replaced, is so found out: its
// vnodes would answer "not found" for what they had acknowledged. They are set
// to get their data back from the other owners before they answer reads.
func identifyStore(engine storage.Engine, dir *cluster.Dir, state *cluster.State, log *slog.Logger) error {
	known, err := dir.Store()
	if err != nil {
		return err
	}
	if known != "" {
		whole, err := hasName(engine, known)
		if whole || err != nil {
			return err
		}
	}
	b := new(storage.Batch)
	if known != "" {
		log.Error("the store is not as this directory left it: part of its data is gone, and is got back from the other owners before reads are answered")
		r, leaving := state.Ring, make(map[ring.PartitionID]uint64)
		for _, move := range state.Active() {
			if move.From == dir.ID() && !move.Rebuild {
				leaving[move.Partition] = move.Number
			}
		}
		for p := range r.Partitions() {
			slot, owner := r.SlotOf(ring.PartitionID(p), dir.ID())
			arrival := r.Arrival(ring.Slot{Partition: ring.PartitionID(p), Index: slot})
			if err := vnode.Lose(b, engine, ring.PartitionID(p), r.Replicas(), owner, arrival, leaving[ring.PartitionID(p)]); err != nil {
				return err
			}
		}
	}
	name := fmt.Sprintf("%016x", randomUint64())
	for _, key := range storage.SentinelKeys() {
		b.Set(key, []byte(name))
	}
	commit, err := engine.Apply(b)
	if err == nil {
		err = commit.Wait()
	}
	if err != nil {
		return fmt.Errorf("naming the store: %w", err)
	}
	// The directory comes last: a crash in between names the store anew.
	return dir.SetStore(name)
}

func hasName(engine storage.Engine, name string) (bool, error) {
	for _, key := range storage.SentinelKeys() {
		value, err := engine.Get(key)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("the name of the store: %w", err)
		case string(value) != name:
			return false, nil
		}
	}
	return true, nil
}
