package cluster

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// State is what is agreed on, as far as this member knows. It is not to be
// changed; nil before the member belongs to a cluster.
func (n *Node) State() *State { return n.served.Load() }

// ID of this member.
func (n *Node) ID() ring.MemberID { return n.id }

// Starts is the agreed count of this member's starts.
func (n *Node) Starts() uint64 { return n.starts.Load() }

// take makes s the state that is served, after it is saved, if it is newer than
// what is served.
func (n *Node) take(s *State) error {
	n.taking.Lock()
	defer n.taking.Unlock()
	if !s.NewerThan(n.State()) {
		return nil
	}
	b, err := s.Encode()
	if err != nil {
		return err
	}
	if err := n.config.Dir.writeBytes(stateFile, b); err != nil {
		return err
	}
	before := n.served.Swap(s)
	if before != nil && before.log() != s.log() {
		n.log.Warn("a recovery began a new generation of what is agreed on: what this member knew beyond it is dropped",
			"generation", s.Ring.Epoch().Generation, "begun by", s.nameOf(s.Recovery.By), "at", s.Recovery.At, "version", s.Version, "version before", before.Version)
		select {
		case n.relog <- struct{}{}:
		default:
		}
	}
	n.poke()
	return nil
}

// Adopt takes over a state that another member sent, if it is of this cluster
// and newer.
func (n *Node) Adopt(encoded []byte) error {
	s, err := DecodeState(encoded)
	if err != nil {
		return err
	}
	if s.ClusterID != n.config.Dir.ClusterID() {
		return errors.New("cluster: a state of another cluster")
	}
	return n.take(s)
}

// Fetch asks a member for its state and adopts it.
func (n *Node) Fetch(ctx context.Context, id ring.MemberID) error {
	addr, ok := n.Resolve(id)
	if !ok {
		return replica.Errorf(replica.KindUnavailable, "the address of member %v is not known", id)
	}
	a, err := n.ask(ctx, addr, callState, question{})
	if err != nil {
		return err
	}
	return n.Adopt(a.State)
}

// Refresh brings the state up to what the leader has.
func (n *Node) Refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	leader, ok := n.leads()
	switch {
	case !ok:
		return errNoLeader
	case leader == n.id:
		return nil
	}
	return n.Fetch(ctx, leader)
}

var errNoLeader = replica.Errorf(replica.KindUnavailable, "the members have no leader: a majority of them has to be up for changes to the cluster")

// Change has agreed on what change makes of the present state. It is asked again, with a
// newer one, as long as another change came between; an error of its own, or an empty
// command, because nothing is to be changed, ends that. Errors as Apply's.
func (n *Node) Change(ctx context.Context, change func(*State) (Command, error)) error {
	for {
		err := n.Refresh(ctx)
		if err != nil && replica.KindOf(err) == replica.KindUnavailable && n.ctx.Err() == nil && sleep(ctx, retryEvery) {
			continue
		}
		if err != nil {
			return err
		}
		c, err := change(n.State())
		if err != nil || c == (Command{}) {
			return err
		}
		if err = n.Apply(ctx, c); replica.KindOf(err) != replica.KindAborted || ctx.Err() != nil {
			return err
		}
	}
}

// Apply has a command agreed on, through whoever leads, and returns once this
// member serves a state that has it. Errors: what State.Apply says;
// KindUnavailable if there is no leader; KindUnknown if it may yet be applied.
func (n *Node) Apply(ctx context.Context, c Command) error {
	if err := n.State().admits(c); err != nil {
		return err
	}
	var err error = errNoLeader
	for {
		leader, ok := n.leads()
		switch {
		case ok && leader == n.id:
			err = n.propose(c)
		case ok:
			err = n.forward(ctx, leader, c)
		default:
			err = errNoLeader
		}
		if err == nil || replica.KindOf(err) != replica.KindUnavailable {
			return err
		}
		if n.ctx.Err() != nil || !sleep(ctx, retryEvery) {
			return err
		}
	}
}

// propose adds a command to the log that this member leads.
func (n *Node) propose(c Command) error {
	if err := n.State().admits(c); err != nil {
		return err
	}
	b, err := c.Encode()
	if err != nil {
		return err
	}
	f := n.raft.Load().raft.Apply(b, askWithin)
	switch err := f.Error(); {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrEnqueueTimeout), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return errNoLeader
	case err != nil:
		return &replica.Error{Kind: replica.KindUnknown, Message: "the change may or may not come into effect: " + err.Error(), MaybeApplied: true}
	}
	return f.Response().(applied).err
}

func (n *Node) forward(ctx context.Context, leader ring.MemberID, c Command) error {
	addr, ok := n.Resolve(leader)
	if !ok {
		return errNoLeader
	}
	b, err := c.Encode()
	if err != nil {
		return err
	}
	a, err := n.ask(ctx, addr, callApply, question{Command: b})
	if isOtherCluster(err) {
		// The address was the leader's once.
		return errNoLeader
	}
	if err != nil {
		return err
	}
	return n.Adopt(a.State)
}

// Resolve returns where a member's gRPC listener is. Gossip knows first where a
// member is that it sees; of one that it does not see, the address of the later
// start counts.
func (n *Node) Resolve(id ring.MemberID) (string, bool) {
	var seen Peer
	if g := n.gossip.Load(); g != nil {
		seen, _ = g.peer(id)
		if seen.GRPC != "" && g.alive()[id] != Dead {
			return seen.GRPC, true
		}
	}
	var agreed Member
	if s := n.State(); s != nil {
		agreed = s.Members[id]
	}
	if seen.GRPC != "" && seen.Starts >= agreed.Starts {
		return seen.GRPC, true
	}
	return agreed.GRPC, agreed.GRPC != ""
}

// Alive are the members that gossip sees, this one included.
func (n *Node) Alive() map[ring.MemberID]Liveness {
	if g := n.gossip.Load(); g != nil {
		return g.alive()
	}
	return nil
}

// Roles are what members are in the log, by id: leader, voter or nonvoter.
func (n *Node) Roles() map[ring.MemberID]string {
	if r := n.raft.Load(); r != nil {
		return r.roles()
	}
	if told := n.told.Load(); told != nil {
		return *told
	}
	return nil
}

// leads is the member that leads the log, if there is one.
func (n *Node) leads() (ring.MemberID, bool) {
	if r := n.raft.Load(); r != nil {
		return r.leader()
	}
	if told := n.told.Load(); told != nil {
		return leaderIn(*told)
	}
	return ring.MemberID{}, false
}

// GossipAddress is where this member's gossip is; empty before Start.
func (n *Node) GossipAddress() string {
	if g := n.gossip.Load(); g != nil {
		return g.address()
	}
	return ""
}

// Plan is what a commit would do, and the state that it is made from.
func (n *Node) Plan() (*State, ring.Placement, error) {
	s := n.State()
	from, err := s.Planned()
	if err != nil {
		return s, ring.Placement{}, err
	}
	p, err := ring.Plan(from.Ring, from.Candidates())
	if err != nil {
		return s, p, replica.Errorf(replica.KindPrecondition, "%v", err)
	}
	return s, p, nil
}

// Commit carries out what Plan says, if revision, and the ring's generation, are
// still those that the plan was seen at. (Moves that come to their end meanwhile
// change the ring's epoch, and not the plan.) It reports whether anything changed.
func (n *Node) Commit(ctx context.Context, epoch ring.Epoch, revision uint64, acceptDataLoss bool) (bool, error) {
	for {
		s, p, err := n.Plan()
		if err != nil {
			return false, err
		}
		if now := s.Ring.Epoch(); now.Generation != epoch.Generation || s.Revision != revision {
			return false, replica.Errorf(replica.KindAborted, "the ring is at epoch %v and revision %d, the plan that was seen at %v and %d: look at the plan again", now, s.Revision, epoch, revision)
		}
		if len(p.Moves) == 0 && len(s.Staged) == 0 {
			return false, nil
		}
		c := s.CommitOf(p, acceptDataLoss)
		err = n.Apply(ctx, Command{CommitPlan: &c})
		if replica.KindOf(err) != replica.KindAborted {
			return err == nil, err
		}
		// Moves have come to their end, or else the look above says what changed.
		if refreshErr := n.Refresh(ctx); refreshErr != nil || ctx.Err() != nil {
			return false, err
		}
	}
}

// gossipSeeds are addresses that members were said to be at.
func (n *Node) gossipSeeds() []string {
	n.mu.Lock()
	out := slices.Clone(n.mu.seeds)
	n.mu.Unlock()
	if s := n.State(); s != nil {
		alive := n.Alive()
		for id, m := range s.Members {
			if alive[id] == Dead && m.Gossip != "" {
				out = append(out, m.Gossip)
			}
		}
	}
	return out
}

func (n *Node) seeSeeds(addrs []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range addrs {
		if !slices.Contains(n.mu.seeds, a) {
			n.mu.seeds = append(n.mu.seeds, a)
		}
	}
	n.mu.seeds = n.mu.seeds[max(0, len(n.mu.seeds)-seedsMax):]
}

// probeHints asks hints where the others are, until the others are found.
func (n *Node) probeHints() {
	for len(n.config.Join) > 0 && n.ctx.Err() == nil {
		for _, addr := range n.config.Join {
			ctx, cancel := context.WithTimeout(n.ctx, askWithin)
			if a, err := n.ask(ctx, addr, callState, question{}); err == nil {
				n.seeSeeds(a.Gossip)
			}
			cancel()
		}
		if len(n.Alive()) > 1 {
			return
		}
		sleep(n.ctx, time.Second)
	}
}
