package slowlink

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// nftWithin bounds one call of nft.
const nftWithin = 30 * time.Second

const (
	vnetHeader = 10 // in front of what a socket reads: struct virtio_net_hdr
	ethHeader  = 14
	// packetMax is a segment of the largest size, and headers.
	packetMax = 1<<16 + 256
)

// Port is a host on the switch.
type Port struct {
	// Interface of the switch that the host is at.
	Interface string
	// IP of the host.
	IP netip.Addr
	// Mark of what comes from the host and was slow. No two hosts have the same, and
	// none has 0.
	Mark uint32
}

// Links are the slow ways of one switch. It is safe for use by several goroutines.
type Links struct {
	namespace, bridge string
	queue             *queue
	closing           chan struct{}
	running           sync.WaitGroup

	// changing is held while ways are set.
	changing sync.Mutex

	mu struct {
		sync.Mutex
		random *rand.Rand
		taps   map[string]*tap // by interface
		closed bool
	}
}

// tap takes copies of what one host sends.
type tap struct {
	in, out *os.File

	// Guarded by Links.mu:
	ways map[netip.Addr]*way
	last time.Time // when the last that it took arrives
}

const table = "slowlink"

// rules drop what taps take copies of.
const rules = `
table bridge ` + table + ` {
	set slow { type ifname . ifname; }
	chain forward {
		type filter hook forward priority 10; policy accept;
		ether type ip iifname . oifname @slow drop
	}
}
`

// New returns the ways of the bridge in the namespace; none is slow. The seed decides
// on each packet. Whoever calls it closes it.
func New(namespace, bridge string, seed uint64) (*Links, error) {
	l := &Links{namespace: namespace, bridge: bridge, queue: newQueue(), closing: make(chan struct{})}
	l.mu.random = rand.New(rand.NewPCG(seed, 0))
	l.mu.taps = make(map[string]*tap)
	if err := l.nft(rules); err != nil {
		return nil, err
	}
	l.running.Go(func() { l.queue.run(l.closing) })
	return l, nil
}

// Set makes the way from one host to another one of that shape. Packets that are on
// their way arrive as they would have. While it changes, one may arrive twice.
func (l *Links) Set(from, to Port, shape Shape) error {
	if err := shape.Validate(); err != nil {
		return err
	}
	if from.Mark == 0 {
		return errors.New("slowlink: a port needs a mark other than 0")
	}
	l.changing.Lock()
	defer l.changing.Unlock()
	t, err := l.tap(from)
	if err != nil {
		return fmt.Errorf("slowlink: %w", err)
	}
	l.mu.Lock()
	w, slow := t.ways[to.IP]
	if !slow {
		w = new(way)
		t.ways[to.IP] = w
	}
	w.shape = shape
	l.mu.Unlock()
	if slow {
		return nil
	}
	return l.nft(fmt.Sprintf("add element bridge %s slow { %q . %q }", table, from.Interface, to.Interface))
}

// Clear makes the way from one host to another as fast as any other again.
func (l *Links) Clear(from, to Port) error {
	l.changing.Lock()
	defer l.changing.Unlock()
	l.mu.Lock()
	t := l.mu.taps[from.Interface]
	slow := t != nil && t.ways[to.IP] != nil
	l.mu.Unlock()
	if !slow {
		return nil
	}
	err := l.nft(fmt.Sprintf("delete element bridge %s slow { %q . %q }", table, from.Interface, to.Interface))
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(t.ways, to.IP)
	if len(t.ways) == 0 {
		delete(l.mu.taps, from.Interface)
		_ = t.in.Close()
		l.queue.add(t.last, func() { _ = t.out.Close() })
	}
	return nil
}

// tap returns the tap of what the host sends, and begins it if there is none.
func (l *Links) tap(from Port) (*tap, error) {
	l.mu.Lock()
	t, closed := l.mu.taps[from.Interface], l.mu.closed
	l.mu.Unlock()
	if closed {
		return nil, errors.New("closed")
	}
	if t != nil {
		return t, nil
	}
	t = &tap{ways: make(map[netip.Addr]*way)}
	err := within(l.namespace, func() (err error) {
		if t.in, err = listen(from.Interface); err != nil {
			return err
		}
		if t.out, err = speak(l.bridge, int(from.Mark)); err != nil {
			_ = t.in.Close()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.mu.taps[from.Interface] = t
	l.mu.Unlock()
	l.running.Go(func() { l.carry(t) })
	return t, nil
}

// carry takes what comes in until the tap is closed.
func (l *Links) carry(t *tap) {
	buf := make([]byte, packetMax)
	for {
		n, err := t.in.Read(buf)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			// The interface is down, or was: there is nothing to take then.
			select {
			case <-l.closing:
				return
			default:
				continue
			}
		}
		to, ok := destination(buf[:n])
		if !ok {
			continue
		}
		l.mu.Lock()
		var times []time.Time
		if w, slow := t.ways[to]; slow {
			times = w.deliver(time.Now(), n-vnetHeader, l.mu.random)
		}
		for _, at := range times {
			if at.After(t.last) {
				t.last = at
			}
		}
		l.mu.Unlock()
		if len(times) == 0 {
			continue
		}
		packet := slices.Clone(buf[:n])
		for _, at := range times {
			// What the bridge does not take is lost, as on any way.
			l.queue.add(at, func() { _, _ = t.out.Write(packet) })
		}
	}
}

// destination is where an IPv4 packet goes to.
func destination(packet []byte) (netip.Addr, bool) {
	const destinationAt = vnetHeader + ethHeader + 16
	if len(packet) < destinationAt+4 || binary.BigEndian.Uint16(packet[vnetHeader+12:]) != 0x0800 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte(packet[destinationAt:])), true
}

// Close makes all ways fast again. What is on its way is lost.
func (l *Links) Close() error {
	l.changing.Lock()
	defer l.changing.Unlock()
	l.mu.Lock()
	if l.mu.closed {
		l.mu.Unlock()
		return nil
	}
	l.mu.closed = true
	taps := l.mu.taps
	l.mu.taps = nil
	l.mu.Unlock()
	err := l.nft("delete table bridge " + table)
	close(l.closing)
	for _, t := range taps {
		_ = t.in.Close()
	}
	l.running.Wait()
	for _, t := range taps {
		_ = t.out.Close()
	}
	return err
}

// nft runs a script in the switch's namespace.
func (l *Links) nft(script string) error {
	ctx, cancel := context.WithTimeout(context.Background(), nftWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", l.namespace, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("slowlink: nft: %w\n%s", err, bytes.TrimSpace(out))
	}
	return nil
}
