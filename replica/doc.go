// Package replica holds what coordinators, vnodes and clients' requests say to
// each other, as plain values: messages, errors, and the properties of bucket
// types that decide how many replicas a request waits for.
//
// Nothing here encodes or sends; the peer transport and the API translate.
package replica
