package peer

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/ringd/ringd/internal/peer/peerpb"
)

const (
	// tunnelChunk is how much of a Write goes into one message.
	tunnelChunk = 64 << 10
	// tunnelLinger is how long a closed connection waits for the other side to
	// take what was written.
	tunnelLinger = time.Second
)

// tunnelStream is what the streams of both sides have in common.
type tunnelStream interface {
	Send(*peerpb.Bytes) error
	Recv() (*peerpb.Bytes, error)
}

// tunnel is a net.Conn over a stream. As with TCP, a Write that returned was
// taken over, not received; Close delivers it, if the other side reads.
type tunnel struct {
	stream        tunnelStream
	local, remote net.Addr

	in     chan []byte // not buffered: what nobody reads stays with the sender
	inErr  error       // why in is closed
	out    chan []byte // not buffered: handed over is as good as sent
	closed chan struct{}
	// over is closed when nothing can be written any more: for the dialer with
	// the end of in, which is that of the stream.
	over     chan struct{}
	overErr  error         // why, set before
	sent     chan struct{} // closed when the writer has ended
	once     struct{ close, over sync.Once }
	read     deadline
	write    deadline
	readers  chan struct{} // of capacity 1: one Read at a time
	writers  chan struct{} // of capacity 1: one Write at a time
	rest     []byte        // received and not read yet; the reader's
	endWrite func()        // the dialer's CloseSend, called by the writer at its end
}

func newTunnel(stream tunnelStream, local, remote net.Addr, endWrite func()) *tunnel {
	return &tunnel{
		stream: stream, local: local, remote: remote, endWrite: endWrite,
		in: make(chan []byte), out: make(chan []byte), closed: make(chan struct{}),
		over: make(chan struct{}), sent: make(chan struct{}),
		readers: make(chan struct{}, 1), writers: make(chan struct{}, 1),
	}
}

// receive passes on what comes in until the stream ends. After Close it is
// thrown away.
func (c *tunnel) receive() error {
	for {
		m, err := c.stream.Recv()
		if err != nil {
			if c.inErr = err; !errors.Is(err, io.EOF) {
				c.inErr = fromStatus(err)
			}
			close(c.in)
			return c.inErr
		}
		if len(m.GetData()) == 0 {
			continue
		}
		select {
		case c.in <- m.GetData():
		case <-c.closed:
		}
	}
}

// send writes what is handed over until Close or the end of the stream.
func (c *tunnel) send() {
	defer close(c.sent)
	for {
		select {
		case chunk := <-c.out:
			if err := c.stream.Send(&peerpb.Bytes{Data: chunk}); err != nil {
				c.finish(io.ErrClosedPipe)
				return
			}
		case <-c.over:
			return
		case <-c.closed:
			c.endWrite()
			return
		}
	}
}

// finish ends writing.
func (c *tunnel) finish(err error) {
	c.once.over.Do(func() {
		c.overErr = err
		close(c.over)
	})
}

// Read implements net.Conn.
func (c *tunnel) Read(p []byte) (int, error) {
	expired := c.read.done()
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	case <-expired:
		return 0, os.ErrDeadlineExceeded
	default:
	}
	select {
	case c.readers <- struct{}{}:
		defer func() { <-c.readers }()
	case <-expired:
		return 0, os.ErrDeadlineExceeded
	case <-c.closed:
		return 0, net.ErrClosed
	}
	if len(c.rest) == 0 {
		select {
		case chunk, ok := <-c.in:
			if !ok {
				return 0, c.inErr
			}
			c.rest = chunk
		case <-expired:
			return 0, os.ErrDeadlineExceeded
		case <-c.closed:
			return 0, net.ErrClosed
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// Write implements net.Conn.
func (c *tunnel) Write(p []byte) (int, error) {
	expired := c.write.done()
	if err := c.mayWrite(expired); err != nil {
		return 0, err
	}
	select {
	case c.writers <- struct{}{}:
		defer func() { <-c.writers }()
	case <-expired:
		return 0, os.ErrDeadlineExceeded
	case <-c.closed:
		return 0, net.ErrClosed
	}
	written := 0
	for written < len(p) {
		if err := c.mayWrite(expired); err != nil {
			return written, err
		}
		// A copy: the caller may use p again before the writer is done with it.
		chunk := append([]byte(nil), p[written:min(len(p), written+tunnelChunk)]...)
		select {
		case c.out <- chunk:
			written += len(chunk)
		case <-expired:
			return written, os.ErrDeadlineExceeded
		case <-c.closed:
			return written, net.ErrClosed
		case <-c.over:
			return written, c.overErr
		}
	}
	return written, nil
}

func (c *tunnel) mayWrite(expired <-chan struct{}) error {
	select {
	case <-c.closed:
		return net.ErrClosed
	case <-c.over:
		return c.overErr
	case <-expired:
		return os.ErrDeadlineExceeded
	default:
		return nil
	}
}

// Close implements net.Conn. It does not wait.
func (c *tunnel) Close() error {
	err := net.ErrClosed
	c.once.close.Do(func() {
		close(c.closed)
		err = nil
	})
	return err
}

// LocalAddr implements net.Conn.
func (c *tunnel) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *tunnel) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *tunnel) SetDeadline(at time.Time) error {
	c.read.set(at)
	c.write.set(at)
	return nil
}

// SetReadDeadline implements net.Conn.
func (c *tunnel) SetReadDeadline(at time.Time) error {
	c.read.set(at)
	return nil
}

// SetWriteDeadline implements net.Conn.
func (c *tunnel) SetWriteDeadline(at time.Time) error {
	c.write.set(at)
	return nil
}

// linger returns when the other side has ended the stream, some time after Close,
// or with ctx.
func (c *tunnel) linger(ctx context.Context, over <-chan struct{}) {
	select {
	case <-over:
		return
	case <-ctx.Done():
		return
	case <-c.closed:
	}
	timer := time.NewTimer(tunnelLinger)
	defer timer.Stop()
	select {
	case <-over:
	case <-ctx.Done():
	case <-timer.C:
	}
}
