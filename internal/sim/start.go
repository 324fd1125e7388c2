package sim

import (
	"fmt"
	"time"

	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/storage/simstore"
)

// directory is what a member keeps beside its store.
type directory struct {
	starts uint64
	nonce  string // of a start that may have been counted
}

// copied is a member's directory and store as they were at the end of a process.
type copied struct {
	dir   directory
	disk  *simstore.Store
	state *cluster.State
}

// wire is a version of the protocol between members that has all capabilities.
const wire = 1000

// startWithin is how long a member waits for its start to be agreed on before it
// serves with new actors.
const startWithin = 500 * time.Millisecond

// start begins a new process on the member's disk, as cluster's returnToCluster and
// commitStart do.
func (m *member) start() {
	if m.up || m.out || m.dead {
		return
	}
	m.up, m.booting = true, true
	m.life++
	m.pausedUntil = time.Time{}
	m.executors = nil
	m.heardStarts = make(map[*member]uint64)
	m.w.log("%s starts, %d starts before", m.name, m.dir.starts)
	m.later(m.w.upTo(5*time.Millisecond), func() {
		if !m.askPeers() {
			return
		}
		m.commitStart()
		m.later(startWithin, func() {
			if m.booting {
				m.w.reach("start not agreed on in time")
				m.serve(false)
			}
		})
	})
}

// askPeers asks whoever can be reached how often this member has started.
func (m *member) askPeers() bool {
	known := m.state.Members[m.id]
	ok := m.learnStarts(known.Starts, known.Nonce)
	for _, other := range m.w.members {
		if ok && other != m && other.up && m.w.net.connected(m, other) {
			known = other.state.Members[m.id]
			ok = m.learnStarts(known.Starts, known.Nonce)
		}
	}
	return ok
}

func (m *member) learnStarts(last uint64, nonce string) bool {
	switch {
	case last <= m.dir.starts:
		return true
	case last == m.dir.starts+1 && m.dir.nonce != "" && nonce == m.dir.nonce:
		m.dir = directory{starts: last}
		return true
	}
	m.refuse()
	return false
}

// refuse ends a member whose directory is older than its last start.
func (m *member) refuse() {
	m.w.log("%s is refused: its directory is older than its last start", m.name)
	if !m.restored {
		m.w.check.violate("%s is refused, and its directory was not restored", m.name)
	}
	m.w.reach("restored disk refused")
	m.up, m.dead = false, true
}

// commitStart has the log count this start; one that an earlier process left
// behind first.
func (m *member) commitStart() {
	leftover := m.dir.nonce != ""
	if !leftover {
		m.dir.nonce = fmt.Sprintf("%016x", m.w.rng.Uint64())
	}
	c := cluster.StartMember{ID: m.id, Before: m.dir.starts, Nonce: m.dir.nonce, GRPC: m.name, Weight: 1, Wire: wire, Capabilities: cluster.CapabilitiesOf(wire)}
	m.countStart(c, func() {
		switch {
		case leftover:
			m.commitStart()
		case m.booting:
			m.serve(true)
		}
	})
}

// countStart proposes a start until its fate is known.
func (m *member) countStart(c cluster.StartMember, then func()) {
	m.w.agreed.propose(m, cluster.Command{StartMember: &c}, func(err error) {
		switch {
		case err == nil:
			m.dir = directory{starts: c.Before + 1}
			then()
		case replica.KindOf(err) == replica.KindPrecondition && m.w.agreed.state.IsOut(m.id):
			m.out, m.up = true, false
		case replica.KindOf(err) == replica.KindPrecondition:
			m.refuse()
		default:
			m.later(m.w.upTo(200*time.Millisecond), func() {
				switch {
				case !m.askPeers():
				case m.dir.starts > c.Before:
					then()
				default:
					m.countStart(c, then)
				}
			})
		}
	})
}
