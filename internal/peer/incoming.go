package peer

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/ringd/ringd/internal/clock"
	"github.com/ringd/ringd/internal/peer/peerpb"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// incoming is a stream that a peer dialed: its requests come in, the answers
// wait here to go out.
type incoming struct {
	t       *Transport
	handler Handler
	stream  grpc.BidiStreamingServer[peerpb.Frame, peerpb.Frame]
	pump    pump
	wake    chan struct{} // of capacity 1
	greeted chan struct{} // closed once from and link are set
	ended   chan struct{} // closed once mu.err is set

	from ring.MemberID
	link *link

	mu struct {
		sync.Mutex
		queue queue
		err   error
	}
}

func newIncoming(t *Transport, h Handler, stream grpc.BidiStreamingServer[peerpb.Frame, peerpb.Frame]) *incoming {
	in := &incoming{
		t: t, handler: h, stream: stream,
		wake: make(chan struct{}, 1), greeted: make(chan struct{}), ended: make(chan struct{}),
	}
	in.pump.stream, in.pump.take, in.pump.reject = stream, in.take, in.reject
	return in
}

// end breaks the stream. The first reason stays.
func (in *incoming) end(err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.mu.err == nil {
		in.mu.err = err
		in.mu.queue.drop(all)
		close(in.ended)
	}
}

// watch returns why the stream ended.
func (in *incoming) watch() error {
	ticker := time.NewTicker(in.t.config.StallAfter/4 + 1)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			if in.pump.stalled(now, in.t.config.StallAfter) {
				in.link.counters.stalls.Add(1)
				in.end(fmt.Errorf("%w: nothing for %v", errNotReading, in.t.config.StallAfter))
			}
		case <-in.t.ctx.Done():
			in.end(ErrClosed)
		case <-in.stream.Context().Done():
			in.end(context.Cause(in.stream.Context()))
		case <-in.ended:
			in.mu.Lock()
			defer in.mu.Unlock()
			return in.mu.err
		}
	}
}

// leave undoes what receive did for others to see.
func (in *incoming) leave() {
	select {
	case <-in.greeted:
		in.t.starts.leave(in.from, in)
		in.link.counters.incoming.Add(-1)
	default:
	}
}

// receive reads the hello and then requests until the stream breaks, and returns
// why.
func (in *incoming) receive() error {
	first, err := in.stream.Recv()
	if err != nil {
		return err
	}
	if err := in.greet(first); err != nil {
		return err
	}
	var envs []replica.Envelope
	for {
		frame, err := in.stream.Recv()
		if err != nil {
			return err
		}
		var bytes int
		envs, bytes, err = decodeFrame(envs[:0], frame, clock.Now())
		in.link.counters.received(len(envs), bytes)
		for i := range envs {
			if kindOf(envs[i].Message) == noRequest {
				return fmt.Errorf("%w: a %T where requests are expected", errMalformed, envs[i].Message)
			}
			if since := wireOf(&envs[i]); since > in.pump.wire {
				return fmt.Errorf("%w: a %T of version %d of the protocol between members, where %d is spoken", errMalformed, envs[i].Message, since, in.pump.wire)
			}
			envs[i].From, envs[i].To = in.from, in.t.config.Self
			in.handler.Receive(envs[i], in)
		}
		clear(envs)
		if err != nil {
			return err
		}
	}
}

// greet takes the dialer's hello, answers it and starts the writer.
func (in *incoming) greet(first *peerpb.Frame) error {
	t := in.t
	h, err := t.parseHello(first.GetHello())
	if err == nil {
		err = t.checkIncoming(h)
	}
	if err == nil {
		err = t.checkMembers(h)
	}
	if err == nil {
		err = t.starts.admit(h.member, h.start, in)
	}
	if err != nil {
		t.turnAway(h.member, err)
		return err
	}
	t.turned.forget(h.member)
	in.from, in.link = h.member, t.link(h.member)
	in.link.met(h)
	in.link.counters.incoming.Add(1)
	in.pump.counters, in.pump.wire = &in.link.counters, h.wire
	close(in.greeted)
	if err := in.stream.Send(&peerpb.Frame{Hello: t.ownHello(h.member)}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(in.stream.Context())
	if !t.spawn(func() {
		defer cancel(nil)
		in.end(in.pump.run(ctx, in.wake))
	}) {
		return ErrClosed
	}
	in.link.heard()
	return nil
}

// Answer implements Answerer.
func (in *incoming) Answer(env replica.Envelope) {
	it := item{env: env, id: env.ID, bytes: sizeOf(env.Message)}
	it.env.Deadline = time.Time{} // whoever asked knows it
	if most := in.t.config.MessageBytesMax; it.bytes > most {
		in.refuseAnswer(&it, tooLarge(it.bytes, most))
	}
	c := &in.t.config
	in.mu.Lock()
	if in.mu.err != nil {
		in.mu.Unlock()
		return
	}
	waiting := in.mu.queue.len()
	full := waiting >= c.QueueMessages || (waiting > 0 && in.mu.queue.bytes+it.bytes > c.QueueBytes)
	if !full {
		in.mu.queue.push(it)
	}
	in.mu.Unlock()
	switch {
	case full:
		in.link.counters.queueFull.Add(1)
		in.end(fmt.Errorf("%w: %d wait", errNotReading, waiting))
	case waiting == 0:
		in.ring()
	}
}

func (in *incoming) ring() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// take hands out a frame's worth of answers.
func (in *incoming) take(buf []item) []item {
	most := in.t.config.FrameBytes
	in.mu.Lock()
	defer in.mu.Unlock()
	for bytes := 0; in.mu.queue.len() > 0 && bytes < most; {
		if next := &in.mu.queue.items[in.mu.queue.head]; bytes > 0 && bytes+next.bytes > most {
			break
		}
		it := in.mu.queue.pop()
		bytes += it.bytes
		buf = append(buf, it)
	}
	return buf
}

// reject sends a failure in place of an answer that can't be encoded: whoever
// asked should not have to wait for its deadline.
func (in *incoming) reject(it item, err error) {
	in.refuseAnswer(&it, err)
	in.Answer(it.env)
}

func (in *incoming) refuseAnswer(it *item, err error) {
	in.t.config.Logger.Error("an answer to a peer can't be sent", "peer", in.from, "partition", it.env.Partition, "error", err)
	it.env.ID = it.id
	it.env.Message = replica.Failure{Err: replica.Errorf(replica.KindInternal, "member %v: the answer can't be sent: %v", in.t.config.Self, err)}
	it.bytes = sizeOf(it.env.Message)
}
