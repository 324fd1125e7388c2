// Package command is ringctl's command line: one file per command.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
)

// Streams are where a command reads and writes, and which of them are
// terminals.
type Streams struct {
	In                      io.Reader
	Out, Err                io.Writer
	InTerminal, OutTerminal bool
	ErrTerminal             bool
}

// app is one run of ringctl.
type app struct {
	Streams
	getenv  func(string) string
	version string

	// Set by the flags that all commands have.
	addrs   []string
	output  string
	timeout time.Duration
}

// Environment variables and defaults of the flags that all commands have.
const (
	addrVariable   = "RINGCTL_ADDR"
	defaultAddr    = "127.0.0.1:7600"
	defaultTimeout = 5 * time.Second
)

// Main runs the command line args, without the program's name, and returns the
// exit code. Version is what "ringctl version" prints.
func Main(ctx context.Context, args []string, getenv func(string) string, version string, s Streams) exit.Code {
	a := &app{Streams: s, getenv: getenv, version: version}
	root := a.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exit.OK
	}
	var e *exit.Error
	if r, ok := errors.AsType[*runError](err); ok {
		e = exit.Of(r.error)
	} else {
		e = exit.New(exit.Usage, fmt.Sprintf("see %q", cmd.CommandPath()+" --help"), "%s", firstLine(err.Error()))
	}
	exit.Report(s.Err, e, a.output == "json")
	return e.Code
}

// firstLine leaves out cobra's suggestions, which take lines of their own.
func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// runError is what a command returned, other than what cobra found wrong with
// the command line.
type runError struct{ error }

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "ringctl",
		Short: "Look after a ringd cluster, and read and write its keys",
		Long: `ringctl looks after a ringd cluster, and reads and writes its keys.

It asks the first member of --addr that answers. With "-o json" it prints JSON,
errors included. "ringctl help exit-codes" lists the exit codes, "ringctl help
format" the format of import and export.`,
		Example: `  ringctl status
  ringctl put carts alice '{"milk":1}'
  ringctl get carts alice
  ringctl import packages.jsonl.gz --bucket debian`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:              cobra.NoArgs,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	flags := root.PersistentFlags()
	flags.StringSliceVar(&a.addrs, "addr", a.defaultAddrs(), "members to ask, HOST:PORT; repeated or with commas (environment: "+addrVariable+")")
	flags.StringVarP(&a.output, "output", "o", "table", "table or json")
	flags.DurationVar(&a.timeout, "timeout", defaultTimeout, "of each request")
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return a.check() }
	must(root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp)))
	must(root.RegisterFlagCompletionFunc("addr", cobra.NoFileCompletions))
	root.AddGroup(&cobra.Group{ID: "cluster", Title: "The cluster:"}, &cobra.Group{ID: "data", Title: "Keys and values:"})
	group := func(id string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = id
			root.AddCommand(c)
		}
	}
	group("cluster", a.status(), a.members(), a.ring(), a.join(), a.leave(), a.replace(), a.remove(), a.setWeight(), a.setZone(),
		a.plan(), a.commit(), a.abort(), a.cancel(), a.bucketType(), a.settings(), a.repair(), a.verify(), a.transfers(),
		a.recovering(), a.salvage())
	group("data", a.get(), a.put(), a.delete(), a.keys(), a.buckets(), a.bucket(), a.inspect(), a.importing(), a.exporting())
	root.AddCommand(a.versionCommand(), completion(), exitCodes(), format())
	markErrors(root)
	return root
}

func (a *app) defaultAddrs() []string {
	if s := a.getenv(addrVariable); s != "" {
		return strings.Split(s, ",")
	}
	return []string{defaultAddr}
}

// check holds the flags that all commands have to their rules.
func (a *app) check() error {
	if a.output != "table" && a.output != "json" {
		bad := a.output
		a.output = "table"
		return fmt.Errorf("-o %s: use table or json", bad)
	}
	if a.timeout <= 0 {
		return fmt.Errorf("--timeout %v: it has to be above 0", a.timeout)
	}
	return checkAddrs(a.addrs)
}

// markErrors tells errors of running a command from those of its command line.
func markErrors(c *cobra.Command) {
	if run := c.RunE; run != nil {
		c.RunE = func(cmd *cobra.Command, args []string) error {
			if err := run(cmd, args); err != nil {
				return &runError{err}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		markErrors(sub)
	}
}

func (a *app) json() bool { return a.output == "json" }

// must is for what only fails by a mistake in this package.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
