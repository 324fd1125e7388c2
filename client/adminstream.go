package client

import (
	"context"
	"errors"
	"io"
	"path"
	"sync/atomic"

	"google.golang.org/grpc"
)

// NewStream implements grpc.ClientConnInterface. The stream begins at the first
// member that can be reached, and ends with it.
func (f failover) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	last := f.nobody()
	attempts := 0
	for _, e := range f.members() {
		attempts++
		cc, err := f.open(ctx, e, false) // which costs little beside what it begins
		if err == nil {
			return e.adminStream(ctx, cc, desc, method, opts)
		}
		if last = err; ctx.Err() != nil {
			break
		}
	}
	last.Op, last.Attempts, last.cause = path.Base(method), attempts, context.Cause(ctx)
	return nil, last
}

// adminStream is a stream whose errors are [*Error] and which ends when its
// member is lost, however silently.
type adminStream struct {
	grpc.ClientStream
	e      *endpoint
	caller context.Context
	ctx    context.Context
	cancel context.CancelFunc
	op     string
	heard  atomic.Bool // since the last look
	lost   atomic.Pointer[Error]
}

func (e *endpoint) adminStream(ctx context.Context, cc *grpc.ClientConn, desc *grpc.StreamDesc, method string, opts []grpc.CallOption) (grpc.ClientStream, error) {
	s := &adminStream{e: e, caller: ctx, op: path.Base(method)}
	s.ctx, s.cancel = context.WithCancel(ctx)
	inner, err := cc.NewStream(s.ctx, desc, method, opts...)
	if err != nil {
		return nil, s.failed(err)
	}
	s.ClientStream = inner
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.mu.closed {
		e.wg.Go(s.watch)
	}
	return s, nil
}

// RecvMsg implements grpc.ClientStream.
func (s *adminStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	switch {
	case err == nil:
		s.heard.Store(true)
		return nil
	case errors.Is(err, io.EOF):
		s.cancel()
		return err
	}
	return s.failed(err)
}

// failed ends the stream. None of Admin's streams leaves a doubt: they read, or
// can be run again.
func (s *adminStream) failed(err error) *Error {
	out := s.lost.Load()
	if out == nil {
		out = s.e.called(s.ctx, err)
	}
	s.cancel()
	out.Op, out.Attempts, out.MaybeApplied, out.cause = s.op, 1, false, context.Cause(s.caller)
	return out
}

// watch asks a member that is silent for long whether it is there. It ends with
// the stream.
func (s *adminStream) watch() {
	for {
		ctx, cancel := context.WithTimeout(s.ctx, s.e.c.config.Timeout)
		select {
		case <-ctx.Done():
		case <-s.e.ctx.Done():
			cancel()
			return
		}
		cancel()
		if s.ctx.Err() != nil {
			return
		}
		if s.heard.Swap(false) {
			continue
		}
		ctx, cancel = context.WithTimeout(s.ctx, openTimeout)
		err := s.e.identify(ctx)
		cancel()
		if err != nil && s.ctx.Err() == nil {
			s.lost.Store(err)
			s.cancel()
			return
		}
	}
}
