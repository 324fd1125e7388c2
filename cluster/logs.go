package cluster

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// ErrOtherLog is what Wire.DialRaft returns of a member that takes part in another
// log: one of the two has missed a recovery.
var ErrOtherLog = errors.New("the member takes part in another log")

// enterLog makes the member take part in the log of the state that it serves, and in
// no other any more. What it knew of another is of no use: the state that is saved
// is newer.
func (n *Node) enterLog() error {
	n.logs.Lock()
	defer n.logs.Unlock()
	id, before := n.State().log(), n.raft.Load()
	if n.ctx.Err() != nil || (before != nil && before.id == id) {
		return nil
	}
	if before != nil {
		if err := before.close(); err != nil {
			n.log.Warn("leaving the log of an earlier recovery generation", "error", err)
		}
		n.logged = nil
	}
	log, err := startRaft(n, id, n.config.Dir.begins(id))
	if err != nil {
		return err
	}
	n.raft.Store(log)
	if err := n.config.Dir.removeLogsBut(id); err != nil {
		n.log.Warn("logs of earlier recovery generations could not be removed", "error", err)
	}
	return nil
}

// keepLog changes to another log when the state that is served is of another, and
// begins the one that a recovery began here.
func (n *Node) keepLog() {
	for {
		if err := n.enterLog(); err != nil {
			n.fail(err)
			return
		}
		if err := n.State().knows(n.id); err != nil {
			n.fail(err)
			return
		}
		if id := n.State().log(); id != "" && n.config.Dir.begins(id) && !n.begin(id) {
			return
		}
		select {
		case <-n.relog:
		case <-n.ctx.Done():
			return
		}
	}
}

// begin writes the first state into a log that this member begins. It reports false
// if the node ends.
func (n *Node) begin(log string) bool {
	for n.ctx.Err() == nil {
		s := n.State()
		if s.log() != log {
			return true // another recovery counts
		}
		err := n.propose(Command{Bootstrap: s})
		switch kind := replica.KindOf(err); {
		case err == nil || kind == replica.KindPrecondition:
			if err := n.config.Dir.begun(log); err != nil {
				n.fail(err)
				return false
			}
			return true
		case kind != replica.KindUnavailable && kind != replica.KindUnknown:
			n.fail(err)
			return false
		}
		sleep(n.ctx, retryEvery)
	}
	return false
}

// knows returns an error about a member that only those knew of who were lost.
func (s *State) knows(id ring.MemberID) error {
	if _, ok := s.Members[id]; ok || s.Recovery == nil || s.IsOut(id) {
		return nil
	}
	return replica.Errorf(replica.KindPrecondition, "a recovery began a new generation of this cluster, and nobody who was left knew of member %v: start with an empty data directory, under another name; ringctl salvage brings in what this one holds", id)
}

// hears reports whether a member takes part in the log that this one leads. Gossip
// alone is not enough for a vote: it sees members for half a minute after they are
// gone, and one that follows another log counts for none.
func (n *Node) hears(id ring.MemberID) bool {
	addr, ok := n.Resolve(id)
	if !ok {
		return false
	}
	a, err := n.ask(n.ctx, addr, callState, question{Known: ptr(n.State().stamp())})
	if err != nil {
		return false
	}
	if len(a.State) > 0 {
		s, err := DecodeState(a.State)
		if err != nil || s.log() != n.State().log() {
			return false
		}
	}
	leader, ok := leaderIn(a.Roles)
	return ok && leader == n.id
}

// exchange tells a member that takes part in another log of this member's state, or
// hears of its: the newer counts at both.
func (n *Node) exchange(addr string) {
	s := n.State()
	b, err := s.Encode()
	if err != nil {
		n.fail(err)
		return
	}
	a, err := n.ask(n.ctx, addr, callRecovered, question{State: b, Known: ptr(s.stamp())})
	if err == nil && len(a.State) > 0 {
		err = n.Adopt(a.State)
	}
	switch {
	case err == nil:
	case replica.KindOf(err) == replica.KindPrecondition && !isOtherCluster(err):
		n.fail(fmt.Errorf("asking %s: %w", addr, err))
	default:
		n.log.Debug("a member takes part in another log, and could not be asked", "at", addr, "error", err)
	}
}

// logDir is where a log is kept, in a member's directory.
func logDir(log string) string {
	if log == "" {
		return raftDir
	}
	return raftDir + "." + log
}

// removeLogsBut removes all logs but one.
func (d *Dir) removeLogsBut(log string) error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if name := e.Name(); name != logDir(log) && (name == raftDir || strings.HasPrefix(name, raftDir+".")) {
			errs = append(errs, os.RemoveAll(d.Path(name)))
		}
	}
	return errors.Join(errs...)
}
