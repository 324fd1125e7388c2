package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ringd/ringd/internal/peer/peerpb"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// session is one stream to a peer, from its hello to its end.
type session struct {
	t      *Transport
	peer   ring.MemberID
	conn   *grpc.ClientConn
	stream grpc.BidiStreamingClient[peerpb.Frame, peerpb.Frame]
	ctx    context.Context // of the stream; its cause is why it ended
	cancel context.CancelCauseFunc
	pump   pump

	// The reader's, reused.
	envs    []replica.Envelope
	settled []flying
}

// end breaks the stream. The first reason stays.
func (s *session) end(err error) { s.cancel(err) }

// close lets go of the connection. Nobody reads or writes for long after it.
func (s *session) close() {
	s.cancel(nil)
	s.t.starts.leave(s.peer, s)
	s.conn.Close()
}

// connect dials addr and exchanges hellos with the member that should be there.
func (t *Transport) connect(l *link, addr string) (*session, error) {
	conn, err := t.config.connTo(addr)
	if err != nil {
		return nil, err
	}
	s := &session{t: t, peer: l.id, conn: conn}
	s.ctx, s.cancel = context.WithCancelCause(t.ctx)
	timer := time.AfterFunc(t.config.DialTimeout, func() {
		s.end(fmt.Errorf("no connection and hello within %v", t.config.DialTimeout))
	})
	h, err := s.greet()
	if !timer.Stop() && err == nil {
		err = context.Cause(s.ctx)
	}
	if err != nil {
		if cause := context.Cause(s.ctx); cause != nil {
			err = cause
		}
		s.close()
		return nil, err
	}
	l.met(h)
	s.pump.stream, s.pump.counters, s.pump.wire = s.stream, &l.counters, h.wire
	return s, nil
}

func (s *session) greet() (hello, error) {
	var err error
	if s.stream, err = peerpb.NewPeerClient(s.conn).Exchange(s.ctx); err != nil {
		return hello{}, fromStatus(err)
	}
	// If the stream broke already, receiving says why.
	if err := s.stream.Send(&peerpb.Frame{Hello: s.t.ownHello(s.peer)}); err != nil && !errors.Is(err, io.EOF) {
		return hello{}, fromStatus(err)
	}
	first, err := s.stream.Recv()
	if err != nil {
		return hello{}, fromStatus(err)
	}
	h, err := s.t.parseHello(first.GetHello())
	if err != nil {
		return hello{}, err
	}
	if h.member != s.peer {
		return hello{}, refuse("this is member %v, not %v: the address has moved", h.member, s.peer)
	}
	if err := s.t.checkMembers(h); err != nil {
		return hello{}, err
	}
	return h, s.t.starts.admit(s.peer, h.start, s)
}

// fromStatus returns what a call's error says, without gRPC's words; a refusal
// of the other side is an ErrRefused again.
func fromStatus(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the member ended the stream")
	}
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	switch st.Code() {
	case codes.FailedPrecondition:
		return &refusal{reason: st.Message()}
	case codes.Aborted:
		return &refusal{reason: st.Message(), otherLog: true}
	case codes.Unimplemented:
		return refuse("no member of ringd answers there: %s", st.Message())
	}
	return fmt.Errorf("%s (%v)", st.Message(), st.Code())
}

// toStatus is the other side of fromStatus.
func toStatus(err error) error {
	var r *refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &r) && r.otherLog:
		return status.Error(codes.Aborted, r.reason)
	case errors.As(err, &r):
		return status.Error(codes.FailedPrecondition, r.reason)
	case errors.Is(err, errMalformed):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, errNotReading):
		return status.Error(codes.ResourceExhausted, err.Error())
	}
	return status.Error(codes.Unavailable, err.Error())
}
