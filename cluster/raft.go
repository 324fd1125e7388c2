package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"

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
	// snapshotsKept and snapshotAfter: the state is small, and so is the log.
	snapshotsKept = 2
	snapshotAfter = 256
)

// raftLog is this member's part in the log of commands.
type raftLog struct {
	raft  *raft.Raft
	store *raftboltdb.BoltStore
	trans *raft.NetworkTransport
}

// startRaft opens the log. With begin, this member is the first of a cluster.
func startRaft(n *Node, begin bool) (*raftLog, error) {
	dir := n.config.Dir.Path("raft")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("raft: %w", err)
	}
	store, err := raftboltdb.NewBoltStore(filepath.Join(dir, "log.db"))
	if err != nil {
		return nil, fmt.Errorf("raft: opening the log: %w", err)
	}
	logger := newHclog(n.log)
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, snapshotsKept, logger)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("raft: %w", err), store.Close())
	}
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(n.id.String())
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout, c.CommitTimeout = raftHeartbeat, raftElection, raftLease, raftCommit
	c.SnapshotThreshold = snapshotAfter
	c.TrailingLogs = snapshotAfter
	c.Logger = logger
	trans := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: streams{n}, MaxPool: 2, Timeout: 5 * time.Second, Logger: logger,
	})
	if begin {
		err := raft.BootstrapCluster(c, store, store, snapshots, trans, raft.Configuration{Servers: []raft.Server{{
			ID: c.LocalID, Address: raft.ServerAddress(n.id.String()), Suffrage: raft.Voter,
		}}})
		if err != nil && !errors.Is(err, raft.ErrCantBootstrap) {
			return nil, errors.Join(fmt.Errorf("raft: %w", err), store.Close())
		}
	}
	r, err := raft.NewRaft(c, (*fsm)(n), store, store, snapshots, trans)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("raft: %w", err), trans.Close(), store.Close())
	}
	return &raftLog{raft: r, store: store, trans: trans}, nil
}

func (l *raftLog) close() error {
	return errors.Join(l.raft.Shutdown().Error(), l.trans.Close(), l.store.Close())
}

// leader is the id of the member that leads the log.
func (l *raftLog) leader() (ring.MemberID, bool) {
	_, id := l.raft.LeaderWithID()
	parsed, err := ring.ParseMemberID(string(id))
	return parsed, err == nil
}

// reconcile, at the leader, lets members of the state take part in the log.
func (l *raftLog) reconcile(s *State) error {
	if l.raft.State() != raft.Leader {
		return nil
	}
	f := l.raft.GetConfiguration()
	if err := f.Error(); err != nil {
		return err
	}
	servers := f.Configuration().Servers
	in := make(map[raft.ServerID]bool)
	voters := 0
	for _, server := range servers {
		in[server.ID] = true
		if server.Suffrage == raft.Voter {
			voters++
		}
	}
	for id, m := range s.Members {
		sid := raft.ServerID(id.String())
		if in[sid] || m.Role != RoleStorage {
			continue
		}
		add := l.raft.AddNonvoter
		if voters < votersMax {
			add = l.raft.AddVoter
			voters++
		}
		if err := add(sid, raft.ServerAddress(sid), 0, raftDial).Error(); err != nil {
			return fmt.Errorf("raft: adding %s: %w", m.Name, err)
		}
	}
	return nil
}

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
			out[id] = "leader"
		case s.Suffrage == raft.Voter:
			out[id] = "voter"
		default:
			out[id] = "nonvoter"
		}
	}
	return out
}

// streams carries raft between members, found by their ids.
type streams struct{ n *Node }

// Dial implements raft.StreamLayer.
func (s streams) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	id, err := ring.ParseMemberID(string(address))
	if err != nil {
		return nil, err
	}
	addr, ok := s.n.Resolve(id)
	if !ok {
		return nil, fmt.Errorf("raft: the address of member %v is not known", id)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return s.n.wire.DialRaft(ctx, id, addr)
}

// Accept implements net.Listener.
func (s streams) Accept() (net.Conn, error) { return s.n.wire.RaftConns().Accept() }

// Close implements net.Listener. The listener is the transport's to close.
func (streams) Close() error { return nil }

// Addr implements net.Listener: raft knows members by their ids.
func (s streams) Addr() net.Addr { return idAddr(s.n.id) }

type idAddr ring.MemberID

func (idAddr) Network() string  { return "ringd" }
func (a idAddr) String() string { return ring.MemberID(a).String() }

// fsm applies the log's commands to the node's state.
type fsm Node

// applied is what the log answers to a command.
type applied struct {
	version uint64
	err     error
}

// Apply implements raft.FSM. The response is of type applied.
func (f *fsm) Apply(entry *raft.Log) any {
	n := (*Node)(f)
	c, err := DecodeCommand(entry.Data)
	if err != nil {
		// Others go on from here, this member can't.
		n.fail(err)
		return applied{err: err}
	}
	next, err := n.logged.Apply(c)
	if err != nil {
		return applied{err: err}
	}
	n.logged = next
	if err := n.take(next); err != nil {
		n.fail(err)
	}
	return applied{version: next.Version}
}

// Snapshot implements raft.FSM.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	n := (*Node)(f)
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
