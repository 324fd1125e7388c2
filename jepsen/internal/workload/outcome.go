package workload

import (
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/jepsen/internal/history"
)

// notDialled is what gRPC says of a call that it fails at once because it has no
// connection: it was not sent. A call that was sent and lost its connection says
// something else, and is not tried again by gRPC unless the member did not look at
// it.
const notDialled = `connection error: desc = "transport: Error while dialing`

// outcome judges an error for what it settles. Only a member that answered knows
// that a write has no effect; gRPC's own errors say nothing about that, unless the
// write was never sent.
func outcome(op history.Op, err error) history.Outcome {
	if err == nil {
		return history.OK
	}
	if !op.Write {
		return history.Failed
	}
	st := status.Convert(err)
	if st.Code() == codes.Unavailable && strings.HasPrefix(st.Message(), notDialled) {
		return history.Failed
	}
	for _, d := range st.Details() {
		if d, ok := d.(*ringdv1.ErrorDetail); ok && !d.GetMaybeApplied() && st.Code() != codes.DeadlineExceeded {
			return history.Failed
		}
	}
	return history.Unknown
}
