// Package client stores and reads keys in a ringd cluster.
//
// [Dial] needs the address of one member; it learns the others from the ring,
// and sends each request straight to an owner of its key. A [Client] may be
// shared by all goroutines of a program.
//
// # Outcomes
//
// An error is an [*Error]; errors.Is tells its kind. Two of them must not be
// mixed up: after [ErrUnavailable] a write was certainly not applied, after
// [ErrUnknown] it may have been, or may yet be. A deadline that passes, or a
// connection that breaks, is unknown; so is a conditional write that is refused
// after an earlier attempt of it went unanswered, because that attempt may be
// what it lost against.
//
// # Attempts
//
// Within the deadline of the caller's context (Config.Timeout without one) a
// request is tried at one member after the other, with full jitter between and
// never before the time that an overloaded member named. All attempts of a
// write carry the same request id, so that it is applied once. Never tried
// again is what would be answered the same: [ErrInvalid], [ErrNotFound],
// [ErrPrecondition], [ErrAborted], [ErrDenied].
//
// A member that has answered nothing for Config.AttemptAfter is suspect: the
// request is sent to the next as well, the first answer counts, and others
// avoid that member until it answers again; now and then one request probes it.
// Where a member is only slow, a bounded share of requests is sent twice.
//
// # Expiry
//
// A value may expire: after the bucket type's default, or as [WithTTL] or
// [WithExpiry] say. Then reads don't show it, and a key without another value is
// [ErrNotFound]; members judge by their own clocks.
//
// # Siblings
//
// Writes that did not know of each other are all kept, as siblings. A write
// that should replace what was read carries the read's context: [Replaces], or
// [IfMatch] where it must not lose a race.
package client
