// Package peerpb is the generated code of the protocol between ringd's members.
// See peer.proto.
package peerpb
