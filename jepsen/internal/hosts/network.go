package hosts

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
)

// HostsMax is how many hosts a network has room for: its addresses are a /24,
// whose last is the harness's.
const HostsMax = 253

// prefix begins the names of all namespaces of this package. The id of the
// process that made them follows, so that those of a run that was killed can be
// told from those of a run beside this one.
const prefix = "ringd-jepsen-"

var networks atomic.Int64 // made by this process

// Host is a network namespace with one interface, on the network's switch.
type Host struct {
	IP        string // reachable from the network's hosts only
	Namespace string
	port      string // of the switch: an interface name, unique in its namespace
	mark      uint32 // of what came from the host by a slow way, unique on the network
}

// Enter is the command that runs what follows it on the host.
func (h *Host) Enter() []string { return []string{"ip", "netns", "exec", h.Namespace} }

// Network is some hosts on one switch, which is a bridge in a namespace of its
// own. It is safe for use by several goroutines.
type Network struct {
	// Base begins the names of its namespaces.
	Base string
	sw   string // namespace of the switch

	mu struct {
		sync.Mutex
		made   []string // namespaces, in order
		hosts  int
		faults int // that ever were: each has a table of its own
	}
	slow slow
}

// New makes a network without hosts. Whoever makes it closes it. Networks whose
// makers were killed are removed first.
func New() (*Network, error) {
	if err := Available(); err != nil {
		return nil, err
	}
	removeAbandoned()
	n := &Network{Base: fmt.Sprintf("%s%d-%d", prefix, os.Getpid(), networks.Add(1))}
	n.sw = n.Base + "-switch"
	err := errors.Join(
		n.addNamespace(n.sw),
		ip("-n", n.sw, "link", "add", "bridge", "type", "bridge"),
		ip("-n", n.sw, "link", "set", "bridge", "up"),
	)
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// Join returns the network of another process, by its Base, to add hosts to it.
// One process at a time may do that. Close removes only what was added.
func Join(base string) *Network { return &Network{Base: base, sw: base + "-switch"} }

// AddHost makes one more host, which reaches all others.
func (n *Network) AddHost() (*Host, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.hosts == HostsMax {
		return nil, fmt.Errorf("a network has room for %d hosts", HostsMax)
	}
	n.mu.hosts++
	i := n.mu.hosts
	return n.addHostLocked(fmt.Sprintf("h%d", i), i)
}

// AddHarness makes the host of those who look at the others. No fault is on the
// way between it and them.
func (n *Network) AddHarness() (*Host, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addHostLocked("harness", HostsMax+1)
}

func (n *Network) addHostLocked(name string, number int) (*Host, error) {
	h := &Host{
		IP: fmt.Sprintf("10.77.0.%d", number), Namespace: n.Base + "-" + name,
		port: "port-" + name, mark: uint32(number),
	}
	if err := n.addNamespaceLocked(h.Namespace); err != nil {
		return nil, err
	}
	for _, args := range [][]string{
		{"-n", n.sw, "link", "add", h.port, "type", "veth", "peer", "name", "eth0", "netns", h.Namespace},
		{"-n", n.sw, "link", "set", h.port, "master", "bridge", "up"},
		{"-n", h.Namespace, "addr", "add", h.IP + "/24", "dev", "eth0"},
		{"-n", h.Namespace, "link", "set", "lo", "up"},
		{"-n", h.Namespace, "link", "set", "eth0", "up"},
	} {
		if err := ip(args...); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// Close removes all that was made. What is in a namespace, such as the ends of
// cables, goes with it, once no process is in it any more.
func (n *Network) Close() error {
	errs := []error{n.slow.close()}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, name := range n.mu.made {
		errs = append(errs, ip("netns", "delete", name))
	}
	n.mu.made = nil
	return errors.Join(errs...)
}

// Remove is Close for a network to which other processes have added hosts, all of
// which have ended: it removes theirs, too.
func (n *Network) Remove() error {
	n.mu.Lock()
	n.mu.made = nil
	n.mu.Unlock()
	return removeAll(func(name string) bool { return strings.HasPrefix(name, n.Base+"-") })
}

func (n *Network) addNamespace(name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addNamespaceLocked(name)
}

func (n *Network) addNamespaceLocked(name string) error {
	if err := ip("netns", "add", name); err != nil {
		return err
	}
	n.mu.made = append(n.mu.made, name)
	return nil
}
