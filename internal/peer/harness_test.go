package peer

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what a test waits for: only a failing test takes that long.
const patience = 20 * time.Second

func id(n byte) ring.MemberID { return ring.MemberID{0: 0xaa, 15: n} }

// network is who is where.
type network struct {
	asked atomic.Int64 // calls of resolve: one for each attempt to connect
	mu    sync.Mutex
	addrs map[ring.MemberID]string
}

func (n *network) resolve(id ring.MemberID) (string, bool) {
	n.asked.Add(1)
	n.mu.Lock()
	defer n.mu.Unlock()
	addr, ok := n.addrs[id]
	return addr, ok
}

func (n *network) set(id ring.MemberID, addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.addrs == nil {
		n.addrs = make(map[ring.MemberID]string)
	}
	n.addrs[id] = addr
}

func (n *network) remove(id ring.MemberID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.addrs, id)
}

// member is a Transport and its server, on a port of the system's choice.
type member struct {
	*Transport
	addr   string
	start  atomic.Uint64
	log    *logBuffer
	server *grpc.Server
	served chan struct{}
	once   sync.Once
}

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) count(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Count(b.buf.Bytes(), []byte(text))
}

func startMember(t testing.TB, n *network, self byte, h Handler, change func(*Config)) *member {
	t.Helper()
	m := &member{log: new(logBuffer), served: make(chan struct{})}
	m.start.Store(1)
	c := DefaultConfig()
	c.Self = id(self)
	c.ClusterID = func() string { return "c1" }
	c.StartCount = m.start.Load
	c.Epoch = func() ring.Epoch { return ring.Epoch{Generation: 1, Number: 7} }
	c.Resolve = n.resolve
	c.Logger = slog.New(slog.NewTextHandler(m.log, nil))
	c.BackoffMin, c.BackoffMax = time.Millisecond, 20*time.Millisecond
	if change != nil {
		change(&c)
	}
	var err error
	if m.Transport, err = New(c); err != nil {
		t.Fatal(err)
	}
	if h != nil {
		m.Handle(h)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.addr = l.Addr().String()
	m.server = grpc.NewServer(c.ServerOptions()...)
	m.Register(m.server)
	go func() {
		defer close(m.served)
		m.server.Serve(l)
	}()
	n.set(c.Self, m.addr)
	t.Cleanup(m.stop)
	return m
}

func (m *member) stop() {
	m.once.Do(func() {
		m.Close()
		m.server.Stop()
		<-m.served
	})
}

// echo answers every request at once, with what its functions say.
type echo struct {
	answer  func(replica.Envelope) replica.Message
	control func(kind string, body []byte) ([]byte, error)
}

func (e echo) Receive(env replica.Envelope, back Answerer) {
	m := replica.Message(replica.StoreAnswer{Durable: true, Changed: true})
	if e.answer != nil {
		m = e.answer(env)
	}
	if m != nil {
		back.Answer(replica.Envelope{ID: env.ID, Partition: env.Partition, Epoch: env.Epoch, Message: m})
	}
}

func (e echo) Control(_ context.Context, kind string, body []byte) ([]byte, error) {
	return e.control(kind, body)
}

type outcome struct {
	env replica.Envelope
	err error
}

// ask sends one request and returns where its outcome comes.
func (m *member) ask(to byte, p ring.PartitionID, message replica.Message, deadline time.Time) <-chan outcome {
	out := make(chan outcome, 2) // a second outcome would be seen
	m.Send(replica.Envelope{ID: 42, To: id(to), Partition: p, Deadline: deadline, Message: message}, func(env replica.Envelope, err error) {
		out <- outcome{env, err}
	})
	return out
}

func get(t testing.TB, c <-chan outcome) outcome {
	t.Helper()
	select {
	case o := <-c:
		return o
	case <-time.After(patience):
		t.Fatal("no outcome came")
		panic("unreachable")
	}
}

// eventually waits until f holds, asking again whenever the other goroutines
// had their turn.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !f() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("never: %s", what)
		}
	}
}

func store(size int) replica.Store {
	return replica.Store{Key: replica.Key{Type: "default", Bucket: "b", Key: "k"}, Object: make([]byte, size)}
}

func (m *member) statsOf(peer byte) Stats {
	for _, s := range m.Stats() {
		if s.Peer == id(peer) {
			return s
		}
	}
	return Stats{}
}
