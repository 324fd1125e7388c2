package member

import (
	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/replica"
)

// errGateway is what a vnode would have been asked for. By the rings that all
// members know, a gateway is neither owner nor fallback of anything.
var errGateway = replica.Errorf(replica.KindNotOwner, "this member is a gateway: it keeps nothing")

func (m *Member) isGateway() bool { return m.config.Role == cluster.RoleGateway }

// openGateway makes a member ready that coordinates and keeps nothing: it has no
// store and no vnodes, and begins no repair. What it is asked to compare are others.
func (m *Member) openGateway() {
	m.ring.Store(m.node.State().Ring)
	m.coord = m.newCoordinator()
	m.repair = newRepairer(m.coord, m.stats.repair, m.config.Logger)
	m.handler.coord.Store(m.coord)
}
