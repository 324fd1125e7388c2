package member

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/ringd/ringd/causal"
	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/internal/peer"
	"github.com/ringd/ringd/quorum"
	"github.com/ringd/ringd/replica"
)

// forwardsMax bounds the forwarded writes that this member coordinates for
// others: as many as a mailbox holds.
const forwardsMax = 4096

// handler takes what other members send.
type handler struct {
	m        *Member
	coord    atomic.Pointer[coordinator] // nil until the disk is open
	forwards chan struct{}
	inFlight sync.WaitGroup // clients' requests

	key struct {
		sync.Mutex
		of  string // cluster id
		key causal.ContextKey
	}
}

// Control implements peer.Handler.
func (h *handler) Control(ctx context.Context, kind string, body []byte) ([]byte, error) {
	return h.m.node.HandleCall(ctx, kind, body)
}

// Receive implements peer.Handler.
func (h *handler) Receive(env replica.Envelope, back peer.Answerer) {
	reply := func(answer replica.Envelope) { back.Answer(h.complete(answer)) }
	c := h.coord.Load()
	if c == nil || !h.m.serving.Load() {
		reply(answerTo(env, replica.Failure{Err: errNotServing}))
		return
	}
	forward, ok := env.Message.(replica.Forward)
	if !ok {
		c.local(env, reply)
		return
	}
	select {
	case h.forwards <- struct{}{}:
	default:
		err := replica.Errorf(replica.KindOverloaded, "too many forwarded writes are under way")
		err.RetryAfter = retryAfter
		reply(answerTo(env, replica.Failure{Err: err}))
		return
	}
	go func() {
		defer func() { <-h.forwards }()
		ctx := context.Background()
		if !env.Deadline.IsZero() {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, env.Deadline)
			defer cancel()
		}
		r, err := c.Write(ctx, forward.Write, true)
		reply(answerTo(env, forwardAnswer(r, err)))
	}()
}

func forwardAnswer(r quorum.Result, err error) replica.Message {
	if err != nil {
		return replica.Failure{Err: asError(err)}
	}
	return replica.ForwardAnswer{Result: replica.WriteResult{Context: r.Context, Object: r.Object}}
}

func answerTo(env replica.Envelope, m replica.Message) replica.Envelope {
	return replica.Envelope{ID: env.ID, From: env.To, To: env.From, Epoch: env.Epoch, Partition: env.Partition, Message: m}
}

// complete adds this member's state to the refusal of an older ring.
func (h *handler) complete(answer replica.Envelope) replica.Envelope {
	f, ok := answer.Message.(replica.Failure)
	if !ok || f.Err.Kind != replica.KindStaleRing {
		return answer
	}
	if b, err := h.m.node.State().Encode(); err == nil {
		f.State = b
		answer.Message = f
	}
	return answer
}

// contextKey is derived from the cluster's secret once.
func (h *handler) contextKey(s *cluster.State) causal.ContextKey {
	h.key.Lock()
	defer h.key.Unlock()
	if h.key.of != s.ClusterID {
		h.key.of, h.key.key = s.ClusterID, causal.NewContextKey(s.Secret)
	}
	return h.key.key
}
