// Package peer carries messages between the members of a cluster over gRPC: few
// bidirectional streams per pair, chosen by partition, and one for repair and moves, with
// everything that waits for a stream put into one frame; control calls; and the
// connections of the agreed log.
//
// A member sends its requests on streams that it dials itself, and the answers
// come back on them; what it dials and what dials it never mix. Every stream has
// a TCP connection of its own, so that a large object or a lost packet on one
// holds up nothing on the others, and a stream that broke says nothing about
// them.
//
// What the caller owes: Handle before the server serves; a server made with
// [ServerOptions]; callbacks that don't block; Close, after which nothing of the
// transport runs.
package peer
