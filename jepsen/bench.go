package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringd/ringd/internal/plants"
	"github.com/ringd/ringd/jepsen/internal/hosts"
	"github.com/ringd/ringd/jepsen/internal/nemesis"
	"github.com/ringd/ringd/jepsen/internal/run"
)

// cleanWithin is what a run that is interrupted has to end its processes.
const cleanWithin = time.Minute

// bench is what runs are made on: a ringd, and hosts or loopback.
type bench struct {
	out      io.Writer
	loopback bool
	ringd    string // path, if it was given
	plant    string // the bug to be planted into what is built; empty for none
	dir      string // of what was built
	built    map[string]string
}

// newBench says what it has; close removes it.
func newBench(_ context.Context, o options, out io.Writer) (*bench, error) {
	b := &bench{out: out, loopback: o.loopback, ringd: o.Ringd, built: make(map[string]string)}
	if err := hosts.Available(); err != nil && !b.loopback {
		fmt.Fprintf(out, "%v: members are on loopback, and can't be cut off\n", err)
		b.loopback = true
	}
	var err error
	if b.dir, err = os.MkdirTemp("", "ringd-jepsen-"); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *bench) close() { _ = os.RemoveAll(b.dir) }

// build returns the path of ringd, built with the tags that the nemeses need.
func (b *bench) build(ctx context.Context, list []*nemesis.Nemesis) (string, error) {
	if b.ringd != "" {
		return filepath.Abs(b.ringd)
	}
	var tags []string
	for _, n := range list {
		tags = append(tags, n.Tags...)
	}
	slices.Sort(tags)
	tags = slices.Compact(tags)
	with := strings.Join(tags, ",")
	// No tag has a space.
	key := b.plant + " " + with
	if path, ok := b.built[key]; ok {
		return path, nil
	}
	if b.plant != "" {
		path, err := plants.Build(ctx, b.plant, b.dir, tags...)
		if err == nil {
			b.built[key] = path
		}
		return path, err
	}
	path := filepath.Join(b.dir, fmt.Sprintf("ringd%d", len(b.built)))
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", with, "-o", path, "github.com/ringd/ringd/cmd/ringd")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building ringd: %w\n%s", err, out)
	}
	b.built[key] = path
	return path, nil
}

// run makes one run on a network of its own, or on loopback. Its error is a
// brokenError, unless the configuration is wrong.
func (b *bench) run(ctx context.Context, c run.Config) (run.Outcome, error) {
	if err := c.Validate(b.loopback); err != nil {
		return run.Broken, err
	}
	outcome, err := b.runValid(ctx, c)
	if err != nil {
		return run.Broken, &brokenError{err: err}
	}
	return outcome, nil
}

func (b *bench) runValid(ctx context.Context, c run.Config) (run.Outcome, error) {
	list, err := nemesis.Parse(c.Nemesis)
	if err != nil {
		return run.Broken, err
	}
	if c.Ringd, err = b.build(ctx, list); err != nil {
		return run.Broken, err
	}
	if b.ringd == "" {
		c.Commit = run.SourceCommit()
	}
	if !b.loopback {
		return b.runInside(ctx, c)
	}
	r, err := run.Run(ctx, c, page, b.out)
	return r.Verdict.Outcome, err
}

// runInside makes a network, has another process, on a host of it, make the run, and
// removes the network whatever became of that.
func (b *bench) runInside(ctx context.Context, c run.Config) (outcome run.Outcome, err error) {
	net, err := hosts.New()
	if err != nil {
		return run.Broken, err
	}
	defer func() { err = errors.Join(err, net.Remove()) }()
	c.Network = net.Base
	h, err := net.AddHarness()
	if err != nil {
		return run.Broken, err
	}
	raw, err := json.Marshal(c)
	if err != nil {
		return run.Broken, err
	}
	self, err := os.Executable()
	if err != nil {
		return run.Broken, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Longest())
	defer cancel()
	line := append(h.Enter(), self, insideName, string(raw))
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Stdout, cmd.Stderr = b.out, os.Stderr
	// It is told to end, and given time to; if this process is killed, it ends, too.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = cleanWithin
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return run.Broken, err
	}
	r, err := run.Read(c.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return run.Broken, errors.New("no run was made")
	}
	if err != nil {
		return run.Broken, err
	}
	if r.Verdict.Outcome == "" {
		return run.Broken, errors.New("the process that made the run ended without a verdict")
	}
	return r.Verdict.Outcome, nil
}

// insideName is the command by which this program runs itself on a host of a network.
const insideName = "inside"

func insideCommand() *cobra.Command {
	return &cobra.Command{
		Use:    insideName + " CONFIG",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var c run.Config
			if err := json.Unmarshal([]byte(args[0]), &c); err != nil {
				return err
			}
			r, err := run.Run(cmd.Context(), c, page, cmd.OutOrStdout())
			if err != nil {
				return err
			}
			return exitOf(r.Verdict.Outcome)
		},
	}
}
