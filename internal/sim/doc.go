// Package sim runs members of a cluster in one thread, in virtual time: the step
// machines of vnode, quorum and handoff as they are, the agreed state of cluster as it
// is, over engines that forget what was not synced, return errors and are slow, and a
// network that loses, delays, doubles and reorders messages and is cut. Members crash,
// pause, come and go; slots move; disks are wiped, emptied, and restored from copies.
// One seed decides everything: the same seed gives the same history, byte for byte.
//
// The log of the agreed state is simulated: commands take effect one after the other,
// members hear of them late, and who proposes one may never learn its fate. What
// internal/member decides, member.go, coordinate.go, moves.go, repair.go and start.go
// decide here: a change there is one here, too.
//
// What the clients saw is checked against what ringd promises; see checker.
package sim
