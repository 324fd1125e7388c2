// Package causal tracks which write happened before which, without a clock:
// dots, version vectors, objects with siblings, and the opaque contexts that
// clients carry from a read to the write that answers it.
//
// Everything here is a pure value or function. Time and randomness are
// arguments.
package causal
