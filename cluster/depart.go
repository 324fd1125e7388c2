package cluster

import (
	"errors"
	"fmt"
	"time"

	"github.com/ringd/ringd/internal/clock"
)

// departWithin bounds how long a member that is out of the cluster goes on taking
// part in the log, so that majorities count right without it: time for a leader to
// be elected and to take it out.
const departWithin = 30 * time.Second

var (
	// ErrLeft is how a member ends that has left: a commit had it leave, and it gave
	// away all it had.
	ErrLeft = errors.New("this member has left the cluster")
	// ErrRemoved is how a member ends that others took out.
	ErrRemoved = errors.New("this member was removed from the cluster: start with an empty data directory, under another name")
)

// depart ends the member once it is out of the cluster and of the log.
func (n *Node) depart() {
	var since time.Time
	for sleep(n.ctx, reconcileEvery) {
		s := n.State()
		if s == nil || !s.IsOut(n.id) {
			continue
		}
		if since.IsZero() {
			since = clock.Now()
			n.log.Info("this member is out of the cluster: it ends once it is out of the log", "left", s.Left[n.id])
		}
		_, in := n.raft.Load().roles()[n.id]
		if late := time.Since(since) > departWithin; in && !late {
			continue
		} else if in {
			n.log.Warn("this member ends although nobody has taken it out of the log: the next leader does", "waited", departWithin)
		}
		if s.Left[n.id] {
			n.fail(ErrLeft)
		} else {
			n.fail(ErrRemoved)
		}
		return
	}
}

// warnOfFlags says that what this member was started with is not what counts: once
// it has slots, weight and zone are changed by a commit.
func (n *Node) warnOfFlags() {
	m := n.State().Members[n.id]
	if !m.Placed || (m.Zone == n.config.Zone && m.Weight == n.config.Weight) {
		return
	}
	n.log.Warn(fmt.Sprintf("--zone and --weight differ from what is agreed on, which counts: ringctl set-zone %s and ringctl set-weight %s change it", m.Name, m.Name),
		"zone", n.config.Zone, "weight", n.config.Weight, "agreed zone", m.Zone, "agreed weight", m.Weight)
}
