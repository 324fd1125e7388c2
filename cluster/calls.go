package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// The calls that members make to each other.
const (
	callJoin   = "join"   // let me in
	callReturn = "return" // what do you know of my starts?
	callState  = "state"  // what is agreed on?
	callApply  = "apply"  // you lead: have this agreed on

	callRecovered = "recovered" // a recovery began another log: this is its state, unless you know better
)

// question is the body of a call.
type question struct {
	// Cluster that the caller belongs to; empty if it joins.
	Cluster string          `json:"cluster,omitempty"`
	From    ring.MemberID   `json:"from"`
	Member  *Member         `json:"member,omitempty"`
	Command json.RawMessage `json:"command,omitempty"`
	// GRPC is where a member that returns is now, Starts what it knows of its own.
	GRPC   string `json:"grpc,omitempty"`
	Starts uint64 `json:"starts,omitempty"`
	// State that the caller has, of another log.
	State json.RawMessage `json:"state,omitempty"`
	// Known is of the state that the caller has: that one it is not sent again.
	Known *stamp `json:"known,omitempty"`
}

// stamp tells the states of one cluster apart.
type stamp struct {
	Generation uint64 `json:"generation"`
	Version    uint64 `json:"version"`
	// Log is empty for that of the first generation.
	Log string `json:"log,omitempty"`
}

func (s *State) stamp() stamp { return stamp{s.Ring.Epoch().Generation, s.Version, s.log()} }

// answer to a call. Err is of *replica.Error, and the rest empty then.
type answer struct {
	Err *wireError `json:"error,omitempty"`
	// State of whoever answers; empty if the caller has it.
	State json.RawMessage `json:"state,omitempty"`
	// Roles of the members in the log, as Node.Roles.
	Roles map[ring.MemberID]string `json:"roles,omitempty"`
	// Gossip addresses of the members that it sees.
	Gossip []string `json:"gossip,omitempty"`
	// Starts and Nonce are what it knows of the caller.
	Starts uint64 `json:"starts,omitempty"`
	Nonce  string `json:"nonce,omitempty"`
}

type wireError struct {
	Kind         replica.Kind `json:"kind"`
	Field        string       `json:"field,omitempty"`
	Message      string       `json:"message"`
	MaybeApplied bool         `json:"maybe_applied,omitempty"`
}

// ask calls the member at addr. Errors of the call itself are KindUnavailable,
// for a command that may have been applied KindUnknown.
func (n *Node) ask(ctx context.Context, addr, kind string, q question) (answer, error) {
	q.Cluster, q.From = n.config.Dir.ClusterID(), n.id
	body, err := json.Marshal(q)
	if err != nil {
		return answer{}, err
	}
	if kind != callApply {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, askWithin)
		defer cancel()
	}
	raw, err := n.wire.Call(ctx, addr, kind, body)
	if isOtherCluster(err) {
		return answer{}, err
	}
	if err != nil {
		if kind == callApply {
			return answer{}, &replica.Error{Kind: replica.KindUnknown, Message: err.Error(), MaybeApplied: true}
		}
		return answer{}, replica.Errorf(replica.KindUnavailable, "%v", err)
	}
	var a answer
	if err := json.Unmarshal(raw, &a); err != nil {
		return answer{}, fmt.Errorf("cluster: the answer of %s: %w", addr, err)
	}
	if a.Err != nil {
		return answer{}, &replica.Error{Kind: a.Err.Kind, Field: a.Err.Field, Message: a.Err.Message, MaybeApplied: a.Err.MaybeApplied}
	}
	return a, nil
}

// final says that asking again won't help.
func final(err error) bool {
	switch replica.KindOf(err) {
	case replica.KindPrecondition, replica.KindInvalid, replica.KindNotFound:
		return true
	}
	return false
}

// OtherCluster is the field of the error that says so.
const OtherCluster = "cluster"

func isOtherCluster(err error) bool {
	var e *replica.Error
	return errors.As(err, &e) && e.Field == OtherCluster
}

// HandleCall answers a call of another member.
func (n *Node) HandleCall(ctx context.Context, kind string, body []byte) ([]byte, error) {
	a, err := n.answer(ctx, kind, body)
	if err != nil {
		var e *replica.Error
		if !errors.As(err, &e) {
			e = replica.Errorf(replica.KindInternal, "%v", err)
		}
		a = answer{Err: &wireError{Kind: e.Kind, Field: e.Field, Message: e.Message, MaybeApplied: e.MaybeApplied}}
	}
	return json.Marshal(a)
}

func (n *Node) answer(ctx context.Context, kind string, body []byte) (answer, error) {
	var q question
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(&q); err != nil {
		return answer{}, replica.Invalid("body", "%v", err)
	}
	s := n.State()
	if s == nil || n.config.Dir.ClusterID() == "" {
		return answer{}, replica.Errorf(replica.KindUnavailable, "member %s belongs to no cluster yet", n.config.Name)
	}
	if q.Cluster != s.ClusterID && !(q.Cluster == "" && kind == callJoin) {
		return answer{}, &replica.Error{Kind: replica.KindPrecondition, Field: OtherCluster, Message: fmt.Sprintf(
			"the member here belongs to cluster %s, the one that asks belongs to cluster %s: a data directory stays with its cluster; use the address of a member of its own, or an empty directory", s.ClusterID, q.Cluster)}
	}
	if kind == callRecovered {
		// First: by a state that has been overtaken the caller may be out.
		if err := n.Adopt(q.State); err != nil {
			return answer{}, replica.Invalid("state", "%v", err)
		}
		s = n.State()
	}
	if s.IsOut(q.From) {
		return answer{}, s.errOut(q.From)
	}
	switch kind {
	case callJoin:
		if q.Member == nil {
			return answer{}, replica.Invalid("member", "is missing")
		}
		if n.raft.Load() == nil && n.told.Load() == nil {
			return answer{}, errNoLeader
		}
		if err := n.Apply(ctx, Command{AddMember: &AddMember{Member: *q.Member}}); err != nil {
			return answer{}, err
		}
	case callApply:
		c, err := DecodeCommand(q.Command)
		if err != nil {
			return answer{}, replica.Invalid("command", "%v", err)
		}
		if leader, ok := n.leads(); !ok || leader != n.id {
			return answer{}, errNoLeader
		}
		if err := n.propose(c); err != nil {
			return answer{}, err
		}
	case callReturn:
		// Gossip takes a new address only once it has given up the old one. A
		// member that is not behind its own last start is believed at once.
		if m, ok := s.Members[q.From]; ok && q.GRPC != "" && q.Starts == m.Starts {
			if g := n.gossip.Load(); g != nil {
				g.note(q.From, q.GRPC, q.Starts)
			}
		}
	case callState, callRecovered:
	default:
		return answer{}, replica.Invalid("kind", "%q is no call that this member knows", kind)
	}
	return n.tell(q)
}

// tell is what this member knows, after a change too.
func (n *Node) tell(q question) (answer, error) {
	s := n.State()
	a := answer{Roles: n.Roles(), Starts: s.Members[q.From].Starts, Nonce: s.Members[q.From].Nonce}
	if q.Known == nil || *q.Known != s.stamp() {
		b, err := s.Encode()
		if err != nil {
			return answer{}, err
		}
		a.State = b
	}
	if g := n.gossip.Load(); g != nil {
		for id := range g.alive() {
			if id == n.id {
				a.Gossip = append(a.Gossip, g.address())
			} else if p, ok := g.peer(id); ok {
				a.Gossip = append(a.Gossip, p.Gossip)
			}
		}
		slices.Sort(a.Gossip)
	}
	return a, nil
}
