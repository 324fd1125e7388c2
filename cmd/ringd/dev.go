package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringd/ringd/client"
)

// devConfig describes a cluster on this machine.
type devConfig struct {
	nodes      int
	dir        string
	basePort   int
	partitions int
	replicas   int
	noRestart  bool
}

const (
	// devNodesMax keeps a typing error from starting hundreds of processes.
	devNodesMax = 32
	// devReadyWithin bounds the time until all members have joined and own slots.
	devReadyWithin = 2 * time.Minute
	// portsPerMember: gRPC, gossip, HTTP, and room.
	portsPerMember = 10
)

func dev() *cobra.Command {
	var c devConfig
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a cluster on this machine, as child processes",
		Long: `dev starts members as child processes on 127.0.0.1, joins them, gives them the
partitions, and prints a line that begins with "ready" and then their addresses.
Member i, from 0, listens on base-port + 10*i for gRPC, one above for gossip, two
above for HTTP; base-port 0 takes free ports. What they store is kept in --dir
and is there again at the next run. A member that dies is started again after a
second. Ctrl-C stops all.`,
		Example: `  ringd dev --nodes 3 --dir ./dev --base-port 7600`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.validate(); err != nil {
				return err
			}
			return runDev(cmd.Context(), c, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.IntVar(&c.nodes, "nodes", 3, "number of members")
	f.StringVar(&c.dir, "dir", "", "directory of the members' data (required)")
	f.IntVar(&c.basePort, "base-port", 7600, "first port; 0 takes free ones")
	f.IntVar(&c.partitions, "partitions", 0, "number of partitions of a new cluster (default 256)")
	f.IntVar(&c.replicas, "replicas", 0, "members that hold each partition of a new cluster (default 3, or --nodes if that is less)")
	f.BoolVar(&c.noRestart, "no-restart", false, "leave a member that died as it is")
	return cmd
}

func (c *devConfig) validate() error {
	switch {
	case c.dir == "":
		return fmt.Errorf("--dir is missing: name a directory for the members' data")
	case c.nodes < 1 || c.nodes > devNodesMax:
		return fmt.Errorf("--nodes is %d: use 1 to %d", c.nodes, devNodesMax)
	case c.basePort < 0 || c.basePort > 65535-portsPerMember*c.nodes:
		return fmt.Errorf("--base-port is %d: use 0, or 1 to %d for %d members", c.basePort, 65535-portsPerMember*c.nodes, c.nodes)
	}
	if c.partitions == 0 {
		c.partitions = 256
	}
	if c.replicas == 0 {
		c.replicas = min(3, c.nodes)
	}
	return nil
}

// runDev runs the cluster until ctx ends. With --no-restart it goes on with the
// members that are left.
func runDev(ctx context.Context, c devConfig, stdout, stderr io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	logs := &lineWriter{to: stderr}
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()

	children := make([]*child, c.nodes)
	var first string
	for i := range children {
		children[i] = newChild(self, c, i, logs)
		if i > 0 {
			children[i].join = first
		}
		running.Go(func() { children[i].supervise(ctx) })
		if i == 0 {
			// The others have to know where it is.
			if first, err = children[0].address(ctx); err != nil {
				return err
			}
		}
	}
	ready, stop := context.WithTimeout(ctx, devReadyWithin)
	defer stop()
	addrs := make([]string, len(children))
	for i, m := range children {
		if addrs[i], err = m.address(ready); err != nil {
			return err
		}
	}
	if err := commitDev(ready, addrs, c.nodes); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	fmt.Fprintf(stdout, "ready: %d members", c.nodes)
	for _, a := range addrs {
		fmt.Fprintf(stdout, " %s", a)
	}
	fmt.Fprintln(stdout)
	<-ctx.Done()
	return nil
}

// commitDev waits until all members have joined, and gives them the partitions
// if nobody has them yet.
func commitDev(ctx context.Context, addrs []string, nodes int) error {
	c, err := client.Dial(ctx, addrs...)
	if err != nil {
		return fmt.Errorf("reaching the members: %w", err)
	}
	defer c.Close()
	return waitCommitted(ctx, c, nodes)
}

// child is one member and the process that it runs in.
type child struct {
	program   string
	args      []string
	name      string
	dir       string
	join      string
	noRestart bool
	logs      *lineWriter
}

func newChild(program string, c devConfig, i int, logs *lineWriter) *child {
	name := "n" + strconv.Itoa(i)
	dir := filepath.Join(c.dir, name)
	at := func(offset int) string {
		port := 0
		if c.basePort > 0 {
			port = c.basePort + portsPerMember*i + offset
		}
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	args := []string{
		"--data-dir", dir, "--name", name, "--listen", at(0), "--gossip", at(1), "--http", at(2),
	}
	if i == 0 {
		args = append(args, "--bootstrap", "--partitions", strconv.Itoa(c.partitions), "--replicas", strconv.Itoa(c.replicas))
	}
	return &child{program: program, args: args, name: name, dir: dir, noRestart: c.noRestart, logs: logs}
}
