package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// allOwned is owned, once all members know.
func allOwned(t *testing.T, f *fakeNet, n int) []*host {
	t.Helper()
	hosts := owned(t, f, n)
	for _, h := range hosts {
		h.until("it has the ring", func() bool { return h.node.State().Ring.HasOwners() })
	}
	return hosts
}

// mustFollow waits until h serves the log of s, and takes part in it.
func mustFollow(t *testing.T, h *host, s *State) {
	t.Helper()
	h.until("it has the state of the recovery", func() bool { return h.node.State().log() == s.log() })
	for ctx := within(t); ; {
		if _, ok := h.node.leads(); ok && h.node.raft.Load().id == s.log() {
			break
		}
		if !sleep(ctx, retryEvery) {
			t.Fatalf("%s: the log that was recovered has no leader", h.name)
		}
	}
	logs, err := filepath.Glob(filepath.Join(h.path, raftDir+"*"))
	if err != nil || !slices.Equal(logs, []string{filepath.Join(h.path, logDir(s.log()))}) {
		t.Errorf("%s has the logs %v, %v", h.name, logs, err)
	}
}

// leaderless waits until h knows of no leader: nothing tells of that.
func leaderless(t *testing.T, h *host) {
	t.Helper()
	for ctx := within(t); ; {
		if _, ok := h.node.leads(); !ok {
			return
		}
		if !sleep(ctx, retryEvery) {
			t.Fatalf("%s: there is a leader", h.name)
		}
	}
}

// createType has a bucket type agreed on, through h.
func createType(t *testing.T, h *host, name string) {
	t.Helper()
	bt := replica.NewBucketType(name, 2)
	for ctx := within(t); ; {
		err := h.node.Apply(ctx, Command{CreateBucketType: &bt})
		if err == nil || replica.KindOf(err) == replica.KindPrecondition {
			return // now, or by an attempt before
		}
		if replica.KindOf(err) != replica.KindUnknown || !sleep(ctx, retryEvery) {
			t.Fatal(err)
		}
	}
}

func hasType(h *host, name string) func() bool {
	return func() bool { _, ok := h.node.State().BucketType(name); return ok }
}

// TestRecover: three of five that vote are gone. At one of the others a person
// begins a new generation, with what the other one knew, too; what is agreed on from
// then on reaches both, and those of the old generation that come back after all.
func TestRecover(t *testing.T) {
	t.Parallel()
	f := newFakeNet()
	hosts := allOwned(t, f, 5)
	one, other := hosts[3], hosts[4]
	mustAgree(t, hosts[0], Command{Stage: &Stage{map[ring.MemberID]Change{hosts[1].node.ID(): {Weight: 2}}}})
	for _, h := range hosts {
		h.until("it knows what is staged", func() bool { return len(h.node.State().Staged) == 1 })
	}
	// The other knows something that the one does not.
	newer, err := other.node.State().Apply(Command{CreateBucketType: bucketType("lately", 2)})
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts[:3] {
		h.stop()
	}
	if err := other.node.take(newer); err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts[3:] {
		leaderless(t, h)
	}
	if _, err := one.node.Recover(within(t), false); replica.KindOf(err) != replica.KindInvalid {
		t.Errorf("without accepting the loss: %v", err)
	}
	before := one.node.State()
	got, err := one.node.Recover(within(t), true)
	if err != nil {
		t.Fatal(err)
	}
	if s := got.State; s.Ring.Epoch().Generation != 2 || s.Version <= newer.Version || len(s.Staged) > 0 || len(got.Reached) != 1 {
		t.Errorf("generation %v, version %d, staged %v, reached %v", s.Ring.Epoch(), s.Version, s.Staged, got.Reached)
	}
	if p := ring.PartitionID(0); got.State.Ring.OwnersChanged(p) != got.State.Ring.Epoch() || !slices.Equal(got.State.Ring.Owners(p), before.Ring.Owners(p)) {
		t.Errorf("partition 0 has the owners %v since %v", got.State.Ring.Owners(p), got.State.Ring.OwnersChanged(p))
	}
	if !hasType(one, "lately")() {
		t.Error("what the other one knew was lost")
	}
	mustFollow(t, one, got.State)
	mustFollow(t, other, got.State)
	createType(t, other, "after")
	one.until("it sees what was agreed on", hasType(one, "after"))

	// One that is behind, and one that starts as a follower with the old state.
	for i, h := range hosts[:2] {
		h.start()
		h.started()
		mustFollow(t, h, got.State)
		createType(t, h, fmt.Sprint("returned", i))
	}
	other.until("it has a vote among those that are there", func() bool { return len(other.node.Roles()) == 5 })

	// A restart of all begins with the new log.
	for _, h := range []*host{one, other, hosts[0], hosts[1]} {
		h.stop()
	}
	for _, h := range []*host{one, other, hosts[0], hosts[1]} {
		h.start()
	}
	for _, h := range []*host{one, other, hosts[0], hosts[1]} {
		h.started()
		h.until("it knows all", hasType(h, "returned1"))
	}
}

// TestRecoverBesideTheOldMajority: gossip sees the lost ones, as it does for a while
// after they are gone, and they get no vote for that; they even go on with the old
// log. When they can be reached again they follow the new one.
func TestRecoverBesideTheOldMajority(t *testing.T) {
	t.Parallel()
	f := newFakeNet()
	hosts := allOwned(t, f, 5)
	lost, left := hosts[:3], hosts[3:]
	for _, h := range left {
		h.stop()
	}
	for _, h := range lost {
		f.setCut(h.addr, true)
	}
	for _, h := range left {
		h.start()
	}
	left[0].until("gossip sees all", func() bool { return len(left[0].node.Alive()) == 5 })
	got, err := left[0].node.Recover(within(t), true)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Reached) != 1 {
		t.Fatalf("it reached %v", got.Reached)
	}
	for _, h := range left {
		mustFollow(t, h, got.State)
		h.started()
	}
	createType(t, left[1], "new")
	// Long enough for the leader to look more than once who may vote.
	voting(left[0], 2)
	for range 3 {
		if !sleep(within(t), reconcileEvery) {
			t.Fatal("no time")
		}
	}
	createType(t, left[1], "newer")
	createType(t, lost[0], "old")
	for _, h := range lost {
		f.setCut(h.addr, false)
	}
	for _, h := range lost {
		mustFollow(t, h, got.State)
		h.until("it knows what was agreed on since", hasType(h, "newer"))
		if hasType(h, "old")() {
			t.Errorf("%s knows what the old generation agreed on", h.name)
		}
	}
	voting(left[0], 5)
}

// TestRecoverRefused: where there is a leader, or something speaks against it.
func TestRecoverRefused(t *testing.T) {
	t.Parallel()
	f := newFakeNet()
	hosts := allOwned(t, f, 3)
	_, err := hosts[2].node.Recover(within(t), true)
	mustSay(t, err, "the members have a leader")
	// One that was cut off knows of none, and hears of it from those that it reaches.
	hosts[2].stop()
	f.setCut(hosts[2].addr, true)
	hosts[2].start()
	f.setCut(hosts[2].addr, false)
	if _, ok := hosts[2].node.leads(); !ok {
		_, err = hosts[2].node.newest(within(t))
		mustSay(t, err, "the members have a leader")
	}
	mustNotHaveChanged(t, hosts[2])

	gone := hosts[1].node.ID()
	hosts[0].stop()
	hosts[1].stop()
	ctx, cancel := context.WithCancel(within(t))
	leaderless(t, hosts[2])
	cancel()
	if _, err := hosts[2].node.Recover(ctx, true); replica.KindOf(err) != replica.KindUnavailable {
		t.Errorf("the caller left: %v", err)
	}
	mustNotHaveChanged(t, hosts[2])

	lone := newHost(t, f, "lone")
	lone.start(begin)
	lone.started()
	mustSay(t, lone.node.State().recoverable(lone.node.ID(), nil), "no owners yet")
	s := hosts[2].node.State().clone()
	m := s.Members[gone]
	m.Wire, m.Capabilities = 2, CapabilitiesOf(2)
	s.Members[m.ID] = m
	mustSay(t, s.recoverable(hosts[2].node.ID(), []ring.MemberID{m.ID}), "start a later one")
	if err := s.recoverable(hosts[2].node.ID(), nil); err != nil {
		t.Errorf("an old release that is not reached: %v", err)
	}
}

func mustNotHaveChanged(t *testing.T, h *host) {
	t.Helper()
	if g := h.node.State().Ring.Epoch().Generation; g != 1 || h.node.State().Recovery != nil {
		t.Errorf("%s is in generation %d", h.name, g)
	}
}

// TestRecoverTwice: two members that don't reach each other begin the same
// generation. When they do, one of the two counts for both.
func TestRecoverTwice(t *testing.T) {
	t.Parallel()
	f := newFakeNet()
	hosts := allOwned(t, f, 5)
	for _, h := range hosts[:3] {
		h.stop()
	}
	pair := hosts[3:]
	f.setCut(pair[0].addr, true)
	var states []*State
	for i, h := range pair {
		leaderless(t, h)
		got, err := h.node.Recover(within(t), true)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Reached) != 0 {
			t.Fatalf("it reached %v", got.Reached)
		}
		createType(t, h, fmt.Sprint("by", i))
		states = append(states, got.State)
	}
	wins := 0
	if states[1].NewerThan(states[0]) {
		wins = 1
	}
	f.setCut(pair[0].addr, false)
	for _, h := range pair {
		mustFollow(t, h, states[wins])
		h.until("it knows what the one agreed on", hasType(h, fmt.Sprint("by", wins)))
		if hasType(h, fmt.Sprint("by", 1-wins))() {
			t.Errorf("%s knows what the other agreed on", h.name)
		}
	}
	createType(t, pair[1-wins], "together")
	pair[wins].until("it knows what both agree on", hasType(pair[wins], "together"))
}

// TestRecoverCutShort: after a crash at any step there is the old generation or the
// new one, and doing it again does no harm.
func TestRecoverCutShort(t *testing.T) {
	t.Parallel()
	f := newFakeNet()
	hosts := allOwned(t, f, 3)
	h := hosts[2]
	for _, other := range hosts {
		other.stop()
	}
	again := func() *State {
		t.Helper()
		if err := h.try(); err != nil {
			t.Fatal(err)
		}
		return h.node.State()
	}
	// Before the state is saved: the log that it named is nobody's.
	s := again()
	next, err := s.recovered(h.node.ID(), s.Members[h.node.ID()].JoinedAt)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.dir.setFounds(next.log()); err != nil {
		t.Fatal(err)
	}
	h.stop()
	if s = again(); s.log() != "" {
		t.Fatalf("the state is of the log %q", s.log())
	}
	mustNotHaveChanged(t, h)
	// Before the log is begun.
	b, err := next.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.dir.writeBytes(stateFile, b); err != nil {
		t.Fatal(err)
	}
	h.stop()
	if s = again(); s.log() != next.log() {
		t.Fatalf("the state is of the log %q", s.log())
	}
	mustFollow(t, h, next)
	h.started()
	createType(t, h, "first")
	// The log is gone with what it said: the member does not begin it again.
	h.stop()
	if h.dir.begins(next.log()) {
		t.Error("it would begin the log again")
	}
	if err := os.RemoveAll(filepath.Join(h.path, logDir(next.log()))); err != nil {
		t.Fatal(err)
	}
	again()
	got, err := h.node.Recover(within(t), true)
	if err != nil {
		t.Fatal(err)
	}
	if g := got.State.Ring.Epoch().Generation; g != 3 || !hasType(h, "first")() {
		t.Errorf("generation %d", g)
	}
	mustFollow(t, h, got.State)
}

// TestOneGenerationBegunTwice: however far the log has come that does not count, its
// rings are before those of the one that does: what goes by epochs alone, as vnodes
// do, would else keep the ring that is dropped.
func TestOneGenerationBegunTwice(t *testing.T) {
	s := movingState(t)
	at := s.Members[memberID(1)].JoinedAt
	low, err := s.recovered(ring.MemberID{0: 0x12, 2: 0x0f}, at)
	if err != nil {
		t.Fatal(err)
	}
	high, err := s.recovered(ring.MemberID{0: 0x12, 2: 0x10}, at)
	if err != nil {
		t.Fatal(err)
	}
	epoch := low.Ring.Epoch()
	epoch.Number += 1 << 31
	if low.Ring, err = low.Ring.WithEpoch(epoch); err != nil {
		t.Fatal(err)
	}
	if !high.NewerThan(low) || high.Ring.Epoch().Compare(epoch) <= 0 {
		t.Errorf("the log that counts has the ring %v, the other one %v", high.Ring.Epoch(), epoch)
	}
	again, err := high.recovered(ring.MemberID{}, at)
	if err == nil {
		t.Errorf("a recovery by nobody: %v", again.Ring.Epoch())
	}
	if again, err = high.recovered(memberID(1), at); err != nil || again.Ring.Epoch().Compare(high.Ring.Epoch()) <= 0 || !again.NewerThan(high) {
		t.Errorf("the next generation: %v", err)
	}
}

// TestRecoveredState: moves are turned back, numbers begin out of reach of those that
// were lost, and starts that only the lost log counted are believed.
func TestRecoveredState(t *testing.T) {
	s := movingState(t)
	last := s.LastMove
	next, err := s.recovered(memberID(1), s.Members[memberID(1)].JoinedAt)
	if err != nil {
		t.Fatal(err)
	}
	if next.LastMove < last+movesLostMax || slices.ContainsFunc(next.Moves, func(m replica.Move) bool { return !m.Rebuild }) || !next.NewerThan(s) || s.NewerThan(next) {
		t.Errorf("last move %d, moves %v", next.LastMove, next.Moves)
	}
	if !next.IsOfEarlierLog(last) || !next.IsOfEarlierLog(last+1000) || next.IsOfEarlierLog(next.LastMove+1) || s.IsOfEarlierLog(last) {
		t.Errorf("moves up to %d, or lost after them, are taken for those of the new generation, or the other way round", last)
	}
	start := StartMember{ID: memberID(1), Before: next.Members[memberID(1)].Starts + 3, Nonce: "n", GRPC: "a:1", Weight: 1, Wire: 3, Capabilities: CapabilitiesOf(3)}
	if _, err := s.Apply(Command{StartMember: &start}); err == nil {
		t.Error("without a recovery, a start that nobody counted was believed")
	}
	after, err := next.Apply(Command{StartMember: &start})
	if err != nil || after.Members[memberID(1)].Starts != start.Before+1 {
		t.Errorf("after a recovery: %v", err)
	}
	unknown := memberID(77)
	mustSay(t, next.knows(unknown), "nobody who was left knew of member")
	if err := next.knows(memberID(1)); err != nil {
		t.Error(err)
	}
	broken := next.clone()
	broken.Recovery = nil
	if err := broken.check(); err == nil {
		t.Error("a later generation that nobody began")
	}
}
