// Command ringctl looks after a ringd cluster, and reads and writes its keys.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/ringd/ringd/cmd/ringctl/internal/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends what is under way in order, a second one at once.
	context.AfterFunc(ctx, stop)
	terminal := func(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
	code := command.Main(ctx, os.Args[1:], os.Getenv, command.Version(), command.Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		InTerminal: terminal(os.Stdin), OutTerminal: terminal(os.Stdout), ErrTerminal: terminal(os.Stderr),
	})
	os.Exit(int(code))
}
