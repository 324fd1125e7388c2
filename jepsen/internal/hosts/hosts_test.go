package hosts

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newNetwork(t *testing.T, n int) (*Network, []*Host) {
	t.Helper()
	if err := Available(); err != nil {
		t.Skip(err)
	}
	network, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := network.Close(); err != nil {
			t.Error(err)
		}
	})
	list := make([]*Host, n)
	for i := range list {
		if list[i], err = network.AddHost(); err != nil {
			t.Fatal(err)
		}
	}
	return network, list
}

// on runs do on a host.
func on(t *testing.T, h *Host, do func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine.
		runtime.LockOSThread()
		f, err := os.Open(filepath.Join("/run/netns", h.Namespace))
		if err == nil {
			defer f.Close()
			err = unix.Setns(int(f.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = do()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatalf("on %s: %v", h.Namespace, err)
	}
}

// socket is bound to a host's address.
func socket(t *testing.T, h *Host) (conn *net.UDPConn) {
	t.Helper()
	on(t, h, func() (err error) {
		conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(h.IP), Port: 9000})
		return err
	})
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

const (
	// silence is far above what a packet takes between two namespaces.
	silence = 300 * time.Millisecond
	// patience is for machines that do other work.
	patience = 10 * time.Second
)

var sent atomic.Uint64 // packets: each has its number

// arrive sends packets from one host to another, and returns how many of them have
// arrived once none came for a while.
func arrive(t *testing.T, from, to *net.UDPConn, packets int, within time.Duration) (arrived int) {
	t.Helper()
	first := sent.Load() + 1
	for range packets {
		packet := binary.BigEndian.AppendUint64(nil, sent.Add(1))
		if _, err := from.WriteTo(packet, to.LocalAddr()); err != nil && !errors.Is(err, unix.EHOSTUNREACH) {
			t.Fatal(err)
		}
	}
	var buf [8]byte
	for arrived < packets {
		if err := to.SetReadDeadline(time.Now().Add(within)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := to.ReadFrom(buf[:]); err != nil {
			return arrived
		}
		if binary.BigEndian.Uint64(buf[:]) >= first {
			arrived++
		}
	}
	return arrived
}

// reaches reports whether packets arrive. It takes its time if they should.
func reaches(t *testing.T, from, to *net.UDPConn, want bool) bool {
	t.Helper()
	if !want {
		return arrive(t, from, to, 1, silence) > 0
	}
	for until := time.Now().Add(patience); time.Now().Before(until); {
		if arrive(t, from, to, 1, silence) > 0 {
			return true
		}
	}
	return false
}

// heal ends a fault.
func heal(t *testing.T, f *Fault) {
	t.Helper()
	if err := f.Heal(); err != nil {
		t.Fatal(err)
	}
}

func TestFaults(t *testing.T) {
	network, list := newNetwork(t, 3)
	a, b, c := socket(t, list[0]), socket(t, list[1]), socket(t, list[2])
	check := func(when string, ab, ba, ac, bc bool) {
		t.Helper()
		for _, w := range []struct {
			name     string
			from, to *net.UDPConn
			want     bool
		}{{"a to b", a, b, ab}, {"b to a", b, a, ba}, {"a to c", a, c, ac}, {"c to a", c, a, ac}, {"b to c", b, c, bc}} {
			if got := reaches(t, w.from, w.to, w.want); got != w.want {
				t.Errorf("%s, %s: %v, want %v", when, w.name, got, w.want)
			}
		}
	}
	must := func(f *Fault, err error) *Fault {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	check("before", true, true, true, true)
	oneWay := must(network.Cut(OneWay(list[:1], list[1:2])))
	check("one way", false, true, true, true)
	both := must(network.Cut(Between(list[:2], list[2:])))
	check("with another cut", false, true, false, false)
	heal(t, oneWay)
	check("with the other cut only", true, true, false, false)
	heal(t, both)
	check("healed", true, true, true, true)
	nothing := must(network.Cut(nil))
	check("nothing cut", true, true, true, true)
	heal(t, nothing)

	const packets = 200
	loss := must(network.Lose(OneWay(list[:1], list[1:2]), 50))
	if n := arrive(t, a, b, packets, silence); n < packets/5 || n > packets*4/5 {
		t.Errorf("with half lost, %d of %d arrive", n, packets)
	}
	if n := arrive(t, b, a, packets, silence); n != packets {
		t.Errorf("the other way, %d of %d arrive", n, packets)
	}
	heal(t, loss)
	if n := arrive(t, a, b, packets, silence); n != packets {
		t.Errorf("healed, %d of %d arrive", n, packets)
	}
}

// TestHarnessReachesAll: whatever is cut between members, who looks at them is not.
func TestHarnessReachesAll(t *testing.T) {
	network, list := newNetwork(t, 2)
	// As another process does that was given the network's name.
	joined := Join(network.Base)
	h, err := joined.AddHarness()
	if err != nil {
		t.Fatal(err)
	}
	f, err := joined.Cut(Between(list[:1], list[1:]))
	if err != nil {
		t.Fatal(err)
	}
	from := socket(t, h)
	for _, m := range list {
		to := socket(t, m)
		if !reaches(t, from, to, true) || !reaches(t, to, from, true) {
			t.Errorf("%s and the harness don't reach each other", m.IP)
		}
	}
	heal(t, f)
	if err := network.Remove(); err != nil {
		t.Error(err)
	}
	if left := namespaces(t, network.Base); len(left) > 0 {
		t.Errorf("left after removal: %v", left)
	}
}

func namespaces(t *testing.T, prefix string) []string {
	t.Helper()
	entries, err := os.ReadDir("/run/netns")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			list = append(list, e.Name())
		}
	}
	return list
}

// TestAbandonedAreRemoved: the next network removes those of processes that are
// gone, and no others.
func TestAbandonedAreRemoved(t *testing.T) {
	network, _ := newNetwork(t, 0)
	// No process has this id: it is above all that there can be.
	gone := prefix + "4194305-1-switch"
	if err := ip("netns", "add", gone); err != nil {
		t.Fatal(err)
	}
	newNetwork(t, 0)
	left := namespaces(t, prefix)
	if slices.Contains(left, gone) || !slices.Contains(left, network.sw) {
		t.Errorf("left: %v", left)
	}
}
