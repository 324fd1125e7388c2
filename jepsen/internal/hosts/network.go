package jepsen

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// commandWithin bounds one call of ip or nft.
const commandWithin = 30 * time.Second

// prefix begins the names of all namespaces of this package. The id of the
// process that made them follows, so that those of a run that was killed can be
// told from those of a run beside this one.
const prefix = "ringd-jepsen-"

var networks atomic.Int64 // made by this process

// switchRules drop what the switch would forward from the first interface of a
// pair to the second. It is the one place where faults are: the hosts' own
// stacks notice nothing but silence.
const switchRules = `
table bridge faults {
	set cut { type ifname . ifname; }
	chain forward {
		type filter hook forward priority 0; policy accept;
		iifname . oifname @cut drop
	}
}
`

// Host is a network namespace with one interface, on the network's switch.
type Host struct {
	IP        string // reachable from the network's hosts only
	Namespace string
	port      string // of the switch: an interface name, unique in its namespace
}

// Enter is the command that runs what follows it on the host.
func (h *Host) Enter() []string { return []string{"ip", "netns", "exec", h.Namespace} }

// Network is some hosts on one switch, which is a bridge in a namespace of its own.
type Network struct {
	Hosts []*Host
	t     testing.TB
	sw    string // namespace of the switch
}

// NewNetwork makes n hosts, at most 254, that reach each other and nothing else.
// They are removed with the test. The test is skipped where they can't be made.
func NewNetwork(t testing.TB, n int) *Network {
	t.Helper()
	needRoot(t)
	removeAbandoned(t)
	base := fmt.Sprintf("%s%d-%d", prefix, os.Getpid(), networks.Add(1))
	net := &Network{t: t, sw: base + "-switch"}
	net.addNamespace(net.sw)
	net.ip("-n", net.sw, "link", "add", "bridge", "type", "bridge")
	net.ip("-n", net.sw, "link", "set", "bridge", "up")
	net.nft(switchRules)
	for i := range n {
		h := &Host{
			IP:        fmt.Sprintf("10.77.0.%d", i+1),
			Namespace: fmt.Sprintf("%s-h%d", base, i),
			port:      fmt.Sprintf("port%d", i),
		}
		net.addNamespace(h.Namespace)
		net.ip("-n", net.sw, "link", "add", h.port, "type", "veth", "peer", "name", "eth0", "netns", h.Namespace)
		net.ip("-n", net.sw, "link", "set", h.port, "master", "bridge", "up")
		net.ip("-n", h.Namespace, "addr", "add", h.IP+"/24", "dev", "eth0")
		net.ip("-n", h.Namespace, "link", "set", "lo", "up")
		net.ip("-n", h.Namespace, "link", "set", "eth0", "up")
		net.Hosts = append(net.Hosts, h)
	}
	return net
}

// Cut drops everything between the hosts of one group and those of the other,
// both ways, on connections that are open too: nobody is told.
func (n *Network) Cut(one, other []*Host) {
	n.t.Helper()
	var pairs []string
	for _, a := range one {
		for _, b := range other {
			pairs = append(pairs,
				fmt.Sprintf("%q . %q", a.port, b.port),
				fmt.Sprintf("%q . %q", b.port, a.port))
		}
	}
	n.nft("add element bridge faults cut { " + strings.Join(pairs, ", ") + " }")
}

// Heal ends all cuts.
func (n *Network) Heal() {
	n.t.Helper()
	n.nft("flush set bridge faults cut")
}

// addNamespace makes a namespace, which is removed with the test, whatever else
// fails. What is in it, such as the ends of cables, goes with it.
func (n *Network) addNamespace(name string) {
	n.t.Helper()
	n.ip("netns", "add", name)
	n.t.Cleanup(func() {
		if err := run("", "ip", "netns", "delete", name); err != nil {
			n.t.Error(err)
		}
	})
}

func (n *Network) ip(args ...string) {
	n.t.Helper()
	if err := run("", "ip", args...); err != nil {
		n.t.Fatal(err)
	}
}

// nft runs a script in the switch's namespace.
func (n *Network) nft(script string) {
	n.t.Helper()
	if err := run(script, "ip", "netns", "exec", n.sw, "nft", "-f", "-"); err != nil {
		n.t.Fatal(err)
	}
}

func run(stdin, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), commandWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root; the package's documentation says how to go without")
	}
	for _, name := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("hosts on a network need the program %s: %v", name, err)
		}
	}
}

// removeAbandoned removes the namespaces of runs that were killed before they
// could remove their own.
func removeAbandoned(t testing.TB) {
	t.Helper()
	entries, err := os.ReadDir("/run/netns")
	if err != nil {
		return // no namespace was ever made here
	}
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), prefix)
		first, _, _ := strings.Cut(rest, "-")
		pid, err := strconv.Atoi(first)
		if !ours || err != nil || syscall.Kill(pid, 0) != syscall.ESRCH {
			continue
		}
		if err := run("", "ip", "netns", "delete", e.Name()); err != nil {
			t.Logf("namespace of a run that was killed: %v", err)
		}
	}
}
