package peer

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/keepalive"
)

const (
	// windowBytes is what may be under way on a stream before its reader takes
	// it: 1 GB/s at a millisecond. Fixed, because it is also what a peer that
	// stopped reading costs us, and because growing it by measuring costs a ping
	// per burst.
	windowBytes = 1 << 20
	// connWindowBytes leaves room for control and raft beside a full stream.
	connWindowBytes = 2 * windowBytes
	// socketBytes is what is read from and written to a socket at once: a full
	// frame in one call.
	socketBytes = 64 << 10
	// A host that is gone says nothing: after so long without a word it is asked,
	// and given up when it says nothing then. gRPC allows no client to ask sooner.
	keepaliveAfter   = 10 * time.Second
	keepaliveTimeout = 5 * time.Second
)

// messageOverhead is what a frame adds to a message of MessageBytesMax.
const messageOverhead = 64 << 10

// ServerOptions are what the member's gRPC server has to be made with, beside
// its credentials: windows, message size, and that peers may ask whether it is
// alive.
func (c *Config) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.StaticStreamWindowSize(windowBytes),
		grpc.StaticConnWindowSize(connWindowBytes),
		grpc.ReadBufferSize(socketBytes),
		grpc.WriteBufferSize(socketBytes),
		grpc.MaxRecvMsgSize(c.MessageBytesMax + messageOverhead),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveAfter, Timeout: keepaliveTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: keepaliveAfter / 2, PermitWithoutStream: true}),
	}
}

func (c *Config) dialOptions() []grpc.DialOption {
	out := []grpc.DialOption{
		grpc.WithTransportCredentials(c.Credentials),
		grpc.WithStaticStreamWindowSize(windowBytes),
		grpc.WithStaticConnWindowSize(connWindowBytes),
		grpc.WithReadBufferSize(socketBytes),
		grpc.WithWriteBufferSize(socketBytes),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(c.MessageBytesMax + messageOverhead)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveAfter, Timeout: keepaliveTimeout}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: c.BackoffMin, Multiplier: 2, Jitter: 0.5, MaxDelay: c.BackoffMax},
			MinConnectTimeout: c.DialTimeout,
		}),
		grpc.WithDisableServiceConfig(),
		grpc.WithNoProxy(),
	}
	if c.Dial != nil {
		out = append(out, grpc.WithContextDialer(c.Dial))
	}
	return out
}

// connTo returns a connection to addr, which is not made before it is used.
func (c *Config) connTo(addr string, more ...grpc.DialOption) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+addr, append(c.dialOptions(), more...)...)
}
