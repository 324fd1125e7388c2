package peer

import (
	"fmt"

	"github.com/ringd/ringd/internal/peer/peerpb"
	"github.com/ringd/ringd/ring"
)

// The versions of the protocol that this release speaks. The first has what
// clients' requests take; the second came with hints, expiry and what compares
// and mends vnodes; the third moves slots.
const (
	WireMin = 1
	WireMax = 3
)

// capabilitiesMax bounds what is remembered of a peer's hello.
const capabilitiesMax = 64

// hello is a Hello whose form was checked.
type hello struct {
	cluster      string
	member       ring.MemberID
	to           ring.MemberID // zero: the speaker only knew the address
	start        uint64
	wire         uint32 // the version to speak
	capabilities []string
	epoch        ring.Epoch
	log          string // of a stream of the agreed log
}

func (t *Transport) ownHello(to ring.MemberID) *peerpb.Hello {
	epoch := t.config.Epoch()
	h := &peerpb.Hello{
		ClusterId: t.config.ClusterID(), Member: t.config.Self[:], StartCount: t.config.StartCount(),
		WireMin: WireMin, WireMax: t.config.WireMax, Capabilities: t.config.Capabilities,
		Epoch: &peerpb.Epoch{Generation: epoch.Generation, Number: epoch.Number},
	}
	if !to.IsZero() {
		h.To = to[:]
	}
	return h
}

// logHello is the hello of a stream of the agreed log.
func (t *Transport) logHello(to ring.MemberID, log string) *peerpb.Hello {
	h := t.ownHello(to)
	h.Log = log
	return h
}

// parseHello checks the form of what a peer says of itself, and that there is a
// version both speak. Errors: errMalformed, ErrRefused.
func (t *Transport) parseHello(in *peerpb.Hello) (hello, error) {
	if in == nil {
		return hello{}, fmt.Errorf("%w: the first is no hello", errMalformed)
	}
	h := hello{
		cluster: in.GetClusterId(), start: in.GetStartCount(), capabilities: in.GetCapabilities(),
		epoch: ring.Epoch{Generation: in.GetEpoch().GetGeneration(), Number: in.GetEpoch().GetNumber()},
		log:   in.GetLog(),
	}
	if copy(h.member[:], in.GetMember()) != len(in.GetMember()) || len(in.GetMember()) != len(h.member) || h.member.IsZero() {
		return h, fmt.Errorf("%w: a hello from a member id of %d bytes", errMalformed, len(in.GetMember()))
	}
	if n := copy(h.to[:], in.GetTo()); n != len(in.GetTo()) || (n != 0 && n != len(h.to)) {
		return h, fmt.Errorf("%w: a hello to a member id of %d bytes", errMalformed, len(in.GetTo()))
	}
	if len(h.capabilities) > capabilitiesMax {
		return h, fmt.Errorf("%w: a hello with %d capabilities", errMalformed, len(h.capabilities))
	}
	h.wire = min(t.config.WireMax, in.GetWireMax())
	if h.wire < WireMin || h.wire < in.GetWireMin() {
		return h, refuse("member %v speaks versions %d to %d of the protocol between members, and this one %d to %d: upgrade the older one first", h.member, in.GetWireMin(), in.GetWireMax(), WireMin, t.config.WireMax)
	}
	return h, nil
}

// checkCluster refuses a member of another cluster. One that knows no cluster
// yet passes.
func (t *Transport) checkCluster(h hello) error {
	own := t.config.ClusterID()
	if own != "" && h.cluster != "" && own != h.cluster {
		return refuse("member %v is of cluster %s, and member %v of cluster %s: they don't talk to each other; if the address is right, use a data directory of the right cluster", h.member, h.cluster, t.config.Self, own)
	}
	return nil
}

// checkIncoming refuses a dialer by whom it looks for.
func (t *Transport) checkIncoming(h hello) error {
	if !h.to.IsZero() && h.to != t.config.Self {
		return refuse("this is member %v, not %v: the address has moved", t.config.Self, h.to)
	}
	return t.checkCluster(h)
}

// checkOther refuses a dialer that goes by this member's own id.
func (t *Transport) checkOther(h hello) error {
	if h.member == t.config.Self {
		return refuse("this is member %v already: a copy of its data directory runs elsewhere, or its own address is given for another's", h.member)
	}
	return nil
}

// checkMembers refuses data between members unless both know their cluster.
func (t *Transport) checkMembers(h hello) error {
	if err := t.checkCluster(h); err != nil {
		return err
	}
	if err := t.checkOther(h); err != nil {
		return err
	}
	if h.cluster == "" {
		return refuse("member %v has not joined a cluster yet", h.member)
	}
	if t.config.ClusterID() == "" {
		return refuse("member %v has not joined a cluster yet", t.config.Self)
	}
	return nil
}

// checkLog refuses a member that takes part in another log than own: one of the two
// has missed a recovery.
func checkLog(own string, h hello) error {
	if h.log != own {
		return &refusal{reason: fmt.Sprintf("member %v takes part in the log %q, not in %q: a recovery began another", h.member, h.log, own), otherLog: true}
	}
	return nil
}
