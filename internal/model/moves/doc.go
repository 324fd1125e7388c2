// Package moves explores, exhaustively, what may happen to one key while its slot
// moves from A to D, or is rebuilt at D, beside the other two owners X and Y: writes
// and reads through coordinators with old and new rings, members that learn late,
// crashes that lose what was not synced, a lost store, a message that comes after
// its move was cancelled, a proposal that the log decides late or never, a second
// move of the slot. Objects are merged, compared and sent by the project's own
// functions (causal.Receive, Vouch, Write and Merge, handoff.Compare).
//
// What a vnode admits and how a move goes on is a condensed copy of vnode (standing.go,
// seen.go), handoff.Move, internal/member's mover and cluster's moves: those machines
// keep functions in their state, and can't be copied at every fork. That vnodes admit
// what the model's do is tested by walking with both (TestTheModelIsTheVnodes); that
// handoff.Move takes the steps that the model takes is not. Three things are
// coarser than there: the stream of a move is left out, for its comparisons bring all
// that it would have; capturing what was seen and reading what differs is one step (the
// model beside this one has them apart); and a move that is begun again forgets the
// last one, but for one message of it that may come late.
//
// It is a test: there is nothing to import.
package moves
