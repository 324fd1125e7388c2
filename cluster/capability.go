package cluster

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ringd/ringd/replica"
)

// Capability names what a member's release can do that releases before it could
// not. The members do it once all of them can (docs/decisions/2026-11-28-capabilities.md).
type Capability string

// CapabilityMoves says that a member follows staged changes and moves in the agreed
// state, gives slots away and takes them. One that can't would end itself at the first
// command of them in the log, or go on as the owner of a slot that was taken from it.
const CapabilityMoves Capability = "moves"

// CapabilityCopies says that a member holds copies of bucket types with n=all. One that
// can't would hold their keys in another class than the others, and never agree with them.
const CapabilityCopies Capability = "copies"

// wireOfCapability is the version of the protocol between members that each of them
// takes.
var wireOfCapability = map[Capability]uint32{
	CapabilityMoves:  3,
	CapabilityCopies: 3,
}

// wireUnsaid is spoken by members whose starts did not say what they speak: those
// of releases before they said it.
const wireUnsaid = 2

// Capabilities are names in order, with commas between them.
type Capabilities string

// capabilitiesBytesMax bounds what a member says of itself: some dozens of names,
// more than any release will need beyond those that it can take for granted.
const capabilitiesBytesMax = 1024

// CapabilitiesOf are those of this release that take no more than a version of the
// protocol between members.
func CapabilitiesOf(wire uint32) Capabilities {
	var names []string
	for name, since := range wireOfCapability {
		if since <= wire {
			names = append(names, string(name))
		}
	}
	slices.Sort(names)
	return Capabilities(strings.Join(names, ","))
}

// Names returns them one by one.
func (c Capabilities) Names() []string {
	if c == "" {
		return nil
	}
	return strings.Split(string(c), ",")
}

func (c Capabilities) has(name Capability) bool { return slices.Contains(c.Names(), string(name)) }

// validate takes names that this release does not know, too.
func (c Capabilities) validate() error {
	if len(c) > capabilitiesBytesMax {
		return replica.Invalid("capabilities", "have %d bytes: use at most %d", len(c), capabilitiesBytesMax)
	}
	names := c.Names()
	for i, name := range names {
		if name == "" || (i > 0 && names[i-1] >= name) {
			return replica.Invalid("capabilities", "are %q: use names in order, with commas between them", c)
		}
	}
	return nil
}

// Speaks is the highest version of the protocol between members that m speaks.
func (m Member) Speaks() uint32 { return cmp.Or(m.Wire, wireUnsaid) }

// Wire is the version of the protocol between members that all of them speak, those
// that are gone for good aside. (Any two of them speak the highest that both do.)
func (s *State) Wire() uint32 {
	out := uint32(0)
	for _, m := range s.Members {
		if !m.Gone && (out == 0 || m.Speaks() < out) {
			out = m.Speaks()
		}
	}
	return cmp.Or(out, wireUnsaid)
}

// Has reports whether all members have a capability, those that are gone for good
// aside.
func (s *State) Has(c Capability) bool { return len(s.lacking(c)) == 0 }

// lacking are the members without a capability, in the order of their names.
func (s *State) lacking(c Capability) []Member {
	out := slices.DeleteFunc(slices.Collect(maps.Values(s.Members)), func(m Member) bool { return m.Gone || m.Capabilities.has(c) })
	slices.SortFunc(out, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// lackingNamedMax bounds the members that an error names.
const lackingNamedMax = 5

// need returns an error, of KindPrecondition, that names the members without a
// capability, if there are any.
func (s *State) need(c Capability) error {
	lacking := s.lacking(c)
	if len(lacking) == 0 {
		return nil
	}
	var names []string
	for _, m := range lacking[:min(len(lacking), lackingNamedMax)] {
		names = append(names, fmt.Sprintf("%s (wire version %d)", m.Name, m.Speaks()))
	}
	if more := len(lacking) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return replica.Errorf(replica.KindPrecondition, "this takes the capability %q of all members: upgrade those that lack it, %s, and try again", string(c), strings.Join(names, ", "))
}

// needs is the capability that a member needs to follow a command; empty for none.
func (c Command) needs() Capability {
	switch {
	case c.RemoveMember != nil, c.Stage != nil, c.Unstage != nil, c.FinishMoves != nil, c.CancelMoves != nil:
		return CapabilityMoves
	case c.CreateBucketType != nil && c.CreateBucketType.Everywhere:
		return CapabilityCopies
	case c.UpdateSettings != nil && c.UpdateSettings.Elastic:
		return CapabilityMoves
	case c.CommitPlan != nil && (len(c.CommitPlan.Moves) > 0 || c.CommitPlan.AcceptDataLoss):
		return CapabilityMoves
	}
	return ""
}

// admits refuses a command that not all members could follow. Members ask before
// it is put into the log, and again when it comes out: a member may have started
// meanwhile.
func (s *State) admits(c Command) error {
	if name := c.needs(); s != nil && name != "" {
		return s.need(name)
	}
	return nil
}

// admitRelease refuses a member, as it starts or joins, whose release lacks what is
// in use.
func (s *State) admitRelease(m Member) error {
	if err := m.Capabilities.validate(); err != nil {
		return err
	}
	if len(s.Moves) > 0 && !m.Capabilities.has(CapabilityMoves) {
		return replica.Errorf(replica.KindPrecondition, "slots are being moved, and the release of ringd that starts as member %s lacks %q (wire version %d): start the one that it ran before, or a later one", m.Name, string(CapabilityMoves), m.Speaks())
	}
	if !m.Capabilities.has(CapabilityCopies) {
		for _, t := range s.BucketTypes {
			if t.Everywhere {
				return replica.Errorf(replica.KindPrecondition, "bucket type %q has n=all, and the release of ringd that starts as member %s lacks %q (wire version %d): start the one that it ran before, or a later one", t.Name, m.Name, string(CapabilityCopies), m.Speaks())
			}
		}
	}
	return nil
}
