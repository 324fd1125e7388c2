package client

import (
	"context"
	"fmt"
	"path"
	"slices"
	"time"

	"google.golang.org/grpc"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

// Admin returns the cluster's Admin service. A call goes to the first of the
// addresses given to [Dial] whose member can be reached, else to any other
// member; one that only reads is tried at the next when a member is lost under
// it, one that changes something is not: its outcome is then [ErrUnknown].
// Errors are [*Error]. A context without a deadline gets the client's Timeout,
// except for streams: they last as long as there is work, and end with
// [ErrUnavailable] when their member is lost.
func (c *Client) Admin() ringdv1.AdminClient {
	return ringdv1.NewAdminClient(failover{c: c})
}

// AdminOf is [Client.Admin] of one member, named by its id as Members lists it:
// what it answers is its own. No other member is asked in its stead.
func (c *Client) AdminOf(memberID string) ringdv1.AdminClient {
	return ringdv1.NewAdminClient(failover{c: c, only: memberID})
}

// adminReads are the methods of Admin that change nothing.
var adminReads = []string{
	ringdv1.Admin_Status_FullMethodName, ringdv1.Admin_Ring_FullMethodName,
	ringdv1.Admin_Members_FullMethodName, ringdv1.Admin_Plan_FullMethodName,
	ringdv1.Admin_ListBucketTypes_FullMethodName, ringdv1.Admin_DescribeBucketType_FullMethodName,
	ringdv1.Admin_Inspect_FullMethodName, ringdv1.Admin_GetSettings_FullMethodName,
	ringdv1.Admin_Transfers_FullMethodName,
}

// failover makes calls at whichever member can be reached, or at the only one
// that is named.
type failover struct {
	c    *Client
	only string // the id of a member; empty: any
}

// Invoke implements grpc.ClientConnInterface.
func (f failover) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.c.config.Timeout)
		defer cancel()
	}
	reads := slices.Contains(adminReads, method)
	last := f.nobody()
	attempts := 0
	for _, e := range f.members() {
		attempts++
		if last = f.invoke(ctx, e, reads, method, args, reply, opts); last == nil {
			return nil
		}
		again := reads && !codeTable[last.Code].final || last.Code == CodeUnavailable && !last.MaybeApplied
		if !again || ctx.Err() != nil {
			break
		}
	}
	last.Op, last.Attempts, last.cause = path.Base(method), attempts, context.Cause(ctx)
	last.MaybeApplied = last.MaybeApplied && !reads
	if last.MaybeApplied {
		last.Code = CodeUnknown
	}
	return last
}

func (f failover) invoke(ctx context.Context, e *endpoint, reads bool, method string, args, reply any, opts []grpc.CallOption) *Error {
	cc, err := f.open(ctx, e, reads)
	if err != nil {
		return err
	}
	bound := ctx
	if at, ok := ctx.Deadline(); ok && reads && f.only == "" {
		// Half of the time is left for another member.
		var cancel context.CancelFunc
		bound, cancel = context.WithTimeout(ctx, time.Until(at)/2)
		defer cancel()
	}
	if failure := cc.Invoke(bound, method, args, reply, opts...); failure != nil {
		return e.called(bound, failure)
	}
	return nil
}

// open returns the connection to e, over which it has said who it is. A change
// is sent only to a member that answers right now, so that there is seldom a
// doubt: for one, known is false.
func (f failover) open(ctx context.Context, e *endpoint, known bool) (*grpc.ClientConn, *Error) {
	check := e.identified
	if !known {
		check = e.identify
	}
	quick, cancel := context.WithTimeout(ctx, openTimeout/refreshAsksMax)
	defer cancel()
	if err := check(quick); err != nil {
		return nil, err
	}
	if who := e.who.Load(); f.only != "" && who.member != f.only {
		return nil, e.refused(&Error{Code: CodeUnavailable, Message: fmt.Sprintf("member %s answers where the ring has %s", who.member, f.only)})
	}
	return e.conn()
}

// nobody is the outcome if there is no one to ask.
func (f failover) nobody() *Error {
	return &Error{Code: CodeUnavailable, Message: fmt.Sprintf("the ring has no member %s", f.only)}
}

// members are the caller's addresses in the caller's order, then the others;
// suspects last.
func (f failover) members() []*endpoint {
	if f.only != "" {
		if e := f.c.topology.current.Load().byID[f.only]; e != nil {
			return []*endpoint{e}
		}
		return nil
	}
	all := f.c.topology.addresses()
	for _, e := range f.c.topology.current.Load().members {
		if !slices.Contains(all, e) {
			all = append(all, e)
		}
	}
	now := f.c.now()
	suspect := func(e *endpoint) bool { return e.health.until.Load() > int64(now) }
	return slices.Concat(
		slices.DeleteFunc(slices.Clone(all), suspect),
		slices.DeleteFunc(all, func(e *endpoint) bool { return !suspect(e) }),
	)
}
