// Package cluster runs the members that a run breaks: real ringd processes, on
// hosts of their own or on loopback.
//
// Faults take members for themselves with Claim, so that two that go on at a time
// don't start what the other killed.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ringd/ringd/jepsen/internal/hosts"
	"github.com/ringd/ringd/jepsen/internal/workload"
)

// Config describes a cluster.
type Config struct {
	Program string // path of ringd
	Data    string // directory of the members' data directories
	Logs    string // directory of the members' logs
	// Network has the members' hosts; nil has them on loopback.
	Network *hosts.Network
	// Members that it begins with, Replicas of each partition, Partitions.
	Members, Replicas, Partitions int
	// Hooks prepare each member before its first start, in order.
	Hooks []Hook
	// Since is the time since the run began.
	Since func() time.Duration
}

// DefaultConfig has five members, so that a majority is left with two broken, and
// a member that owns nothing of a key.
func DefaultConfig() Config {
	return Config{Members: 5, Replicas: 3, Partitions: 32}
}

// Hook prepares a member for faults that have to be there from the start, such as
// a file system below its data directory: it may change Dir and Args. What it
// returns undoes that, once the member has ended for good; nil for nothing.
type Hook func(ctx context.Context, m *Member) (undo func() error, err error)

// Cluster is safe for use by several goroutines.
type Cluster struct {
	config Config

	// mu may be taken with a member's held, never the other way.
	mu struct {
		sync.Mutex
		members []*Member // all that ever were
		undo    []func() error
		died    []string
	}
	// one is held by who takes copies of data out of the cluster: a second one at a
	// time could take the last.
	one chan struct{}
	// growing is held while a member is added: it comes before mu.
	growing sync.Mutex
	// changes is held by who stages and commits.
	changes sync.Mutex
}

// New describes a cluster; Start starts it.
func New(config Config) *Cluster {
	return &Cluster{config: config, one: make(chan struct{}, 1)}
}

// Network of the members' hosts; nil on loopback.
func (c *Cluster) Network() *hosts.Network { return c.config.Network }

// Data is a directory for the copies that faults make of others.
func (c *Cluster) Data() string { return c.config.Data }

// Start starts the members and gives them the partitions.
func (c *Cluster) Start(ctx context.Context) error {
	for i := range c.config.Members {
		m, err := c.add(ctx)
		if err != nil {
			return err
		}
		args := []string{"--bootstrap", "--replicas", strconv.Itoa(c.config.Replicas), "--partitions", strconv.Itoa(c.config.Partitions)}
		if i > 0 {
			args = c.JoinArgs(m)
		}
		if err := m.Start(ctx, args...); err != nil {
			return err
		}
	}
	if err := c.commitFirst(ctx); err != nil {
		return err
	}
	return c.WaitServing(ctx)
}

// Add starts one more member, which joins and owns nothing yet.
func (c *Cluster) Add(ctx context.Context) (*Member, error) {
	m, err := c.add(ctx)
	if err != nil {
		return nil, err
	}
	return m, m.Start(ctx, c.JoinArgs(m)...)
}

// add describes one more member. It has no part in anything until it is started.
func (c *Cluster) add(ctx context.Context) (*Member, error) {
	c.growing.Lock()
	defer c.growing.Unlock()
	n := len(c.all())
	name := fmt.Sprintf("m%d", n)
	m := &Member{Name: name, c: c, Dir: filepath.Join(c.config.Data, name), addr: loopback(n)}
	var err error
	if c.config.Network != nil {
		if m.Host, err = c.config.Network.AddHost(); err != nil {
			return nil, err
		}
		m.addr = m.Host.IP
	}
	if err := errors.Join(os.MkdirAll(c.config.Logs, 0o755), os.MkdirAll(m.Dir, 0o755)); err != nil {
		return nil, err
	}
	if m.log, err = os.OpenFile(filepath.Join(c.config.Logs, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
		return nil, err
	}
	for _, hook := range c.config.Hooks {
		undo, err := hook(ctx, m)
		if undo != nil {
			c.mu.Lock()
			c.mu.undo = append(c.mu.undo, undo)
			c.mu.Unlock()
		}
		if err != nil {
			return nil, errors.Join(err, m.log.Close())
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.members = append(c.mu.members, m)
	return m, nil
}

// loopback is an address of 127.0.0.0/8 for a member: another than those of any other
// run, as far as they run in different processes with ids that are not far apart.
func loopback(member int) string {
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d", 1+(pid>>8)%254, pid%256, member+1)
}

// JoinArgs tell a member where the others served last.
func (c *Cluster) JoinArgs(m *Member) []string {
	var args []string
	for _, o := range c.Members() {
		if o == m {
			continue
		}
		o.mu.Lock()
		if o.mu.at != "" {
			args = append(args, "--join", o.mu.at)
		}
		o.mu.Unlock()
	}
	return args
}

func (c *Cluster) all() []*Member {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.mu.members)
}

// Members are those that came up once and belong to the cluster, whether they run
// now or not.
func (c *Cluster) Members() []*Member {
	return slices.DeleteFunc(c.all(), func(m *Member) bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.mu.gone || m.mu.conn == nil
	})
}

// Clients are the members as clients reach them: all that run, those that were
// removed and run on included. If none runs they are all that there are: a client
// has to ask somebody.
func (c *Cluster) Clients() []workload.Member {
	var up, all []workload.Member
	for _, m := range c.all() {
		w, ok := m.client()
		if !ok {
			continue
		}
		all = append(all, w)
		if m.Running() {
			up = append(up, w)
		}
	}
	if len(up) == 0 {
		return all
	}
	return up
}

// Claim takes up to n members that run and no other fault has, at random. Whoever
// claims them releases them.
func (c *Cluster) Claim(rng *rand.Rand, n int) []*Member {
	members := c.Members()
	rng.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	var claimed []*Member
	for _, m := range members {
		if len(claimed) == n {
			break
		}
		m.mu.Lock()
		if !m.mu.claimed && m.proc.Running() {
			m.mu.claimed = true
			claimed = append(claimed, m)
		}
		m.mu.Unlock()
	}
	return claimed
}

// Release gives members back that were claimed.
func (c *Cluster) Release(members ...*Member) {
	for _, m := range members {
		m.mu.Lock()
		m.mu.claimed = false
		m.mu.Unlock()
	}
}

// Alone waits until no other fault takes copies of data away, and keeps others from
// it until release is called. What it returns is not to be called twice.
func (c *Cluster) Alone(ctx context.Context) (release func(), err error) {
	select {
	case c.one <- struct{}{}:
		return func() { <-c.one }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("another fault takes data away: %w", ctx.Err())
	}
}

// Died says which members ended though nobody ended them, when, and how.
func (c *Cluster) Died() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.mu.died)
}

func (c *Cluster) noteDeath(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.died = append(c.mu.died, text)
}

// Close kills all members and undoes what the hooks did.
func (c *Cluster) Close() error {
	var errs []error
	for _, m := range c.all() {
		m.Kill()
		m.mu.Lock()
		if m.mu.conn != nil {
			errs = append(errs, m.mu.conn.Close())
		}
		m.mu.Unlock()
		errs = append(errs, m.log.Close())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, undo := range slices.Backward(c.mu.undo) {
		errs = append(errs, undo())
	}
	return errors.Join(errs...)
}
