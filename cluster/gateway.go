package cluster

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ringd/ringd/ring"
)

const (
	// followEvery is how often a gateway asks what is agreed on. An owner that was
	// asked by an older ring says so at once; what is seen later are bucket types,
	// settings, and who leads.
	followEvery = time.Second
	// followAsksMax bounds the members that it asks at a time until one knows a
	// leader: the voters, and no more.
	followAsksMax = votersMax
)

func (n *Node) role() Role { return cmp.Or(n.config.Role, RoleStorage) }

func (n *Node) isGateway() bool { return n.role() == RoleGateway }

// checkRole refuses a directory of a member that was made for something else.
func (n *Node) checkRole() error {
	m, ok := n.State().Members[n.id]
	if !ok || m.Role == n.role() {
		return nil
	}
	return fmt.Errorf("the data directory %s is that of a %s member: a member keeps its role; start it with --role %s, or start a %s with an empty directory, under another name", n.config.Dir.path, m.Role, m.Role, n.role())
}

// follow keeps a gateway at what is agreed on, until the node ends: it is no server
// of the log.
func (n *Node) follow() {
	for {
		if err := n.catchUp(); err != nil {
			n.fail(err)
			return
		}
		if !sleep(n.ctx, followEvery) {
			return
		}
	}
}

// catchUp asks members that take part in the log what is agreed on, until one knows
// a leader: one that is cut off may not. An error is for good.
func (n *Node) catchUp() error {
	var roles map[ring.MemberID]string
	for _, id := range n.servers() {
		addr, ok := n.Resolve(id)
		if !ok {
			continue
		}
		known := n.State().stamp()
		a, err := n.ask(n.ctx, addr, callState, question{Known: &known})
		if err == nil && len(a.State) > 0 {
			err = n.Adopt(a.State)
		}
		switch {
		case final(err) && !isOtherCluster(err):
			return fmt.Errorf("asking %s: %w", addr, err)
		case err != nil:
			n.log.Debug("what is agreed on could not be asked for", "at", addr, "error", err)
			continue
		}
		roles = a.Roles
		if _, ok := leaderIn(roles); ok {
			break
		}
	}
	if n.ctx.Err() == nil {
		n.noteRoles(roles)
	}
	return nil
}

// noteRoles remembers, at a gateway, who is what in the log.
func (n *Node) noteRoles(roles map[ring.MemberID]string) {
	if n.isGateway() {
		n.told.Store(&roles)
	}
}

// servers are members that take part in the log, a few of them in any order: those
// that are up first.
func (n *Node) servers() []ring.MemberID {
	var ids []ring.MemberID
	for id, m := range n.State().Members {
		if m.Role == RoleStorage && !m.Gone {
			ids = append(ids, id)
		}
	}
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	alive := n.Alive()
	slices.SortStableFunc(ids, func(a, b ring.MemberID) int { return cmp.Compare(alive[b], alive[a]) })
	return ids[:min(len(ids), followAsksMax)]
}

// leaderIn is who leads, by what Node.Roles says.
func leaderIn(roles map[ring.MemberID]string) (ring.MemberID, bool) {
	for id, role := range roles {
		if role == roleLeader {
			return id, true
		}
	}
	return ring.MemberID{}, false
}
