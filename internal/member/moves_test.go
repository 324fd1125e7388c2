package member

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// startMember starts a member in this process, which ends with the test.
func startMember(t *testing.T, name string, join ...string) *Member {
	t.Helper()
	return startMemberWith(t, name, func(c *Config) { c.Partitions = 32 }, join...)
}

func startMemberWith(t *testing.T, name string, change func(*Config), join ...string) *Member {
	t.Helper()
	c := DefaultConfig()
	c.DataDir, c.Name = t.TempDir(), name
	c.Listen, c.Gossip, c.HTTP = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.Bootstrap, c.Join = len(join) == 0, join
	change(&c)
	c.Logger = slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelInfo})).With("member", name)
	m, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	return m
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(string(b))
	return len(b), nil
}

// until waits for what takes a while.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatalf("it never came to be that %s", what)
		case <-ticker.C:
		}
	}
}

func commitAll(t *testing.T, m *Member, changes map[ring.MemberID]cluster.Change) {
	t.Helper()
	if changes != nil {
		if err := m.Apply(t.Context(), cluster.Command{Stage: &cluster.Stage{Changes: changes}}); err != nil {
			t.Fatal(err)
		}
	}
	s := m.State()
	if _, err := m.Commit(t.Context(), s.Ring.Epoch(), s.Revision, false); err != nil {
		t.Fatal(err)
	}
}

func TestMembersJoinAndLeave(t *testing.T) {
	members := []*Member{startMember(t, "a")}
	for _, name := range []string{"b", "c"} {
		members = append(members, startMember(t, name, members[0].Endpoints().GRPC))
	}
	until(t, "three members are known", func() bool { return len(members[0].State().Members) == 3 })
	commitAll(t, members[0], nil)
	for _, m := range members {
		until(t, "all know the owners", func() bool { return m.State().Ring.HasOwners() })
	}
	put := func(m *Member, i int) {
		_, err := m.Write(t.Context(), replica.Write{
			Key: replica.Key{Type: "default", Bucket: "b", Key: fmt.Sprint(i)}, Value: []byte(fmt.Sprint("value ", i)),
			Request: [16]byte{1, byte(i), byte(i >> 8)},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 500 {
		put(members[i%3], i)
	}
	for _, name := range []string{"d", "e"} {
		members = append(members, startMember(t, name, members[0].Endpoints().GRPC))
	}
	joined := map[ring.MemberID]cluster.Change{members[3].dir.ID(): {Join: true}, members[4].dir.ID(): {Join: true}}
	commitAll(t, members[1], joined)
	settled := func() bool {
		for _, m := range members {
			if len(m.State().Moves) > 0 || m.State().Version != members[0].State().Version {
				return false
			}
		}
		return true
	}
	until(t, "all slots have moved", settled)
	check := func(m *Member) {
		for i := range 500 {
			g, err := m.Get(t.Context(), replica.Get{Key: replica.Key{Type: "default", Bucket: "b", Key: fmt.Sprint(i)}, Options: replica.Options{R: replica.All}})
			if err != nil || len(g.Object.Siblings) != 1 || string(g.Object.Siblings[0].Value) != fmt.Sprint("value ", i) {
				t.Fatalf("key %d: %+v, %v", i, g, err)
			}
		}
	}
	check(members[4])
	commitAll(t, members[2], map[ring.MemberID]cluster.Change{members[0].dir.ID(): {Leave: true}})
	until(t, "the member that leaves is out", func() bool { return members[2].State().Removed[members[0].dir.ID()] })
	check(members[3])
}

// TestDoubtOutlastsAnOlderLook: a move that began while it was looked whether a
// partition holds what this member does not own will have to be looked after.
func TestDoubtOutlastsAnOlderLook(t *testing.T) {
	self, other := ring.MemberID{1}, ring.MemberID{2}
	r, err := ring.New(ring.Config{Seed: 1, Partitions: 8, Replicas: 1})
	if err != nil {
		t.Fatal(err)
	}
	m := newMover(&repairer{coord: &coordinator{self: self}}, nil)
	m.follow(&cluster.State{Version: 1, Ring: r})
	looked := m.mu.doubtful[3]
	m.follow(&cluster.State{Version: 2, Ring: r, Moves: []replica.Move{{Number: 1, Partition: 3, From: self, To: other}}})
	m.trust(3, looked)
	if _, doubtful := m.mu.doubtful[3]; !doubtful {
		t.Error("what the move leaves behind is forgotten")
	}
	m.trust(3, m.mu.doubtful[3])
	if _, doubtful := m.mu.doubtful[3]; doubtful {
		t.Error("a partition is doubted for ever")
	}
}

// TestGenerationIsLookedAtAnew: the owners that a recovery goes back to may have lost
// their slots since, and anybody may hold what is not theirs any more.
func TestGenerationIsLookedAtAnew(t *testing.T) {
	self := ring.MemberID{1}
	r, err := ring.New(ring.Config{Seed: 1, Partitions: 8, Replicas: 1})
	if err != nil {
		t.Fatal(err)
	}
	slots := make([][]ring.MemberID, 8)
	for p := range slots {
		slots[p] = []ring.MemberID{self}
	}
	if r, err = r.WithSlots(ring.Epoch{Generation: 1, Number: 1}, slots); err != nil {
		t.Fatal(err)
	}
	m := newMover(&repairer{coord: &coordinator{self: self}}, nil)
	m.follow(&cluster.State{Version: 1, Ring: r})
	for p := range r.Partitions() {
		m.trust(ring.PartitionID(p), 1)
	}
	slot := ring.Slot{Partition: 3}
	m.mu.begun[slot] = 5
	m.follow(&cluster.State{Version: 2, Ring: r})
	if len(m.mu.doubtful) > 0 || m.mu.begun[slot] != 5 {
		t.Errorf("within a generation, %d partitions are doubted, and %v are told of", len(m.mu.doubtful), m.mu.begun)
	}
	if r, err = r.WithEpoch(r.Epoch().NextGeneration(self)); err != nil {
		t.Fatal(err)
	}
	m.follow(&cluster.State{Version: 3, Ring: r})
	if len(m.mu.doubtful) != r.Partitions() || len(m.mu.begun) > 0 {
		t.Errorf("in a new generation, %d partitions are doubted, and %v are told of", len(m.mu.doubtful), m.mu.begun)
	}
}
