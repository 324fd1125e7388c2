package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/ringd/ringd/ring"
)

// Config describes a Transport. The functions are called from many goroutines,
// and must not block.
type Config struct {
	Self ring.MemberID
	// ClusterID returns "" as long as the member knows none. Then it exchanges
	// nothing but control calls and the agreed log.
	ClusterID func() string
	// StartCount numbers the starts of this member; 0 as long as it knows none.
	StartCount func() uint64
	// Epoch is of the ring that this member goes by.
	Epoch func() ring.Epoch
	// Resolve returns where a member is reached now.
	Resolve func(ring.MemberID) (addr string, ok bool)
	// Credentials of outgoing connections.
	Credentials credentials.TransportCredentials
	// Dial connects to an address; nil is TCP.
	Dial   func(ctx context.Context, addr string) (net.Conn, error)
	Logger *slog.Logger
	// WireMax is the highest version of the protocol that is spoken: below that of
	// this release, to try what it does beside an earlier one.
	WireMax uint32
	// Capabilities are told to peers.
	Capabilities []string

	// Streams to each other member, beside one for what compares, mends
	// and moves vnodes, so that it delays no client; of the rest, a partition's
	// messages all take the same.
	// Each is read, decoded and acted on by one goroutine: with two, a large
	// object holds up only every other partition; more would carry less per
	// frame, and what a frame costs is most of what a message costs.
	Streams int
	// QueueMessages bounds, per stream, the requests that wait or are not
	// answered yet, and the answers that wait: a tenth of a second of a stream's
	// work, past which waiting longer helps nobody.
	QueueMessages int
	// QueueBytes bounds, per stream and way, the bytes that wait. One message is
	// always let in.
	QueueBytes int
	// FrameBytes is where a frame is full: some 300 messages of 100 B. More would
	// save nothing and hold up the first of them.
	FrameBytes int
	// MessageBytesMax bounds one message. The limits that bind clients are lower:
	// objects that met after a partition may add up.
	MessageBytesMax int
	// SweepAfter is how long past its deadline a request is remembered, so that
	// a late answer still finds whom it concerns.
	SweepAfter time.Duration
	// StallAfter is how long a frame may wait to be taken off our hands, beside
	// the time that its size takes, before the stream is given up: above what a
	// loaded machine makes its peers wait, below the timeout of a request.
	StallAfter time.Duration
	// DialTimeout bounds connecting and hello, in both directions.
	DialTimeout time.Duration
	// BackoffMin and BackoffMax bound the time between attempts, which doubles
	// from one to the other: a restarted process is met within moments, and one
	// that is gone costs little. A member that dials us is dialed at once.
	BackoffMin, BackoffMax time.Duration
}

// DefaultConfig returns the defaults of all that has one. Connections are not
// encrypted, and nothing is logged.
func DefaultConfig() Config {
	return Config{
		Credentials:     insecure.NewCredentials(),
		Logger:          slog.New(slog.DiscardHandler),
		WireMax:         WireMax,
		Streams:         2,
		QueueMessages:   8192,
		QueueBytes:      64 << 20,
		FrameBytes:      64 << 10,
		MessageBytesMax: 64 << 20,
		SweepAfter:      time.Second,
		StallAfter:      2 * time.Second,
		DialTimeout:     2 * time.Second,
		BackoffMin:      50 * time.Millisecond,
		BackoffMax:      2 * time.Second,
	}
}

// Validate returns what is wrong with c.
func (c *Config) Validate() error {
	if c.Self.IsZero() {
		return errors.New("peer: Self is no member")
	}
	if c.ClusterID == nil || c.StartCount == nil || c.Epoch == nil || c.Resolve == nil || c.Credentials == nil || c.Logger == nil {
		return errors.New("peer: ClusterID, StartCount, Epoch, Resolve, Credentials and Logger have to be set")
	}
	if c.WireMax < WireMin || c.WireMax > WireMax {
		return fmt.Errorf("peer: WireMax is %d: this release speaks %d to %d", c.WireMax, WireMin, WireMax)
	}
	if len(c.Capabilities) > capabilitiesMax {
		return fmt.Errorf("peer: there are %d Capabilities, and the most is %d", len(c.Capabilities), capabilitiesMax)
	}
	for _, n := range []struct {
		name       string
		value, min int
	}{
		{"Streams", c.Streams, 1},
		{"QueueMessages", c.QueueMessages, 1},
		{"QueueBytes", c.QueueBytes, 1},
		{"FrameBytes", c.FrameBytes, 1},
		{"MessageBytesMax", c.MessageBytesMax, c.FrameBytes},
	} {
		if n.value < n.min {
			return fmt.Errorf("peer: %s is %d: use at least %d", n.name, n.value, n.min)
		}
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"SweepAfter", c.SweepAfter}, {"StallAfter", c.StallAfter}, {"DialTimeout", c.DialTimeout}, {"BackoffMin", c.BackoffMin},
	} {
		if d.value <= 0 {
			return fmt.Errorf("peer: %s is %v: it has to be above 0", d.name, d.value)
		}
	}
	if c.BackoffMax < c.BackoffMin {
		return fmt.Errorf("peer: BackoffMax is %v, below BackoffMin, %v", c.BackoffMax, c.BackoffMin)
	}
	return nil
}
