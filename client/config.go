package client

import (
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// Config is what [DialConfig] may be told. Begin with [DefaultConfig].
type Config struct {
	// Credentials secure the connections. Nil is plain text, the default until
	// members serve TLS: use it on networks that you trust.
	Credentials credentials.TransportCredentials
	// Timeout bounds each request whose context has no deadline. Default 5 s:
	// long enough to ride out the loss of a member, short enough to notice.
	Timeout time.Duration
	// AttemptAfter is how long a member may take to answer before the request
	// is also sent to the next one. Default 250 ms: far above what a healthy
	// member needs for a synced write, far below what a person would notice.
	AttemptAfter time.Duration
	// HedgeShare is the share of requests that may be sent twice because a
	// member that does answer others is slow. Default 0.1: under overload,
	// when all is slow, the load grows by no more than that. Requests to a
	// member that fell silent are not counted.
	HedgeShare float64
	// RingRefresh is how often the ring is fetched while nothing calls for it
	// sooner. Default 30 s: a stale ring only costs a forward.
	RingRefresh time.Duration
	// InFlightMax bounds the requests per member, waiting or sent. One more is
	// tried elsewhere, and refused with [ErrOverloaded] in the end. Default
	// 4,096: far more than keeps a member busy.
	InFlightMax int
	// InFlightBytesMax bounds their keys and values in bytes, per member; a
	// single larger request passes alone. Default 64 MiB.
	InFlightBytesMax int
	// DialOptions are added to the client's own for each connection, to set
	// interceptors or a dialer.
	DialOptions []grpc.DialOption
}

// messageBytesMax bounds one answer: the largest object (16 MiB) with room for
// its keys and metadata, doubled because members can be set to larger ones.
const messageBytesMax = 32 << 20

// DefaultConfig returns the configuration that [Dial] uses.
func DefaultConfig() Config {
	return Config{
		Timeout:          5 * time.Second,
		AttemptAfter:     250 * time.Millisecond,
		HedgeShare:       0.1,
		RingRefresh:      30 * time.Second,
		InFlightMax:      4096,
		InFlightBytesMax: 64 << 20,
	}
}

// Validate says which field of c cannot be used. The error is [ErrInvalid].
func (c Config) Validate() error {
	for _, f := range []struct {
		name string
		bad  bool
		have any
	}{
		{"Timeout", c.Timeout <= 0, c.Timeout},
		{"AttemptAfter", c.AttemptAfter <= 0, c.AttemptAfter},
		{"RingRefresh", c.RingRefresh <= 0, c.RingRefresh},
		{"InFlightMax", c.InFlightMax <= 0, c.InFlightMax},
		{"InFlightBytesMax", c.InFlightBytesMax <= 0, c.InFlightBytesMax},
	} {
		if f.bad {
			return invalid(f.name, fmt.Sprintf("%v has to be above 0", f.have))
		}
	}
	if !(c.HedgeShare >= 0 && c.HedgeShare <= 1) {
		return invalid("HedgeShare", fmt.Sprintf("%v has to be from 0 to 1", c.HedgeShare))
	}
	return nil
}

func (c Config) dialOptions() []grpc.DialOption {
	creds := c.Credentials
	if creds == nil {
		creds = insecure.NewCredentials()
	}
	return append([]grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		// Members are reached directly, whatever proxy the environment names.
		grpc.WithNoProxy(),
		grpc.WithConnectParams(grpc.ConnectParams{
			// The client has its own backoff, per member: gRPC's is only to be
			// below it, so that a probe finds the connection trying.
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 3 * time.Second,
		}),
		// Fixed windows: many large answers at once must not wait for gRPC's
		// estimate to grow.
		grpc.WithInitialWindowSize(1 << 20),
		grpc.WithInitialConnWindowSize(4 << 20),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageBytesMax), grpc.MaxCallSendMsgSize(messageBytesMax)),
	}, c.DialOptions...)
}
