package hosts

import (
	"fmt"
	"strings"
)

// Pair is one direction between two hosts.
type Pair struct{ From, To *Host }

// Between are all pairs of a host of one group and one of the other, both ways.
func Between(one, other []*Host) []Pair {
	return append(OneWay(one, other), OneWay(other, one)...)
}

// OneWay are the pairs from a host of one group to one of the other.
func OneWay(from, to []*Host) []Pair {
	var pairs []Pair
	for _, a := range from {
		for _, b := range to {
			if a != b {
				pairs = append(pairs, Pair{From: a, To: b})
			}
		}
	}
	return pairs
}

// Fault is something that the switch does to what it forwards. Several may be
// there at a time; what one of them drops is gone.
type Fault struct {
	table string
	n     *Network
}

// Cut drops everything on the pairs' way, on connections that are open too: the
// hosts' own stacks notice nothing but silence.
func (n *Network) Cut(pairs []Pair) (*Fault, error) { return n.drop(pairs, "") }

// Lose drops that percentage of the packets on the pairs' way.
func (n *Network) Lose(pairs []Pair, percent int) (*Fault, error) {
	return n.drop(pairs, fmt.Sprintf("numgen random mod 100 < %d", percent))
}

// drop makes a table for the fault: it is begun and ended at once, for all pairs. What
// goes a slow way is no longer forwarded, but output by the switch, marked.
func (n *Network) drop(pairs []Pair, which string) (*Fault, error) {
	n.mu.Lock()
	n.mu.faults++
	f := &Fault{table: fmt.Sprintf("fault%d", n.mu.faults), n: n}
	n.mu.Unlock()
	ports, marks := "", ""
	if len(pairs) > 0 {
		var byPort, byMark []string
		for _, p := range pairs {
			byPort = append(byPort, fmt.Sprintf("%q . %q", p.From.port, p.To.port))
			byMark = append(byMark, fmt.Sprintf("%d . %q", p.From.mark, p.To.port))
		}
		ports = "elements = { " + strings.Join(byPort, ", ") + " }"
		marks = "elements = { " + strings.Join(byMark, ", ") + " }"
	}
	err := n.nft(fmt.Sprintf(`
table bridge %[1]s {
	set pairs { type ifname . ifname; %[2]s; }
	chain forward {
		type filter hook forward priority 0; policy accept;
		iifname . oifname @pairs %[4]s drop
	}
	set marks { type mark . ifname; %[3]s; }
	chain output {
		type filter hook output priority 0; policy accept;
		meta mark . oifname @marks %[4]s drop
	}
}
`, f.table, ports, marks, which))
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Heal ends the fault. It may be called once.
func (f *Fault) Heal() error { return f.n.nft("delete table bridge " + f.table) }

// nft runs a script in the switch's namespace.
func (n *Network) nft(script string) error {
	return run(script, "ip", "netns", "exec", n.sw, "nft", "-f", "-")
}
