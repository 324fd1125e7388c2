package peer

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

func TestRequestAndAnswer(t *testing.T) {
	var n network
	var got atomic.Pointer[replica.Envelope]
	a := startMember(t, &n, 1, echo{}, nil)
	startMember(t, &n, 2, echo{answer: func(env replica.Envelope) replica.Message {
		got.Store(&env)
		return replica.StoreAnswer{Durable: true}
	}}, nil)
	sent := replica.Store{Key: replica.Key{Type: "t", Bucket: "b", Key: "\xff\x00"}, Object: []byte("object")}
	deadline := time.Now().Add(time.Minute)
	out := make(chan outcome, 1)
	a.Send(replica.Envelope{ID: 42, From: id(1), To: id(2), Partition: 9, Epoch: ring.Epoch{Generation: 2, Number: 3}, Deadline: deadline, Message: sent},
		func(env replica.Envelope, err error) { out <- outcome{env, err} })
	o := get(t, out)
	if o.err != nil {
		t.Fatal(o.err)
	}
	want := replica.Envelope{ID: 42, From: id(2), To: id(1), Partition: 9, Epoch: ring.Epoch{Generation: 2, Number: 3}, Message: replica.StoreAnswer{Durable: true}}
	if !reflect.DeepEqual(o.env, want) {
		t.Errorf("the answer is %+v, want %+v", o.env, want)
	}
	in := got.Load()
	if in.From != id(1) || in.To != id(2) || in.Partition != 9 || in.Epoch != want.Epoch || !reflect.DeepEqual(in.Message, sent) {
		t.Errorf("the other side received %+v", in)
	}
	if off := in.Deadline.Sub(deadline); off > patience || off < -patience {
		t.Errorf("the deadline moved by %v", off)
	}
	if s := a.statsOf(2); s.WireVersion != WireMax || s.Epoch.Number != 7 || s.RTT <= 0 || s.Problem != "" {
		t.Errorf("stats: %+v", s)
	}
}

// Partitions keep their stream and their order, and what waits shares frames.
func TestOrderAndCoalescing(t *testing.T) {
	var n network
	a := startMember(t, &n, 1, echo{}, nil)
	var mu sync.Mutex
	var order [4][]string
	startMember(t, &n, 2, echo{answer: func(env replica.Envelope) replica.Message {
		mu.Lock()
		defer mu.Unlock()
		order[env.Partition] = append(order[env.Partition], env.Message.(replica.Store).Key.Key)
		return replica.StoreAnswer{}
	}}, nil)
	const requests = 2000
	var left sync.WaitGroup
	for i := range requests {
		left.Add(1)
		m := store(100)
		m.Key.Key = fmt.Sprintf("%05d", i)
		a.Send(replica.Envelope{To: id(2), Partition: ring.PartitionID(i % 4), Message: m}, func(_ replica.Envelope, err error) {
			if err != nil {
				t.Error(err)
			}
			left.Done()
		})
	}
	left.Wait()
	for p, keys := range order {
		for i, k := range keys {
			if want := fmt.Sprintf("%05d", 4*i+p); k != want {
				t.Fatalf("partition %d: request %d is %s, want %s", p, i, k, want)
			}
		}
	}
	if s := a.statsOf(2); s.Connected != 2 || s.MessagesSent != requests || s.FramesSent*4 > requests {
		t.Errorf("%d messages in %d frames over %d streams", s.MessagesSent, s.FramesSent, s.Connected)
	}
}

func TestUnreachable(t *testing.T) {
	var n network
	a := startMember(t, &n, 1, echo{}, nil)
	for _, at := range []string{"", "127.0.0.1:1"} {
		if at != "" {
			n.set(id(2), at)
		}
		o := get(t, a.ask(2, 0, store(1), time.Time{}))
		if !errors.Is(o.err, ErrUnreachable) || MayHaveArrived(o.err) {
			t.Errorf("at %q: %v", at, o.err)
		}
		if a.Connected(id(2)) {
			t.Errorf("at %q: connected", at)
		}
	}
	for _, m := range []replica.Message{replica.Coordinate{}, replica.Prepared{}, replica.Committed{}, replica.StoreAnswer{}, nil} {
		if o := get(t, a.ask(2, 0, m, time.Time{})); !errors.Is(o.err, ErrUnsendable) || MayHaveArrived(o.err) {
			t.Errorf("%T: %v", m, o.err)
		}
	}
	if o := get(t, a.ask(1, 0, store(1), time.Time{})); !errors.Is(o.err, ErrUnsendable) {
		t.Errorf("to itself: %v", o.err)
	}
}

// What can't be sent back is answered all the same.
func TestAnswerThatCannotBeSent(t *testing.T) {
	var n network
	small := func(c *Config) { c.MessageBytesMax, c.FrameBytes = 1000, 1000 }
	a := startMember(t, &n, 1, echo{}, small)
	startMember(t, &n, 2, echo{answer: func(env replica.Envelope) replica.Message {
		if env.Partition == 1 {
			return replica.Committed{}
		}
		return replica.ReadAnswer{Object: make([]byte, 2000)}
	}}, small)
	for p := range ring.PartitionID(2) {
		o := get(t, a.ask(2, p, replica.Read{}, time.Time{}))
		if f, ok := o.env.Message.(replica.Failure); !ok || f.Err.Kind != replica.KindInternal || !strings.Contains(f.Err.Message, "can't be sent") {
			t.Errorf("partition %d: %+v, %v", p, o.env.Message, o.err)
		}
	}
	if o := get(t, a.ask(2, 0, store(2000), time.Time{})); !errors.Is(o.err, ErrUnsendable) {
		t.Errorf("too large a request: %v", o.err)
	}
}

func TestQueueFull(t *testing.T) {
	var n network
	block := make(chan struct{})
	defer close(block)
	a := startMember(t, &n, 1, echo{}, func(c *Config) { c.Streams, c.QueueMessages = 1, 10 })
	startMember(t, &n, 2, echo{answer: func(replica.Envelope) replica.Message { return nil }}, nil)
	for i := range 10 {
		a.Send(replica.Envelope{To: id(2), Message: store(1)}, func(_ replica.Envelope, err error) {
			if !errors.Is(err, ErrBroken) {
				t.Errorf("request %d: %v", i, err)
			}
		})
	}
	eventually(t, "all are in flight", func() bool { return a.statsOf(2).InFlight == 10 })
	if o := get(t, a.ask(2, 0, store(1), time.Time{})); !errors.Is(o.err, ErrQueueFull) || MayHaveArrived(o.err) {
		t.Errorf("the eleventh: %v", o.err)
	}
	if s := a.statsOf(2); s.QueueFull != 1 {
		t.Errorf("stats: %+v", s)
	}
}

func TestQueueBytesFull(t *testing.T) {
	var n network
	// Nobody answers the hello: what is sent waits.
	n.set(id(2), silentServer(t))
	a := startMember(t, &n, 1, echo{}, func(c *Config) { c.Streams, c.QueueBytes, c.DialTimeout = 1, 1000, patience })
	first := a.ask(2, 0, store(5000), time.Time{}) // one is always let in
	if o := get(t, a.ask(2, 0, store(1), time.Time{})); !errors.Is(o.err, ErrQueueFull) {
		t.Errorf("the second: %v", o.err)
	}
	a.stop()
	if o := get(t, first); !errors.Is(o.err, ErrUnreachable) || MayHaveArrived(o.err) {
		t.Errorf("the first: %v", o.err)
	}
	if o := get(t, a.ask(2, 0, store(1), time.Time{})); !errors.Is(o.err, ErrUnreachable) || !errors.Is(o.err, ErrClosed) {
		t.Errorf("after Close: %v", o.err)
	}
}

func TestDeadlines(t *testing.T) {
	var n network
	late := make(chan func(), 1)
	a := startMember(t, &n, 1, echo{}, func(c *Config) { c.Streams, c.SweepAfter = 1, 30*time.Millisecond })
	b := startMember(t, &n, 2, nil, nil)
	var received atomic.Int64
	b.Handle(holdBack{late, &received})

	// Answered after its deadline, but before it is swept.
	out := a.ask(2, 0, store(1), time.Now().Add(time.Hour))
	if o := get(t, out); o.err != nil {
		t.Fatal(o.err)
	}
	// Past its deadline before it is sent: dropped here.
	o := get(t, a.ask(2, 0, store(1), time.Now().Add(-time.Second)))
	if !errors.Is(o.err, ErrNoAnswer) || MayHaveArrived(o.err) {
		t.Errorf("dropped: %v", o.err)
	}
	if received.Load() != 1 {
		t.Errorf("%d requests were received", received.Load())
	}
	// Never answered in time: swept; the late answer finds nobody, and breaks nothing.
	out = a.ask(2, 1, store(1), time.Now().Add(5*time.Millisecond))
	if o := get(t, out); !errors.Is(o.err, ErrNoAnswer) {
		t.Errorf("swept: %v", o.err)
	}
	if received.Load() == 2 { // it may have been dropped before it was sent
		(<-late)()
	}
	if o := get(t, a.ask(2, 0, store(1), time.Time{})); o.err != nil {
		t.Error(o.err)
	}
	if len(out) != 0 {
		t.Error("a request had two outcomes")
	}
}

// holdBack answers requests of partition 0 at once, of others when told.
type holdBack struct {
	late     chan func()
	received *atomic.Int64
}

func (h holdBack) Receive(env replica.Envelope, back Answerer) {
	h.received.Add(1)
	answer := func() { back.Answer(replica.Envelope{ID: env.ID, Message: replica.StoreAnswer{}}) }
	if env.Partition != 0 {
		h.late <- answer
		return
	}
	answer()
}

func (holdBack) Control(_ context.Context, _ string, _ []byte) ([]byte, error) { return nil, nil }
