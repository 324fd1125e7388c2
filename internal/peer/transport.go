package peer

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"

	"github.com/ringd/ringd/internal/peer/peerpb"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// Handler is what the member does with what its peers ask.
type Handler interface {
	// Receive is called for every request that comes in, in order for each
	// stream. It must not block. The answers go through back, with the request's
	// ID, while the stream lasts.
	Receive(env replica.Envelope, back Answerer)
	// Control answers a call. A *replica.Error reaches the caller as it is.
	Control(ctx context.Context, kind string, body []byte) ([]byte, error)
}

// Answerer takes the answers to the requests of one stream.
type Answerer interface {
	// Answer sends env, from any goroutine, and never blocks. An answer that
	// nobody can be given any more is dropped.
	Answer(env replica.Envelope)
}

// Transport connects a member with the others.
type Transport struct {
	config  Config
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup // every goroutine and server stream of the transport
	handler atomic.Pointer[Handler]
	starts  starts
	control controlConns
	raft    atomic.Pointer[raftListener] // nil until RaftConns
	turned  turned

	// Lock order: lane.mu before mu. Neither is held while anything else is
	// called but starting a goroutine.
	mu struct {
		sync.RWMutex
		links  map[ring.MemberID]*link
		closed bool
	}
}

// New returns a transport, which connects to a member when it is first asked
// about it.
func New(config Config) (*Transport, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	t := &Transport{config: config}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.mu.links = make(map[ring.MemberID]*link)
	t.starts.init()
	t.control.init()
	return t, nil
}

// Register adds the service that other members reach this one by. The server
// has to be made with [Config.ServerOptions].
func (t *Transport) Register(r grpc.ServiceRegistrar) {
	peerpb.RegisterPeerServer(r, &server{t: t})
}

// Handle sets who is given what comes in. Until then peers are turned away.
func (t *Transport) Handle(h Handler) { t.handler.Store(&h) }

// Close breaks all streams, and returns when nothing of the transport runs any
// more. Requests under way have had their outcome then; calls return.
func (t *Transport) Close() error {
	t.mu.Lock()
	t.mu.closed = true
	t.mu.Unlock()
	t.cancel()
	if l := t.raft.Load(); l != nil {
		l.Close()
	}
	t.control.close()
	t.running.Wait()
	return nil
}

// enter counts the caller among what Close waits for, who ends it with
// running.Done. It returns false if the transport was closed.
func (t *Transport) enter() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.mu.closed {
		return false
	}
	t.running.Add(1)
	return true
}

// spawn runs f as a goroutine that Close waits for, unless closed.
func (t *Transport) spawn(f func()) bool {
	if !t.enter() {
		return false
	}
	go func() {
		defer t.running.Done()
		f()
	}()
	return true
}

// link returns what is known of a member, made if need be.
func (t *Transport) link(id ring.MemberID) *link {
	t.mu.RLock()
	l := t.mu.links[id]
	t.mu.RUnlock()
	if l != nil {
		return l
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if l = t.mu.links[id]; l == nil {
		l = newLink(t, id)
		t.mu.links[id] = l
	}
	return l
}

// Send queues a request and never blocks. Its outcome comes exactly once:
// onAnswer(answer, nil), or onAnswer(_, err) with one of the package's errors.
// Answers that come after the deadline are passed on as long as the stream lasts
// and Config.SweepAfter has not passed since.
//
// onAnswer is called from Send itself or from a goroutine that other answers
// wait for: it must not block. It may call Send.
func (t *Transport) Send(env replica.Envelope, onAnswer func(replica.Envelope, error)) {
	it := item{env: env, bytes: sizeOf(env.Message), onAnswer: onAnswer}
	kind := kindOf(env.Message)
	var err error
	switch {
	case kind == noRequest:
		err = fmt.Errorf("%w: %T is no request to another member", ErrUnsendable, env.Message)
	case env.To == t.config.Self || env.To.IsZero():
		err = fmt.Errorf("%w: %v is not another member", ErrUnsendable, env.To)
	case it.bytes > t.config.MessageBytesMax:
		err = tooLarge(it.bytes, t.config.MessageBytesMax)
	default:
		err = t.link(env.To).lane(kind, env.Partition).enqueue(it)
	}
	if err != nil {
		onAnswer(replica.Envelope{}, err)
	}
}

func tooLarge(bytes, most int) error {
	return fmt.Errorf("%w: a message of %d bytes, and the most is %d", ErrUnsendable, bytes, most)
}

// Connected reports whether requests reach the member now, by one stream at
// least. For a member that nothing was ever sent to it begins to connect.
func (t *Transport) Connected(id ring.MemberID) bool {
	if id == t.config.Self || id.IsZero() {
		return false
	}
	return t.link(id).connected()
}

// SetPeers connects to these members and lets go of all others, whose requests
// in flight end as broken. Sending to another connects to it again.
func (t *Transport) SetPeers(ids []ring.MemberID) {
	keep := make(map[ring.MemberID]bool, len(ids))
	for _, id := range ids {
		if id != t.config.Self && !id.IsZero() {
			keep[id] = true
			t.link(id).begin()
		}
	}
	t.mu.RLock()
	var gone []*link
	for id, l := range t.mu.links {
		if !keep[id] {
			gone = append(gone, l)
		}
	}
	t.mu.RUnlock()
	for _, l := range gone {
		l.letGo()
	}
}
