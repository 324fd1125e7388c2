package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ringd/ringd/replica"
)

func TestCall(t *testing.T) {
	var n network
	a := startMember(t, &n, 1, nil, func(c *Config) { c.ClusterID = func() string { return "" } })
	typed := &replica.Error{Kind: replica.KindOverloaded, Message: "later", Needed: 3, Got: 1, MaybeApplied: true, RetryAfter: time.Second}
	b := startMember(t, &n, 2, echo{control: func(kind string, body []byte) ([]byte, error) {
		switch kind {
		case "typed":
			return nil, fmt.Errorf("wrapped: %w", typed)
		case "plain":
			return nil, errors.New("no luck")
		}
		return append([]byte(kind+":"), body...), nil
	}}, nil)
	// Before it joined, and however old its start is.
	b.SawStart(id(1), 9)
	got, err := a.Call(t.Context(), b.addr, "join", []byte("x"))
	if err != nil || string(got) != "join:x" {
		t.Fatalf("%q, %v", got, err)
	}
	large := bytes.Repeat([]byte("x"), 8<<20)
	if got, err = a.Call(t.Context(), b.addr, "", large); err != nil || len(got) != len(large)+1 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	_, err = a.Call(t.Context(), b.addr, "typed", nil)
	var e *replica.Error
	if !errors.As(err, &e) || *e != *typed {
		t.Errorf("typed: %v", err)
	}
	if _, err = a.Call(t.Context(), b.addr, "plain", nil); replica.KindOf(err) != replica.KindInternal || !strings.Contains(err.Error(), "no luck") {
		t.Errorf("plain: %v", err)
	}
	if _, err = a.Call(t.Context(), "127.0.0.1:1", "x", nil); !errors.Is(err, ErrUnreachable) {
		t.Errorf("nobody there: %v", err)
	}
	if _, err = b.Call(t.Context(), a.addr, "x", nil); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "does not serve its peers yet") {
		t.Errorf("not serving: %v", err)
	}
	c := startMember(t, &n, 3, echo{}, func(c *Config) { c.ClusterID = func() string { return "c2" } })
	if _, err = c.Call(t.Context(), b.addr, "x", nil); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "of cluster c2") {
		t.Errorf("another cluster: %v", err)
	}
	a.Close()
	if _, err = a.Call(t.Context(), b.addr, "x", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// waiting answers a call when its context ends.
type waiting struct {
	echo
	begun chan struct{}
}

func (w waiting) Control(ctx context.Context, _ string, _ []byte) ([]byte, error) {
	w.begun <- struct{}{}
	<-ctx.Done()
	return nil, ctx.Err()
}

// A call ends with its context, with the transport that made it, and with the
// one that serves it.
func TestCallEnds(t *testing.T) {
	for _, who := range []string{"context", "caller", "server"} {
		var n network
		a := startMember(t, &n, 1, nil, nil)
		h := waiting{begun: make(chan struct{})}
		b := startMember(t, &n, 2, h, nil)
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() {
			_, err := a.Call(ctx, b.addr, "x", nil)
			failed <- err
		}()
		<-h.begun
		switch who {
		case "context":
			cancel()
		case "caller":
			a.Close()
		case "server":
			b.Close()
		}
		err := <-failed
		if err == nil || errors.Is(err, context.Canceled) != (who == "context") || errors.Is(err, ErrClosed) != (who == "caller") {
			t.Errorf("%s: %v", who, err)
		}
		cancel()
	}
}

// Connections for calls are bounded, and those in use stay.
func TestCallConnectionsAreBounded(t *testing.T) {
	var c controlConns
	c.init()
	config := DefaultConfig()
	used, err := c.get(&config, "used:1")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 * controlConnsMax {
		cc, err := c.get(&config, fmt.Sprintf("other:%d", i))
		if err != nil {
			t.Fatal(err)
		}
		c.put(cc)
		if n := len(c.mu.byAddr); n > controlConnsMax {
			t.Fatalf("%d connections", n)
		}
	}
	if !used.stale || used.conn.GetState().String() == "SHUTDOWN" {
		t.Errorf("the one in use: stale %v, %v", used.stale, used.conn.GetState())
	}
	c.put(used)
	if used.conn.GetState().String() != "SHUTDOWN" {
		t.Error("the one in use was not closed after it")
	}
	c.close()
	if _, err := c.get(&config, "x:1"); !errors.Is(err, ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}
