package slowlink

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// waitMax bounds every wait of these tests.
const waitMax = 30 * time.Second

var networks atomic.Int64

// network is some hosts on a bridge.
type network struct {
	t     testing.TB
	sw    string
	hosts []string // namespaces
	ports []Port
	links *Links
}

func newNetwork(t testing.TB, hosts int) *network {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	for _, name := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip(err)
		}
	}
	base := fmt.Sprintf("ringd-slowlink-%d-%d", os.Getpid(), networks.Add(1))
	n := &network{t: t, sw: base + "-switch"}
	n.namespace(n.sw)
	n.ip("-n", n.sw, "link", "add", "bridge", "type", "bridge")
	n.ip("-n", n.sw, "link", "set", "bridge", "up")
	for i := range hosts {
		h := fmt.Sprintf("%s-h%d", base, i)
		p := Port{Interface: fmt.Sprintf("port%d", i), IP: netip.AddrFrom4([4]byte{10, 78, 0, byte(i + 1)}), Mark: uint32(i + 1)}
		n.namespace(h)
		n.ip("-n", n.sw, "link", "add", p.Interface, "type", "veth", "peer", "name", "eth0", "netns", h)
		n.ip("-n", n.sw, "link", "set", p.Interface, "master", "bridge", "up")
		n.ip("-n", h, "addr", "add", p.IP.String()+"/24", "dev", "eth0")
		n.ip("-n", h, "link", "set", "lo", "up")
		n.ip("-n", h, "link", "set", "eth0", "up")
		n.hosts, n.ports = append(n.hosts, h), append(n.ports, p)
	}
	var err error
	if n.links, err = New(n.sw, "bridge", 1); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.links.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func (n *network) namespace(name string) {
	n.ip("netns", "add", name)
	n.t.Cleanup(func() { n.ip("netns", "delete", name) })
}

func (n *network) ip(args ...string) {
	n.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		n.t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (n *network) set(from, to int, s Shape) {
	n.t.Helper()
	if err := n.links.Set(n.ports[from], n.ports[to], s); err != nil {
		n.t.Fatal(err)
	}
}

func (n *network) clear(from, to int) {
	n.t.Helper()
	if err := n.links.Clear(n.ports[from], n.ports[to]); err != nil {
		n.t.Fatal(err)
	}
}

// udp opens a socket on a host.
func (n *network) udp(host int) *net.UDPConn {
	n.t.Helper()
	var c *net.UDPConn
	err := within(n.hosts[host], func() (err error) {
		c, err = net.ListenUDP("udp4", &net.UDPAddr{IP: n.ports[host].IP.AsSlice()})
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetReadBuffer(8 << 20)
	return c
}

// send sends numbered packets of so many bytes.
func send(t testing.TB, from, to *net.UDPConn, packets, size int) {
	t.Helper()
	p := make([]byte, size)
	for i := range packets {
		binary.BigEndian.PutUint32(p, uint32(i))
		if _, err := from.WriteTo(p, to.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
}

// receive returns the numbers that arrive until one more would be, or nothing comes
// for as long as quiet.
func receive(t testing.TB, c *net.UDPConn, packets int, quiet time.Duration) []int {
	t.Helper()
	var got []int
	buf := make([]byte, 2048)
	for len(got) < packets {
		if err := c.SetReadDeadline(time.Now().Add(quiet)); err != nil {
			t.Fatal(err)
		}
		_, err := c.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, int(binary.BigEndian.Uint32(buf)))
	}
	return got
}

// took sends one packet and returns how long it was on its way.
func took(t testing.TB, from, to *net.UDPConn) time.Duration {
	t.Helper()
	began := time.Now()
	send(t, from, to, 1, 100)
	if got := receive(t, to, 1, waitMax); len(got) != 1 {
		t.Fatal("a packet did not arrive")
	}
	return time.Since(began)
}

// TestDelay: one way is slow, the other and those to other hosts are not; and it is
// fast again afterwards.
func TestDelay(t *testing.T) {
	n := newNetwork(t, 3)
	a, b, c := n.udp(0), n.udp(1), n.udp(2)
	const delay = 400 * time.Millisecond
	n.set(0, 1, Shape{Delay: delay})
	for range 2 { // and again, with ARP behind it
		if d := took(t, a, b); d < delay {
			t.Errorf("the slow way took %v, want %v", d, delay)
		}
	}
	for name, pair := range map[string][2]*net.UDPConn{"back": {b, a}, "to a third": {a, c}, "from a third": {c, b}} {
		took(t, pair[0], pair[1]) // ARP may go the slow way
		if d := took(t, pair[0], pair[1]); d >= delay {
			t.Errorf("the way %s took %v", name, d)
		}
	}
	n.set(0, 1, Shape{Delay: 2 * delay})
	if d := took(t, a, b); d < 2*delay {
		t.Errorf("the way that was made slower took %v, want %v", d, 2*delay)
	}
	n.clear(0, 1)
	if d := took(t, a, b); d >= delay {
		t.Errorf("the way that is fast again took %v", d)
	}
	n.clear(0, 1) // again: of no effect
}

// TestProcessesLiveOn: processes that are to die with what started them do not die with
// a thread of it.
func TestProcessesLiveOn(t *testing.T) {
	n := newNetwork(t, 1)
	var all []*exec.Cmd
	for range 16 {
		cmd := exec.Command("sleep", "600")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, cmd)
		if err := within(n.hosts[0], func() error { return nil }); err != nil {
			t.Error(err)
		}
	}
	for _, cmd := range all {
		// Whether it is a zombie, and nothing else, shows whether it was killed.
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		if err != nil || strings.Contains(string(state), ") Z ") {
			t.Errorf("a process has ended: %s %v", state, err)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// TestLossy: packets are lost, come twice and overtake each other.
func TestLossy(t *testing.T) {
	n := newNetwork(t, 2)
	a, b := n.udp(0), n.udp(1)
	const packets = 1000
	took(t, a, b)
	n.set(0, 1, Shape{Delay: 20 * time.Millisecond, Loss: 0.2, Duplicate: 0.2, Reorder: 0.2})
	send(t, a, b, packets, 100)
	got := receive(t, b, 2*packets, time.Second)
	times := make(map[int]int)
	for _, i := range got {
		times[i]++
	}
	twice := len(got) - len(times)
	if lost := packets - len(times); lost < packets/10 || lost > packets*3/10 {
		t.Errorf("%d of %d are lost, want about a fifth", lost, packets)
	}
	if twice < packets/12 || twice > packets/4 {
		t.Errorf("%d of %d came twice, want about a sixth", twice, packets)
	}
	if slices.IsSorted(got) {
		t.Error("none overtook another")
	}
}

// TestRate: what is sent at once arrives at the rate.
func TestRate(t *testing.T) {
	n := newNetwork(t, 2)
	a, b := n.udp(0), n.udp(1)
	took(t, a, b)
	const packets, size, rate = 100, 1000, 200_000
	n.set(0, 1, Shape{BytesPerSecond: rate})
	began := time.Now()
	send(t, a, b, packets, size)
	got := receive(t, b, packets, waitMax)
	if d, want := time.Since(began), packets*size*time.Second/rate; len(got) != packets || d < want {
		t.Errorf("%d of %d arrived in %v, want %v or more", len(got), packets, d, want)
	}
}

// TestConnection: a TCP connection over slow ways carries what it was given, in
// segments as large as the hosts like them.
func TestConnection(t *testing.T) {
	n := newNetwork(t, 2)
	n.set(0, 1, Shape{Delay: 2 * time.Millisecond, Jitter: 3 * time.Millisecond, Loss: 0.001, Duplicate: 0.01, Reorder: 0.01})
	n.set(1, 0, Shape{Delay: 2 * time.Millisecond})
	var l net.Listener
	if err := within(n.hosts[1], func() (err error) {
		l, err = net.Listen("tcp4", n.ports[1].IP.String()+":0")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
	for i := range len(sent) / 16 {
		binary.BigEndian.PutUint32(sent[16*i:], uint32(i))
	}
	errs := make(chan error, 1)
	go func() {
		var c net.Conn
		err := within(n.hosts[0], func() (err error) {
			c, err = net.DialTimeout("tcp4", l.Addr().String(), waitMax)
			return err
		})
		if err == nil {
			_, err = c.Write(sent)
			err = errors.Join(err, c.Close())
		}
		errs <- err
	}()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * waitMax))
	got, err := io.ReadAll(c)
	if err := errors.Join(err, <-errs); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d of %d bytes arrived, or others: %v", len(got), len(sent), err)
	}
}

// TestCut: what is slow is cut by who cuts, too, as the package says.
func TestCut(t *testing.T) {
	n := newNetwork(t, 2)
	a, b := n.udp(0), n.udp(1)
	n.set(0, 1, Shape{Delay: time.Millisecond})
	took(t, a, b)
	cut := `table bridge cut {
		set marked { type mark . ifname; elements = { 1 . "port1" }; }
		chain output { type filter hook output priority 0; policy accept; meta mark . oifname @marked drop; }
	}`
	if err := n.links.nft(cut); err != nil {
		t.Fatal(err)
	}
	send(t, a, b, 10, 100)
	if got := receive(t, b, 1, 300*time.Millisecond); len(got) > 0 {
		t.Error("a packet came through the cut")
	}
	if err := n.links.nft("delete table bridge cut"); err != nil {
		t.Fatal(err)
	}
	took(t, a, b)
}

// BenchmarkPackets is how many small packets a second get over a slow way.
func BenchmarkPackets(b *testing.B) {
	n := newNetwork(b, 2)
	from, to := n.udp(0), n.udp(1)
	took(b, from, to)
	n.set(0, 1, Shape{Delay: time.Millisecond, Jitter: time.Millisecond})
	const window = 200
	b.ResetTimer()
	arrived := 0
	for sent := 0; sent < b.N; sent += window {
		send(b, from, to, window, 100)
		arrived += len(receive(b, to, window, 5*time.Second))
	}
	b.ReportMetric(float64(arrived)/b.Elapsed().Seconds(), "packets/s")
	b.ReportMetric(float64(arrived)/float64((b.N+window-1)/window*window), "arrived")
}
