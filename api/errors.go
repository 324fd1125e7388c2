package api

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/replica"
)

// codeOf is the one table from kinds of failure to gRPC codes.
func codeOf(k replica.Kind) codes.Code {
	switch k {
	case replica.KindInvalid:
		return codes.InvalidArgument
	case replica.KindNotFound:
		return codes.NotFound
	case replica.KindPrecondition:
		return codes.FailedPrecondition
	case replica.KindAborted:
		return codes.Aborted
	case replica.KindUnavailable, replica.KindStaleRing, replica.KindNotOwner, replica.KindStorage, replica.KindCorrupt:
		return codes.Unavailable
	case replica.KindUnknown:
		return codes.DeadlineExceeded
	case replica.KindOverloaded:
		return codes.ResourceExhausted
	}
	return codes.Internal
}

// detail translates err for the wire.
func detail(err error) *ringdv1.ErrorDetail {
	var e *replica.Error
	if !errors.As(err, &e) {
		e = replica.Errorf(replica.KindInternal, "%v", err)
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			e.Kind = replica.KindUnknown
		}
	}
	d := &ringdv1.ErrorDetail{
		Code: int32(codeOf(e.Kind)), Message: e.Error(), Field: e.Field,
		Needed: uint32(e.Needed), Got: uint32(e.Got), MaybeApplied: e.MaybeApplied,
	}
	if e.RetryAfter > 0 {
		d.RetryAfter = durationpb.New(e.RetryAfter)
	}
	return d
}

// statusOf translates err to a gRPC status that carries its detail.
func statusOf(err error) error {
	if err == nil {
		return nil
	}
	d := detail(err)
	s := status.New(codes.Code(d.Code), d.Message)
	if with, err := s.WithDetails(d); err == nil {
		s = with
	}
	return s.Err()
}
