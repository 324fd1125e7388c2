// Command jepsen breaks clusters of real ringd processes on purpose while clients
// work on them, and judges what the clients saw. It judges ringd from outside: it
// shares no code with what it judges.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ringd/ringd/jepsen/internal/run"
)

// What the exit codes mean; "jepsen help" says so, too.
const (
	exitPass         = 0
	exitFail         = 1
	exitUsage        = 2
	exitInconclusive = 3
	exitBroken       = 4
	exitInterrupted  = 130
)

// exitError ends the program with a code; what there is to say has been said.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// brokenError is why a run could not be made, though the command line is right.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return e.err.Error() }

func (e *brokenError) Unwrap() error { return e.err }

// exitOf is the error for the outcome of a run; nil for a pass.
func exitOf(o run.Outcome) error {
	code := map[run.Outcome]int{
		run.Pass: exitPass, run.Fail: exitFail, run.Inconclusive: exitInconclusive, run.Interrupted: exitInterrupted,
	}
	switch c, ok := code[o]; {
	case !ok:
		return &exitError{code: exitBroken}
	case c != exitPass:
		return &exitError{code: c}
	}
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := root().ExecuteContext(ctx)
	var exit *exitError
	if errors.As(err, &exit) {
		os.Exit(exit.code)
	}
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "jepsen:", err)
	if broken := (*brokenError)(nil); errors.As(err, &broken) {
		os.Exit(exitBroken)
	}
	os.Exit(exitUsage)
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "jepsen",
		Short: "Clusters of real ringd processes under faults",
		Long: `jepsen starts a cluster of ringd processes, has clients work on it while it is
broken on purpose, heals it, and judges what the clients saw.

As root, each member is on a host of its own, a network namespace, and the clients
are on another, which no fault cuts off. Without root the members are on loopback,
and faults that need more than that are refused. An ordinary user can also have
namespaces of the user's own:

  unshare -Urnm sh -c 'mount -t tmpfs run /run && go run ./jepsen run ...'

A run keeps in its directory: run.json (seed, command, versions), history.jsonl (an
operation per line), faults.jsonl, logs/ of all members, verdict.txt and
verdict.json, index.html to be looked at, and data/ unless it passed.

Exit codes ("go run" turns all but 0 into 1):
  0    it passed
  1    something that ringd promises did not hold
  2    the command line is wrong
  3    nothing was wrong, but too little was seen: more than 20% of the writes
       without a known outcome, nothing answered, or nothing broken
  4    the run could not be made
  130  it was interrupted`,
		Example: `  jepsen list
  jepsen run --workload set --nemesis partition-halves --time 60s
  jepsen run --workload set --nemesis kill,membership,loss --seed 7
  jepsen soak --hours 8
  jepsen plants
  jepsen check jepsen-runs/DIR`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.AddCommand(runCommand(), soakCommand(), plantsCommand(), listCommand(), checkCommand(), insideCommand())
	return cmd
}
