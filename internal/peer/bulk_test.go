package peer

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/ringd/ringd/internal/peer/peerpb"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// A stream of repair that is held up holds up no client, whatever its partition.
func TestBulkHoldsUpNoClient(t *testing.T) {
	var n network
	a := startMember(t, &n, 1, echo{}, nil)
	held := make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	startMember(t, &n, 2, echo{answer: func(env replica.Envelope) replica.Message {
		if _, ok := env.Message.(replica.Fetch); ok {
			<-held
			return replica.FetchAnswer{Objects: [][]byte{make([]byte, 1<<20)}}
		}
		return replica.StoreAnswer{}
	}}, nil)
	t.Cleanup(release) // before the member's, which waits for its streams
	fetched := a.ask(2, 0, replica.Fetch{Keys: make([]replica.Key, 1)}, time.Time{})
	for p := range ring.PartitionID(8) {
		if o := get(t, a.ask(2, p, store(1), time.Time{})); o.err != nil {
			t.Errorf("partition %d: %v", p, o.err)
		}
	}
	release()
	if o := get(t, fetched); o.err != nil || len(o.env.Message.(replica.FetchAnswer).Objects[0]) != 1<<20 {
		t.Errorf("fetched: %v", o.err)
	}
	if s := a.statsOf(2); s.Connected != 2 || !s.Bulk {
		t.Errorf("stats: %+v", s)
	}
}

// The bulk stream does not stand for the others: a member is connected when
// clients' requests reach it.
func TestBulkAloneIsNotConnected(t *testing.T) {
	var n network
	a := startMember(t, &n, 1, echo{}, nil)
	startMember(t, &n, 2, echo{answer: func(replica.Envelope) replica.Message { return replica.ReleaseAnswer{} }}, nil)
	if o := get(t, a.ask(2, 0, replica.Release{}, time.Time{})); o.err != nil {
		t.Fatal(o.err)
	}
	if s := a.statsOf(2); s.Connected != 0 || !s.Bulk || s.RTT != 0 || a.link(id(2)).up.Load() != 0 {
		t.Errorf("stats: %+v", s)
	}
	a.SetPeers([]ring.MemberID{id(2)})
	eventually(t, "connected", func() bool { return a.statsOf(2).Connected == 2 })
	a.SetPeers(nil)
	eventually(t, "let go", func() bool { s := a.statsOf(2); return s.Connected == 0 && !s.Bulk })
	if a.link(id(2)).up.Load() != 0 {
		t.Error("counted as up")
	}
	eventually(t, "an answer again", func() bool { return get(t, a.ask(2, 0, replica.Release{}, time.Time{})).err == nil })
}

// The bulk queue is bounded by itself.
func TestBulkQueueIsItsOwn(t *testing.T) {
	var n network
	a := startMember(t, &n, 1, echo{}, func(c *Config) { c.QueueMessages = 3 })
	startMember(t, &n, 2, echo{answer: func(env replica.Envelope) replica.Message {
		if _, ok := env.Message.(replica.Transfer); ok {
			return nil
		}
		return replica.StoreAnswer{}
	}}, nil)
	for p := range ring.PartitionID(3) {
		a.ask(2, p, replica.Transfer{}, time.Time{})
	}
	eventually(t, "all are in flight", func() bool { return a.statsOf(2).InFlight == 3 })
	if o := get(t, a.ask(2, 3, replica.Transfer{}, time.Time{})); !errors.Is(o.err, ErrQueueFull) || MayHaveArrived(o.err) {
		t.Errorf("the fourth: %v", o.err)
	}
	for p := range ring.PartitionID(2) {
		if o := get(t, a.ask(2, p, store(1), time.Time{})); o.err != nil {
			t.Errorf("a client's, partition %d: %v", p, o.err)
		}
	}
}

// older speaks an earlier version, and answers all that the tests send it.
type older struct {
	peerpb.UnimplementedPeerServer
	wire  uint32
	hello func() *peerpb.Hello
}

func (s *older) Exchange(stream grpc.BidiStreamingServer[peerpb.Frame, peerpb.Frame]) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	h := s.hello()
	h.WireMin, h.WireMax = 1, s.wire
	frame := &peerpb.Frame{Hello: h}
	for {
		if err := stream.Send(frame); err != nil {
			return err
		}
		in, err := stream.Recv()
		if err != nil {
			return err
		}
		frame = new(peerpb.Frame)
		for _, e := range in.GetEnvelopes() {
			out := &peerpb.Envelope{Id: e.GetId()}
			switch e.GetMessage().(type) {
			case *peerpb.Envelope_Store:
				out.Message = &peerpb.Envelope_StoreAnswer{StoreAnswer: &peerpb.StoreAnswer{Durable: true}}
			case *peerpb.Envelope_Forward:
				out.Message = &peerpb.Envelope_ForwardAnswer{ForwardAnswer: &peerpb.ForwardAnswer{}}
			case *peerpb.Envelope_Transfer:
				out.Message = &peerpb.Envelope_TransferAnswer{TransferAnswer: &peerpb.TransferAnswer{}}
			default:
				return errMalformed
			}
			frame.Envelopes = append(frame.Envelopes, out)
		}
	}
}

// A member of an earlier version is sent what it understands, and nothing else.
func TestMemberOfEarlierVersion(t *testing.T) {
	item := []replica.Item{{Object: []byte("object")}}
	for wire, test := range map[uint32]struct{ sent, unsendable []replica.Envelope }{
		1: {
			sent: []replica.Envelope{
				{Message: store(1)},
				{Message: replica.Forward{}},
			},
			unsendable: []replica.Envelope{
				{Message: store(1), Fallback: true},
				{Message: replica.Forward{Write: replica.Write{Expiry: 1}}},
				{Message: replica.Capture{}},
				{Message: replica.Release{}},
			},
		},
		2: {
			sent: []replica.Envelope{
				{Message: store(1), Fallback: true},
				{Message: replica.Forward{Write: replica.Write{Expiry: 1}}},
				{Message: replica.Transfer{Items: item}},
			},
			unsendable: []replica.Envelope{
				{Message: replica.Inherit{Move: 1}},
				{Message: replica.Transfer{Items: item, Move: 1}},
				{Message: replica.Settle{Move: 1}},
			},
		},
	} {
		t.Run(fmt.Sprint(wire), func(t *testing.T) { testEarlierVersion(t, wire, test.sent, test.unsendable) })
	}
}

func testEarlierVersion(t *testing.T, wire uint32, sent, unsendable []replica.Envelope) {
	var n network
	b := startMember(t, &n, 2, echo{}, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(b.config.ServerOptions()...)
	peerpb.RegisterPeerServer(s, &older{wire: wire, hello: func() *peerpb.Hello { return b.ownHello(id(1)) }})
	served := make(chan struct{})
	go func() { defer close(served); s.Serve(l) }()
	defer func() { s.Stop(); <-served }()
	n.set(id(2), l.Addr().String())
	a := startMember(t, &n, 1, echo{}, nil)

	send := func(env replica.Envelope) outcome {
		out := make(chan outcome, 2)
		env.To = id(2)
		a.Send(env, func(env replica.Envelope, err error) { out <- outcome{env, err} })
		return get(t, out)
	}
	for _, env := range sent {
		if o := send(env); o.err != nil {
			t.Errorf("%T: %v", env.Message, o.err)
		}
	}
	for _, env := range unsendable {
		o := send(env)
		if !errors.Is(o.err, ErrUnsendable) || MayHaveArrived(o.err) || !strings.Contains(o.err.Error(), fmt.Sprintf("speaks version %d ", wire)) {
			t.Errorf("%T: %v", env.Message, o.err)
		}
	}
	if s := a.statsOf(2); s.WireVersion != wire || s.Problem != "" {
		t.Errorf("stats: %+v", s)
	}
}
