// Package model explores, exhaustively, what may happen to one key between three
// owners while it is written, deleted and written again: slow messages, a hint,
// a crash or a wiped disk, comparisons and reaping in every order. Its steps are
// the project's own (causal.Receive, Vouch, Forgettable, Write, Merge and
// handoff.Compare); what it adds is when they are taken. It is a test: there is
// nothing to import.
package model
