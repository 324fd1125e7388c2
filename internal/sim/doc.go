// Package sim runs members of a cluster in one thread, in virtual time: the
// step machines of vnode and quorum as they are, over an engine that forgets
// what was not synced, and a network that loses, delays and doubles messages.
// One seed decides everything: the same seed gives the same history, byte for
// byte.
//
// What the clients saw is checked against what ringd promises; see checker.
package sim
