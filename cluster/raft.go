package cluster

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

const (
	// votersMax keeps the log's quorum small; further members follow.
	votersMax = 5
	// Topology is not in a hurry: timeouts that a busy disk or a long garbage
	// collection don't set off.
	raftHeartbeat = 1500 * time.Millisecond
	raftElection  = 1500 * time.Millisecond
	raftLease     = 1000 * time.Millisecond
	raftCommit    = 100 * time.Millisecond
	raftDial      = 2 * time.Second
	raftTimeout   = 5 * time.Second
	// snapshotsKept and snapshotAfter: the state is small, and so is the log.
	snapshotsKept = 2
	snapshotAfter = 256
)

// raftLog is this member's part in the log of commands.
type raftLog struct {
	id      string // as State.log
	self    ring.MemberID
	raft    *raft.Raft
	store   *raftboltdb.BoltStore
	trans   *raft.NetworkTransport
	streams *streams
	closing sync.Once
	closed  error // what closing came to
}

// startRaft opens a log. With begin, this member is its first.
func startRaft(n *Node, id string, begin bool) (_ *raftLog, err error) {
	dir := n.config.Dir.Path(logDir(id))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("raft: %w", err)
	}
	store, err := raftboltdb.NewBoltStore(filepath.Join(dir, "log.db"))
	if err != nil {
		return nil, fmt.Errorf("raft: opening the log: %w", err)
	}
	// The store syncs what it writes into its file, but not that the file is there.
	if err := errors.Join(syncDir(dir), syncDir(n.config.Dir.path)); err != nil {
		return nil, errors.Join(fmt.Errorf("raft: %w", err), store.Close())
	}
	l := &raftLog{id: id, self: n.id, store: store, streams: newStreams(n, id)}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("raft: %w", err), l.close())
		}
	}()
	logger := newHclog(n.log)
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, snapshotsKept, logger)
	if err != nil {
		return nil, err
	}
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(n.id.String())
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout, c.CommitTimeout = raftHeartbeat, raftElection, raftLease, raftCommit
	if h := n.config.heartbeat; h > 0 {
		c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout, c.CommitTimeout = h, h, h/2, h/10
	}
	c.SnapshotThreshold = snapshotAfter
	c.TrailingLogs = snapshotAfter
	c.Logger = logger
	l.trans = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: l.streams, MaxPool: 2, Timeout: raftTimeout, Logger: logger,
	})
	if begin {
		if err := forgetHalfBegun(store, snapshots); err != nil {
			return nil, err
		}
		err := raft.BootstrapCluster(c, store, store, snapshots, l.trans, raft.Configuration{Servers: []raft.Server{{
			ID: c.LocalID, Address: raft.ServerAddress(n.id.String()), Suffrage: raft.Voter,
		}}})
		if err != nil && !errors.Is(err, raft.ErrCantBootstrap) {
			return nil, err
		}
	}
	if l.raft, err = raft.NewRaft(c, (*fsm)(n), store, store, snapshots, l.trans); err != nil {
		return nil, err
	}
	return l, nil
}

// forgetHalfBegun takes back what a member that was killed while it began a log has
// written: raft stores its term before the first entry, and a log with a term is not
// begun again, but without that entry nobody can lead it. Nobody has voted in it yet.
func forgetHalfBegun(store *raftboltdb.BoltStore, snapshots raft.SnapshotStore) error {
	last, err := store.LastIndex()
	if err != nil || last > 0 {
		return err
	}
	if list, err := snapshots.List(); err != nil || len(list) > 0 {
		return err
	}
	term := []byte("CurrentTerm") // as raft names it
	if n, err := store.GetUint64(term); err != nil || n == 0 {
		if errors.Is(err, raftboltdb.ErrKeyNotFound) {
			return nil
		}
		return err
	}
	return store.SetUint64(term, 0)
}

// close ends the connections first: raft waits for what it has sent. Closing again
// is of no effect.
func (l *raftLog) close() error {
	l.closing.Do(func() { l.closed = l.end() })
	return l.closed
}

func (l *raftLog) end() error {
	var errs []error
	l.streams.end()
	if l.raft != nil {
		errs = append(errs, l.raft.Shutdown().Error())
	}
	if l.trans != nil {
		errs = append(errs, l.trans.Close())
	}
	return errors.Join(append(errs, l.store.Close())...)
}

// leader is the id of the member that leads the log.
func (l *raftLog) leader() (ring.MemberID, bool) {
	_, id := l.raft.LeaderWithID()
	parsed, err := ring.ParseMemberID(string(id))
	return parsed, err == nil
}

// reconcile, at the leader, lets members of the state take part in the log: at
// first without a vote, so that one which never comes up holds up nobody; with
// one, as long as there is room, once it has started and up says that it is there
// and follows.
// Those that are out of the cluster it takes out of the log, so that majorities
// count right; itself it has another leader take out. One that is leaving keeps
// its vote until then. It reports whether anything changed.
func (l *raftLog) reconcile(s *State, up func(ring.MemberID) bool) (bool, error) {
	if l.raft.State() != raft.Leader {
		return false, nil
	}
	f := l.raft.GetConfiguration()
	if err := f.Error(); err != nil {
		return false, err
	}
	changed := false
	suffrage := make(map[raft.ServerID]raft.ServerSuffrage)
	voters := 0
	var out []raft.ServerID
	self := false
	for _, server := range f.Configuration().Servers {
		id, err := ring.ParseMemberID(string(server.ID))
		if err != nil {
			return false, fmt.Errorf("raft: the log has a server %q: %w", server.ID, err)
		}
		if s.IsOut(id) && id == l.self {
			self = true
		} else if s.IsOut(id) {
			out = append(out, server.ID)
			continue
		}
		suffrage[server.ID] = server.Suffrage
		if server.Suffrage == raft.Voter {
			voters++
		}
	}
	for _, sid := range out {
		if err := l.raft.RemoveServer(sid, 0, raftDial).Error(); err != nil {
			return changed, fmt.Errorf("raft: taking out %s: %w", sid, err)
		}
		changed = true
	}
	ids := slices.SortedFunc(maps.Keys(s.Members), ring.MemberID.Compare)
	for _, id := range ids {
		m, sid := s.Members[id], raft.ServerID(id.String())
		has, in := suffrage[sid]
		var add func(raft.ServerID, raft.ServerAddress, uint64, time.Duration) raft.IndexFuture
		switch {
		case m.Role != RoleStorage || s.IsOut(id):
		case !in:
			add = l.raft.AddNonvoter
		case has != raft.Voter && voters < votersMax && m.Starts > 0 && up(id):
			add = l.raft.AddVoter
			voters++
		}
		if add == nil {
			continue
		}
		if err := add(sid, raft.ServerAddress(sid), 0, raftDial).Error(); err != nil {
			return changed, fmt.Errorf("raft: adding %s: %w", m.Name, err)
		}
		changed = true
	}
	if self && voters > 1 {
		if err := l.raft.LeadershipTransfer().Error(); err != nil {
			return changed, fmt.Errorf("raft: leaving the lead to another: %w", err)
		}
	}
	return changed, nil
}

// roleLeader is the member that leads the log.
const roleLeader = "leader"

// roles are what members are in the log, by id.
func (l *raftLog) roles() map[ring.MemberID]string {
	out := make(map[ring.MemberID]string)
	f := l.raft.GetConfiguration()
	if f.Error() != nil {
		return out
	}
	leader, _ := l.leader()
	for _, s := range f.Configuration().Servers {
		id, err := ring.ParseMemberID(string(s.ID))
		if err != nil {
			continue
		}
		switch {
		case id == leader:
			out[id] = roleLeader
		case s.Suffrage == raft.Voter:
			out[id] = "voter"
		default:
			out[id] = "nonvoter"
		}
	}
	return out
}

// fsm applies the log's commands to the node's state.
type fsm Node

// applied is what the log answers to a command.
type applied struct{ err error }

// Apply implements raft.FSM. The response is of type applied. After an entry
// that this member can't follow nothing more is applied, and no snapshot taken:
// a member of a later release finds all of it in the log.
func (f *fsm) Apply(entry *raft.Log) any {
	n := (*Node)(f)
	if n.stuck != nil {
		return applied{err: n.stuck}
	}
	c, err := DecodeCommand(entry.Data)
	if err != nil {
		n.stick(fmt.Errorf("this ringd can't follow the cluster any more, start a later release: %w", err))
		return applied{err: n.stuck}
	}
	next, err := n.logged.Apply(c)
	if err != nil {
		return applied{err: err}
	}
	n.logged = next
	if err := n.take(next); err != nil {
		n.stick(err)
		return applied{err: &replica.Error{Kind: replica.KindUnknown, Message: n.stuck.Error(), MaybeApplied: true}}
	}
	if n.State().log() != next.log() {
		// What this log says does not count any more.
		return applied{err: errNoLeader}
	}
	return applied{}
}

// stick ends the member, and what is applied until it has ended. Called by
// raft's goroutine only.
func (n *Node) stick(err error) {
	n.stuck = err
	n.fail(err)
}

// Snapshot implements raft.FSM.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	n := (*Node)(f)
	if n.stuck != nil {
		return nil, n.stuck
	}
	if n.logged == nil {
		return nil, errors.New("cluster: no state yet")
	}
	b, err := n.logged.Encode()
	return snapshot(b), err
}

// Restore implements raft.FSM.
func (f *fsm) Restore(from io.ReadCloser) error {
	n := (*Node)(f)
	b, err := io.ReadAll(from)
	if err = errors.Join(err, from.Close()); err != nil {
		return err
	}
	s, err := DecodeState(b)
	if err != nil {
		return err
	}
	n.logged = s
	return n.take(s)
}

type snapshot []byte

// Persist implements raft.FSMSnapshot.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if _, err := sink.Write(s); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (snapshot) Release() {}

// newHclog passes raft's words on: its infos are for who debugs it.
func newHclog(log *slog.Logger) hclog.Logger {
	return hclog.FromStandardLogger(slog.NewLogLogger(log.Handler(), slog.LevelDebug), &hclog.LoggerOptions{Name: "raft", Level: hclog.Info})
}
