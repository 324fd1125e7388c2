package peer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringd/ringd/internal/peer/peerpb"
	"github.com/ringd/ringd/replica"
)

func TestRefusals(t *testing.T) {
	other := id(3)
	for _, test := range []struct {
		name   string
		a, b   func(*Config) // the dialer, and who is dialed
		resets bool          // whether b has seen a later start of a
		want   string
		byB    bool // whether b is who refuses
	}{
		{name: "another cluster", b: func(c *Config) { c.ClusterID = func() string { return "c2" } }, want: "is of cluster c1", byB: true},
		{name: "not joined", a: func(c *Config) { c.ClusterID = func() string { return "" } }, want: "has not joined a cluster yet", byB: true},
		{name: "peer not joined", b: func(c *Config) { c.ClusterID = func() string { return "" } }, want: "has not joined a cluster yet", byB: true},
		{name: "moved", b: func(c *Config) { c.Self = other }, want: "the address has moved", byB: true},
		{name: "older start", resets: true, want: "older copy, or an older process", byB: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			var n network
			a := startMember(t, &n, 1, echo{}, test.a)
			b := startMember(t, &n, 2, echo{}, test.b)
			n.set(id(2), b.addr)
			if test.resets {
				b.SawStart(id(1), 2)
			}
			o := get(t, a.ask(2, 0, store(1), time.Time{}))
			if !errors.Is(o.err, ErrRefused) || !errors.Is(o.err, ErrUnreachable) || MayHaveArrived(o.err) || !strings.Contains(o.err.Error(), test.want) {
				t.Fatalf("outcome: %v", o.err)
			}
			if s := a.statsOf(2); !strings.Contains(s.Problem, test.want) {
				t.Errorf("problem: %q", s.Problem)
			}
			if got := b.Refused()[id(1)]; !strings.Contains(got, test.want) {
				t.Errorf("the other side says %q", got)
			}
			// Many attempts, said once.
			before := n.asked.Load()
			eventually(t, "it is tried again", func() bool { return n.asked.Load() > before+10 })
			if n := a.log.count("no connection to peer"); n != 1 {
				t.Errorf("logged %d times by the dialer", n)
			}
			if n := b.log.count("turned a peer away"); n != 1 {
				t.Errorf("logged %d times by the dialed", n)
			}
		})
	}
}

// The dialer, too, refuses an older start, and does not take it for newer.
func TestDialerRefusesOlderStart(t *testing.T) {
	var n network
	a := startMember(t, &n, 1, echo{}, nil)
	b := startMember(t, &n, 2, echo{}, nil)
	a.SawStart(id(2), 5)
	o := get(t, a.ask(2, 0, store(1), time.Time{}))
	if !errors.Is(o.err, ErrRefused) || !strings.Contains(o.err.Error(), "start 1, but start 5") {
		t.Errorf("outcome: %v", o.err)
	}
	b.start.Store(5)
	eventually(t, "start 5 is let in", func() bool { return get(t, a.ask(2, 0, store(1), time.Time{})).err == nil })
	if a.LastStart(id(2)) != 5 || b.LastStart(id(1)) != 1 {
		t.Errorf("last starts %d and %d", a.LastStart(id(2)), b.LastStart(id(1)))
	}
}

// A new start ends the streams of the one before.
func TestNewerStartEndsOlderStreams(t *testing.T) {
	var n network
	b := startMember(t, &n, 2, echo{}, nil)
	older := rawExchange(t, b, 1, 2, 3)
	if _, err := older.Recv(); err != nil {
		t.Fatal(err)
	}
	newer := rawExchange(t, b, 1, 2, 4)
	if _, err := newer.Recv(); err != nil {
		t.Fatal(err)
	}
	_, err := older.Recv()
	if err := fromStatus(err); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "start 4 since") {
		t.Errorf("the older ended with %v", err)
	}
}

// plain is good for what needs no more of a Transport than its configuration.
var plain = &Transport{config: DefaultConfig()}

func TestMalformedHello(t *testing.T) {
	self, to := id(1), id(2)
	good := func() *peerpb.Hello {
		return &peerpb.Hello{ClusterId: "c1", Member: self[:], To: to[:], StartCount: 1, WireMin: 1, WireMax: 9}
	}
	for name, test := range map[string]struct {
		change  func(*peerpb.Hello)
		refused bool
	}{
		"short member id":  {change: func(h *peerpb.Hello) { h.Member = h.Member[:15] }},
		"no member id":     {change: func(h *peerpb.Hello) { h.Member = nil }},
		"zero member id":   {change: func(h *peerpb.Hello) { h.Member = make([]byte, 16) }},
		"long to":          {change: func(h *peerpb.Hello) { h.To = make([]byte, 17) }},
		"capabilities":     {change: func(h *peerpb.Hello) { h.Capabilities = make([]string, 65) }},
		"too new":          {change: func(h *peerpb.Hello) { h.WireMin = WireMax + 1 }, refused: true},
		"no wire versions": {change: func(h *peerpb.Hello) { h.WireMin, h.WireMax = 0, 0 }, refused: true},
	} {
		h := good()
		test.change(h)
		_, err := plain.parseHello(h)
		if errors.Is(err, ErrRefused) != test.refused || errors.Is(err, errMalformed) == test.refused {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := plain.parseHello(nil); !errors.Is(err, errMalformed) {
		t.Errorf("none: %v", err)
	}
	if h, err := plain.parseHello(good()); err != nil || h.wire != WireMax || h.member != self || h.to != to {
		t.Errorf("good: %+v, %v", h, err)
	}
}

// A member that speaks less than it could is as one of an earlier release, both
// ways, and members tell each other what they are capable of.
func TestLowerWireMax(t *testing.T) {
	var n network
	earlier := func(c *Config) { c.WireMax = 2 }
	a := startMember(t, &n, 1, echo{}, func(c *Config) { c.Capabilities = []string{"moves"} })
	b := startMember(t, &n, 2, echo{}, earlier)
	for _, m := range []*member{a, b} {
		other := 3 - m.config.Self[15]
		if o := get(t, m.ask(other, 0, replica.Inherit{Move: 1}, time.Time{})); !errors.Is(o.err, ErrUnsendable) {
			t.Errorf("from %d: %v", m.config.Self[15], o.err)
		}
		if s := m.statsOf(other); s.WireVersion != 2 || s.Problem != "" || slices.Contains(s.Capabilities, "moves") != (m == b) {
			t.Errorf("%d about the other: %+v", m.config.Self[15], s)
		}
	}
}

func TestWireMaxOutOfRange(t *testing.T) {
	for _, wire := range []uint32{0, WireMax + 1} {
		var n network
		good := startMember(t, &n, 1, echo{}, nil).config
		good.WireMax = wire
		if _, err := New(good); err == nil || !strings.Contains(err.Error(), "WireMax") {
			t.Errorf("%d: %v", wire, err)
		}
	}
}

// Frames that make no sense end the stream with a reason, and nothing else.
func TestMalformedFramesEndTheStream(t *testing.T) {
	for name, frame := range map[string]*peerpb.Frame{
		"second hello": {Hello: &peerpb.Hello{}},
		"an answer":    {Envelopes: []*peerpb.Envelope{{Id: 1, Message: &peerpb.Envelope_StoreAnswer{StoreAnswer: &peerpb.StoreAnswer{}}}}},
		"no id":        {Envelopes: []*peerpb.Envelope{{Message: &peerpb.Envelope_Read{Read: &peerpb.Read{Key: packKey(replica.Key{})}}}}},
		"no message":   {Envelopes: []*peerpb.Envelope{{Id: 1}}},
		"a request of version 2 where 1 is spoken": {Envelopes: []*peerpb.Envelope{{Id: 1, Message: &peerpb.Envelope_Release{Release: &peerpb.Release{}}}}},
		"bad key": {Envelopes: []*peerpb.Envelope{{Id: 1, Message: &peerpb.Envelope_Read{Read: &peerpb.Read{Key: []byte{9}}}}}},
	} {
		var n network
		b := startMember(t, &n, 2, echo{}, nil)
		stream := rawExchange(t, b, 1, 2, 1)
		if err := stream.Send(frame); err != nil {
			t.Fatal(err)
		}
		_, err := stream.Recv() // its hello
		for err == nil {
			_, err = stream.Recv()
		}
		if !strings.Contains(err.Error(), errMalformed.Error()) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHelloThatDoesNotCome(t *testing.T) {
	var n network
	b := startMember(t, &n, 2, echo{}, func(c *Config) { c.DialTimeout = 20 * time.Millisecond })
	conn, err := b.config.connTo(b.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := peerpb.NewPeerClient(conn).Exchange(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err == nil || !strings.Contains(err.Error(), errNoHello.Error()) {
		t.Errorf("ended with %v", err)
	}
	// Nor does a dialer wait for ever.
	n.set(id(2), silentServer(t))
	a := startMember(t, &n, 1, echo{}, func(c *Config) { c.DialTimeout = 20 * time.Millisecond })
	if o := get(t, a.ask(2, 0, store(1), time.Time{})); !errors.Is(o.err, ErrUnreachable) || MayHaveArrived(o.err) {
		t.Errorf("outcome: %v", o.err)
	}
}

func TestNotServingYet(t *testing.T) {
	var n network
	a := startMember(t, &n, 1, echo{}, nil)
	b := startMember(t, &n, 2, nil, nil)
	if o := get(t, a.ask(2, 0, store(1), time.Time{})); !errors.Is(o.err, ErrUnreachable) || errors.Is(o.err, ErrRefused) {
		t.Errorf("outcome: %v", o.err)
	}
	b.Handle(echo{})
	eventually(t, "an answer", func() bool { return get(t, a.ask(2, 0, store(1), time.Time{})).err == nil })
}
