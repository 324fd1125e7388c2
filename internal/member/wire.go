package member

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/internal/peer"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// wire is the transport as the cluster's node sees it: a refusal between
// members of different clusters becomes the error that it knows for that.
type wire struct{ *peer.Transport }

var _ cluster.Wire = wire{}

// Call implements cluster.Wire.
func (w wire) Call(ctx context.Context, addr, kind string, body []byte) ([]byte, error) {
	out, err := w.Transport.Call(ctx, addr, kind, body)
	if errors.Is(err, peer.ErrRefused) {
		return nil, &replica.Error{Kind: replica.KindPrecondition, Field: cluster.OtherCluster, Message: err.Error()}
	}
	return out, err
}

// DialRaft implements cluster.Wire.
func (w wire) DialRaft(ctx context.Context, id ring.MemberID, addr, log string) (net.Conn, error) {
	conn, err := w.DialRaftTo(ctx, id, addr, log)
	if errors.Is(err, peer.ErrOtherLog) {
		err = fmt.Errorf("%w: %w", cluster.ErrOtherLog, err)
	}
	return conn, err
}
