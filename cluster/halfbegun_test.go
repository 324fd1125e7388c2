package cluster

import (
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// TestForgetHalfBegun: a log of which only the term was written can be begun again, one
// that has an entry is left as it is.
func TestForgetHalfBegun(t *testing.T) {
	for name, c := range map[string]struct{ term, entries, want uint64 }{
		"nothing": {0, 0, 0}, "the term alone": {1, 0, 0}, "an entry": {1, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			store, err := raftboltdb.NewBoltStore(filepath.Join(t.TempDir(), "log.db"))
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			if c.term > 0 {
				if err := store.SetUint64([]byte("CurrentTerm"), c.term); err != nil {
					t.Fatal(err)
				}
			}
			for i := range c.entries {
				if err := store.StoreLog(&raft.Log{Index: i + 1, Term: 1}); err != nil {
					t.Fatal(err)
				}
			}
			snapshots := raft.NewInmemSnapshotStore()
			has := func() bool {
				t.Helper()
				has, err := raft.HasExistingState(store, store, snapshots)
				if err != nil {
					t.Fatal(err)
				}
				return has
			}
			if has() != (c.term > 0) {
				t.Fatalf("raft sees a log: %v", has())
			}
			if err := forgetHalfBegun(store, snapshots); err != nil {
				t.Fatal(err)
			}
			if has() != (c.want > 0) {
				t.Errorf("raft sees a log afterwards: %v", has())
			}
		})
	}
}
