// Package clock is where a member reads the time. In the ordinary build it is the
// system's and nothing else.
//
// Built with the tag clockshift, for tests of clocks that disagree, the wall clock is
// shifted by what stands in the file that the environment variable
// CLOCKSHIFT_OFFSET_FILE names: eight bytes, an offset in nanoseconds in the machine's
// byte order, read anew each time. As on a machine whose clock is set, time that
// elapses between two readings is not affected: timers and deadlines stay what they
// are, and only who compares wall clocks notices.
package clock
