package workload

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/jepsen/internal/history"
)

// outcome judges an error for what it settles. Only a member that answered knows
// that a write has no effect; gRPC's own errors say nothing about that.
func outcome(op history.Op, err error) history.Outcome {
	if err == nil {
		return history.OK
	}
	if !op.Write {
		return history.Failed
	}
	st := status.Convert(err)
	for _, d := range st.Details() {
		if d, ok := d.(*ringdv1.ErrorDetail); ok && !d.GetMaybeApplied() && st.Code() != codes.DeadlineExceeded {
			return history.Failed
		}
	}
	return history.Unknown
}
