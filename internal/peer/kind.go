package peer

import (
	"fmt"

	"github.com/ringd/ringd/replica"
)

// requestKind says which answers fit a request, without holding on to it.
type requestKind uint8

const (
	noRequest requestKind = iota
	readRequest
	storeRequest
	forwardRequest
	listRequest
	// From here on, what compares, mends and moves.
	captureRequest
	sumsRequest
	entriesRequest
	headsRequest
	scanRequest
	fetchRequest
	transferRequest
	adoptRequest
	releaseRequest
	inheritRequest
	settleRequest
)

// checkWire refuses a request that a member who speaks the given version of the
// protocol would not understand, or would take for another. The error is
// ErrUnsendable. What an older member leaves out of its answers it has not got.
func checkWire(env *replica.Envelope, wire uint32) error {
	if since := wireOf(env); wire < since {
		return fmt.Errorf("%w: the member speaks version %d of the protocol between members, and version %d is the first that has such a request: upgrade the member", ErrUnsendable, wire, since)
	}
	return nil
}

// wireOf is the version that a request is there since, as it is.
func wireOf(env *replica.Envelope) uint32 {
	switch m := env.Message.(type) {
	case replica.Inherit, replica.Settle:
		return 3
	case replica.Transfer:
		if m.Move != 0 {
			return 3
		}
	case replica.Forward:
		if m.Write.Expiry != 0 {
			return 2
		}
	}
	if env.Fallback || kindOf(env.Message).isBulk() {
		return 2
	}
	return 1
}

// isBulk reports whether the request, and its answer, take the stream that no
// client waits for.
func (k requestKind) isBulk() bool { return k >= captureRequest }

func kindOf(m replica.Message) requestKind {
	switch m.(type) {
	case replica.Read:
		return readRequest
	case replica.Store:
		return storeRequest
	case replica.Forward:
		return forwardRequest
	case replica.List:
		return listRequest
	case replica.Capture:
		return captureRequest
	case replica.Sums:
		return sumsRequest
	case replica.Entries:
		return entriesRequest
	case replica.Heads:
		return headsRequest
	case replica.Scan:
		return scanRequest
	case replica.Fetch:
		return fetchRequest
	case replica.Transfer:
		return transferRequest
	case replica.Adopt:
		return adoptRequest
	case replica.Release:
		return releaseRequest
	case replica.Inherit:
		return inheritRequest
	case replica.Settle:
		return settleRequest
	}
	return noRequest
}

func (k requestKind) answeredBy(m replica.Message) bool {
	switch m.(type) {
	case replica.ReadAnswer:
		return k == readRequest
	case replica.StoreAnswer:
		return k == storeRequest
	case replica.ForwardAnswer:
		return k == forwardRequest
	case replica.ListAnswer:
		return k == listRequest
	case replica.CaptureAnswer:
		return k == captureRequest
	case replica.SumsAnswer:
		return k == sumsRequest
	case replica.EntriesAnswer:
		return k == entriesRequest
	case replica.HeadsAnswer:
		return k == headsRequest
	case replica.ScanAnswer:
		return k == scanRequest
	case replica.FetchAnswer:
		return k == fetchRequest
	case replica.TransferAnswer:
		return k == transferRequest
	case replica.AdoptAnswer:
		return k == adoptRequest
	case replica.ReleaseAnswer:
		return k == releaseRequest
	case replica.InheritAnswer:
		return k == inheritRequest
	case replica.SettleAnswer:
		return k == settleRequest
	case replica.Failure:
		return k != noRequest
	}
	return false
}
