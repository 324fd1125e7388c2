// Package run makes one run: a cluster, clients that work on it, nemeses that
// break it, and a verdict, all of it kept in a directory.
package run

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ringd/ringd/jepsen/internal/nemesis"
	"github.com/ringd/ringd/jepsen/internal/workload"
)

// Config describes a run. It goes from one process to another as JSON.
type Config struct {
	Workload string
	Nemesis  string // a mix, "a,b,c"; "none" breaks nothing
	Time     time.Duration
	Seed     uint64
	// Ringd is the path of the binary under test.
	Ringd string
	// Commit that it was built from, if the harness built it.
	Commit string
	// Dir is the run's directory, which must not be there yet.
	Dir string
	// Keep keeps the members' data directories also if the run passes.
	Keep bool
	// Members that the cluster begins with, and Clients that work on it.
	Members, Clients int
	// PerSecond is how many operations begin in a second, at most: enough for every
	// fault to meet many, few enough for a checker and for a small machine.
	PerSecond int
	// Whole bounds the time until nothing is left of the faults, and then that of the
	// last reads, and of the last comparisons: far above what it takes where nothing
	// is wrong, as a member may have gigabytes to get back.
	Whole time.Duration
	// Network is the base of the network that the run has; empty is loopback.
	Network string
	// Command is the command line, for the record.
	Command []string
}

// DefaultConfig has what does not differ from run to run.
func DefaultConfig() Config {
	return Config{Nemesis: "none", Time: time.Minute, Members: 5, Clients: 10, PerSecond: 400, Whole: 3 * time.Minute}
}

const (
	timeMin, timeMax       = 5 * time.Second, 24 * time.Hour
	membersMin, membersMax = 3, 20
	clientsMax             = 1000
)

// Validate says what is wrong and what to use instead, for a run with a network or
// on loopback.
func (c Config) Validate(loopback bool) error {
	if _, err := workloadNamed(c.Workload); err != nil {
		return err
	}
	list, err := nemesis.Parse(c.Nemesis)
	if err != nil {
		return err
	}
	for _, n := range list {
		if missing := n.Missing(loopback); missing != "" {
			return fmt.Errorf("nemesis %s needs %s", n.Name, missing)
		}
	}
	switch {
	case c.Time < timeMin || c.Time > timeMax:
		return fmt.Errorf("--time is %v: use %v to %v", c.Time, timeMin, timeMax)
	case c.Whole <= 0:
		return fmt.Errorf("--whole-within is %v: use a time above 0", c.Whole)
	case c.Members < membersMin || c.Members > membersMax:
		return fmt.Errorf("--members is %d: use %d to %d", c.Members, membersMin, membersMax)
	case c.Clients < 1 || c.Clients > clientsMax:
		return fmt.Errorf("--clients is %d: use 1 to %d", c.Clients, clientsMax)
	case c.PerSecond < 0:
		return fmt.Errorf("--rate is %d: use operations per second, or 0 for no limit", c.PerSecond)
	case c.Dir == "":
		return errors.New("a run needs a directory")
	}
	return nil
}

func workloadNamed(name string) (workload.Workload, error) {
	all := workload.All()
	i := slices.IndexFunc(all, func(w workload.Workload) bool { return w.Name() == name })
	if i < 0 {
		return nil, fmt.Errorf("there is no workload %q: \"jepsen list\" names them", name)
	}
	return all[i], nil
}
