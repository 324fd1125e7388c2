// Package exit turns what can go wrong into what ringctl says about it and the
// code it exits with. It is the only place that knows the codes.
package exit

// Code is a process exit code. Scripts rely on them: they never change meaning.
type Code int

// The exit codes.
const (
	OK           Code = 0
	Failed       Code = 1 // some or all of it failed, for a reason that no other code names
	Usage        Code = 2 // the command line, or something given with it, is not valid
	NotFound     Code = 3 // the key, bucket type, partition or file does not exist
	Unknown      Code = 4 // no answer in time: a write may or may not have been applied
	Unavailable  Code = 5 // too few owners or no member could be reached, or they are overloaded
	Precondition Code = 6 // --if-absent, --if-match or a plan did not hold, or a race was lost
	Siblings     Code = 7 // the key has several siblings where one value was needed
)

// Help is the text of "ringctl help exit-codes".
const Help = `Every command exits with one of these:

  0  done
  1  failed, or a part of it did (an import or export with failures)
  2  usage: the command line, or something given with it, is not valid
  3  not found: the key, bucket type, partition or file does not exist
  4  outcome unknown: no answer in time; a write may or may not have been applied
  5  unavailable: no member, or too few owners, could be reached, or they are
     overloaded; a write was not applied
  6  precondition: --if-absent, --if-match or the plan seen did not hold, or
     another write won the race; nothing was applied
  7  several siblings where one value was needed: see "ringctl get --help"

What went wrong is said on stderr, in a line that begins with "ringctl:"; with
"-o json" it is an object instead:

  {"error":{"code":"not_found","exit_code":3,"message":"..."}}

with "field", "needed", "got" and "maybe_applied" where they apply.`

// names are the codes as JSON names them.
var names = map[Code]string{
	OK: "ok", Failed: "failed", Usage: "usage", NotFound: "not_found", Unknown: "unknown",
	Unavailable: "unavailable", Precondition: "precondition", Siblings: "siblings",
}

// String returns the name that "-o json" prints.
func (c Code) String() string { return names[c] }
