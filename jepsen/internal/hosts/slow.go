package hosts

import (
	"errors"
	"net/netip"
	"slices"
	"sync"

	"github.com/ringd/ringd/jepsen/internal/slowlink"
)

// slow is what makes ways slow, from the first that is.
type slow struct {
	mu struct {
		sync.Mutex
		links  *slowlink.Links
		faults []*SlowFault
	}
}

// SlowFault is ways that are slow.
type SlowFault struct {
	n     *Network
	pairs []Pair
	shape slowlink.Shape
}

// slowSeed decides which packets are lost: which packets there are, no seed decides.
const slowSeed = 1

// Slow gives the pairs' ways that shape, on top of what others gave them. What is cut
// is not slow, but cut.
func (n *Network) Slow(pairs []Pair, shape slowlink.Shape) (*SlowFault, error) {
	n.slow.mu.Lock()
	defer n.slow.mu.Unlock()
	if n.slow.mu.links == nil {
		links, err := slowlink.New(n.sw, "bridge", slowSeed)
		if err != nil {
			return nil, err
		}
		n.slow.mu.links = links
	}
	f := &SlowFault{n, pairs, shape}
	n.slow.mu.faults = append(n.slow.mu.faults, f)
	if err := n.slow.renewLocked(pairs); err != nil {
		return nil, errors.Join(err, f.healLocked())
	}
	return f, nil
}

// Heal ends the fault. It may be called once.
func (f *SlowFault) Heal() error {
	f.n.slow.mu.Lock()
	defer f.n.slow.mu.Unlock()
	return f.healLocked()
}

func (f *SlowFault) healLocked() error {
	s := &f.n.slow
	s.mu.faults = slices.DeleteFunc(s.mu.faults, func(o *SlowFault) bool { return o == f })
	return s.renewLocked(f.pairs)
}

// renewLocked makes the pairs' ways what all faults together make them.
func (s *slow) renewLocked(pairs []Pair) error {
	var errs []error
	for _, p := range pairs {
		from, err := p.From.slowPort()
		if err != nil {
			return err
		}
		to, err := p.To.slowPort()
		if err != nil {
			return err
		}
		var shape slowlink.Shape
		for _, f := range s.mu.faults {
			if slices.Contains(f.pairs, p) {
				shape = shape.And(f.shape)
			}
		}
		if shape == (slowlink.Shape{}) {
			errs = append(errs, s.mu.links.Clear(from, to))
		} else {
			errs = append(errs, s.mu.links.Set(from, to, shape))
		}
	}
	return errors.Join(errs...)
}

func (h *Host) slowPort() (slowlink.Port, error) {
	ip, err := netip.ParseAddr(h.IP)
	return slowlink.Port{Interface: h.port, IP: ip, Mark: h.mark}, err
}

func (s *slow) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.links == nil {
		return nil
	}
	return s.mu.links.Close()
}
