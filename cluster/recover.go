package cluster

import (
	"context"
	"slices"
	"sync"

	"github.com/ringd/ringd/internal/clock"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// recoverAfter is how long a recovery listens for a leader before it takes there to
// be none: two elections, each begun late.
const recoverAfter = 2 * (raftHeartbeat + raftElection)

// Recovered is what a recovery came to.
type Recovered struct {
	// State that the new generation begins with.
	State *State
	// Reached are the other members whose states were looked at.
	Reached []ring.MemberID
	// Cancelled counts the moves that were under way and are not any more.
	Cancelled int
}

// Recover begins a new recovery generation, of a log with this member as its first:
// the way on when a majority of those that vote is gone for good. It begins with the
// newest state that this member and those that it reaches have; what only others
// knew is lost, which the caller has to accept. A person has it done at one member:
// of two that begin the same generation, what one has agreed on is dropped.
//
// Errors: of KindInvalid if the loss is not accepted; of KindPrecondition if there
// is a leader, among others; of KindUnknown if the new generation has begun, but not
// shown yet that it works.
func (n *Node) Recover(ctx context.Context, acceptDataLoss bool) (Recovered, error) {
	n.recovering.Lock()
	defer n.recovering.Unlock()
	if !acceptDataLoss {
		return Recovered{}, replica.Invalid("accept_data_loss", "is not set: changes of members, slots and settings that only lost members knew of are gone afterwards")
	}
	if n.isGateway() || n.raft.Load() == nil {
		return Recovered{}, replica.Errorf(replica.KindPrecondition, "member %s takes no part in the log: recover at a storage member that is up", n.config.Name)
	}
	if err := n.listen(ctx); err != nil {
		return Recovered{}, err
	}
	reached, err := n.newest(ctx)
	if err != nil {
		return Recovered{}, err
	}
	s := n.State()
	if err := s.recoverable(n.id, reached); err != nil {
		return Recovered{}, err
	}
	next, err := s.recovered(n.id, clock.Now())
	if err != nil {
		return Recovered{}, err
	}
	// In this order: as long as the state is not saved, the log named here is nobody's.
	if err := n.config.Dir.setFounds(next.log()); err != nil {
		return Recovered{}, err
	}
	if err := n.take(next); err != nil {
		return Recovered{}, err
	}
	out := Recovered{State: next, Reached: reached, Cancelled: len(s.Moves) - len(next.Moves)}
	return out, n.awaitLog(ctx, next.log())
}

// listen returns an error if a leader is known before it can be taken that there is
// none.
func (n *Node) listen(ctx context.Context) error {
	d := recoverAfter
	if h := n.config.heartbeat; h > 0 {
		d = 4 * h
	}
	for end := clock.Now().Add(d); clock.Now().Before(end); {
		if leader, ok := n.leads(); ok {
			return n.State().errHasLeader(leader)
		}
		if !sleep(ctx, retryEvery) {
			return replica.Errorf(replica.KindUnavailable, "the caller left before it was sure that there is no leader")
		}
	}
	return nil
}

func (s *State) errHasLeader(leader ring.MemberID) error {
	return replica.Errorf(replica.KindPrecondition, "the members have a leader, %s, so that nothing is to be recovered: ringctl remove, or replace, takes out members that are gone (if the leader was lost just now, try again in some seconds)", s.nameOf(leader))
}

// newest takes over the newest state that the other members have, and returns those
// that were reached.
func (n *Node) newest(ctx context.Context) ([]ring.MemberID, error) {
	type reply struct {
		id     ring.MemberID
		answer answer
		err    error
	}
	before := n.State()
	replies := make(chan reply, len(before.Members))
	var all sync.WaitGroup
	for id, m := range before.Members {
		addr, ok := n.Resolve(id)
		if id == n.id || m.Role != RoleStorage || !ok {
			continue
		}
		all.Go(func() {
			a, err := n.ask(ctx, addr, callState, question{})
			replies <- reply{id, a, err}
		})
	}
	all.Wait()
	close(replies)
	var reached []ring.MemberID
	for r := range replies {
		if r.err != nil && (!final(r.err) || isOtherCluster(r.err)) {
			continue
		}
		if r.err != nil {
			return nil, r.err
		}
		if leader, ok := leaderIn(r.answer.Roles); ok {
			return nil, before.errHasLeader(leader)
		}
		if err := n.Adopt(r.answer.State); err != nil {
			return nil, replica.Errorf(replica.KindPrecondition, "the state that %s has can't be read: start the release of ringd that it runs here: %v", before.nameOf(r.id), err)
		}
		reached = append(reached, r.id)
	}
	slices.SortFunc(reached, ring.MemberID.Compare)
	if s := n.State(); s.log() != before.log() {
		return nil, replica.Errorf(replica.KindPrecondition, "%s began recovery generation %d already, and this member takes part in it from now on: see whether it gets a leader before you try again", s.nameOf(s.Recovery.By), s.Ring.Epoch().Generation)
	}
	return reached, nil
}

// recoverable returns why a member can't begin a new generation.
func (s *State) recoverable(by ring.MemberID, reached []ring.MemberID) error {
	if s.IsOut(by) {
		return s.errOut(by)
	}
	if _, ok := s.Members[by]; !ok {
		return replica.Errorf(replica.KindPrecondition, "member %v is not in this cluster", by)
	}
	if !s.Ring.HasOwners() {
		return replica.Errorf(replica.KindPrecondition, "the partitions have no owners yet, so that nothing is stored: begin the cluster anew, with empty directories")
	}
	for _, id := range append(reached, by) {
		if m := s.Members[id]; !m.Gone && !m.Capabilities.has(CapabilityMoves) {
			return replica.Errorf(replica.KindPrecondition, "member %s runs a release of ringd that could not follow (wire version %d): stop it, start a later one, and try again", m.Name, m.Speaks())
		}
	}
	return nil
}

// awaitLog waits until this member leads a log that it begins.
func (n *Node) awaitLog(ctx context.Context, log string) error {
	for {
		if s := n.State(); s.log() != log {
			return replica.Errorf(replica.KindAborted, "%s began a recovery at the same time, and that one counts (generation %d)", s.nameOf(s.Recovery.By), s.Ring.Epoch().Generation)
		}
		if leader, ok := n.leads(); ok && leader == n.id && n.raft.Load().id == log && !n.config.Dir.begins(log) {
			return nil
		}
		if n.ctx.Err() != nil || !sleep(ctx, retryEvery) {
			return &replica.Error{Kind: replica.KindUnknown, MaybeApplied: true, Message: "the new recovery generation is saved, and has no leader yet: ringctl status shows when it has; do not begin another"}
		}
	}
}
