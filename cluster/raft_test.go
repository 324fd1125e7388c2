package cluster

import (
	"bytes"
	"io"
	"net"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/ringd/ringd/replica"
)

// TestStopsAtUnknownCommand: a member that can't follow the log applies nothing
// after that, saves nothing, and says so.
func TestStopsAtUnknownCommand(t *testing.T) {
	h := newHost(t, newFakeNet(), "m")
	if err := h.prepare(begin); err != nil {
		t.Fatal(err)
	}
	apply := func(data []byte) error {
		return (*fsm)(h.node).Apply(&raft.Log{Data: data}).(applied).err
	}
	first, err := Command{Bootstrap: firstState(t)}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := apply(first); err != nil {
		t.Fatal(err)
	}
	if err := apply([]byte(`{"format":1,"a_later_command":{}}`)); err == nil {
		t.Error("an unknown command was applied")
	}
	known, err := Command{CreateBucketType: bucketType("b", 2)}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := apply(known); err == nil {
		t.Error("a command after the unknown one was applied")
	}
	if got := h.node.State().Version; got != 1 {
		t.Errorf("version %d is served", got)
	}
	if _, err := (*fsm)(h.node).Snapshot(); err == nil {
		t.Error("a snapshot was taken of a state that lacks a command")
	}
	mustSay(t, <-h.node.Failed(), "later release")
}

func TestSnapshotAndRestore(t *testing.T) {
	h, other := newHost(t, newFakeNet(), "m"), newHost(t, newFakeNet(), "n")
	for _, m := range []*host{h, other} {
		if err := m.prepare(begin); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := (*fsm)(h.node).Snapshot(); err == nil {
		t.Error("a snapshot of nothing")
	}
	h.node.logged = mustApply(t, firstState(t), add(2))
	snap, err := (*fsm)(h.node).Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if err := (*fsm)(other.node).Restore(io.NopCloser(bytes.NewReader(snap.(snapshot)))); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encoded(t, other.node.State()), encoded(t, h.node.logged)) {
		t.Error("another state was restored")
	}
	if err := (*fsm)(other.node).Restore(io.NopCloser(bytes.NewReader([]byte("{}")))); err == nil {
		t.Error("an empty snapshot was restored")
	}
}

// TestStreamsEnd: nothing stays open, and nothing begins any more.
func TestStreamsEnd(t *testing.T) {
	f := newFakeNet()
	h := newHost(t, f, "a")
	if err := h.prepare(begin); err != nil {
		t.Fatal(err)
	}
	s := newStreams(h.node, "")
	mine, theirs := net.Pipe()
	if _, err := s.own(mine); err != nil {
		t.Fatal(err)
	}
	s.end()
	if _, err := theirs.Read(make([]byte, 1)); err == nil {
		t.Error("a connection is open")
	}
	other, _ := net.Pipe()
	if _, err := s.own(other); err == nil {
		t.Error("a connection began")
	}
	if _, err := s.Dial(raft.ServerAddress(memberID(1).String()), raftDial); err == nil {
		t.Error("it dials a member that it does not know")
	}
}

func TestErrorsSurviveTheCall(t *testing.T) {
	f := newFakeNet()
	a, b := newHost(t, f, "a"), newHost(t, f, "b")
	a.start(begin)
	a.started()
	if err := b.prepare(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		kind, addr string
		q          question
		want       replica.Kind
		words      string
	}{
		"other cluster": {callState, a.addr, question{}, replica.KindPrecondition, "belongs to cluster"},
		"no member":     {callJoin, a.addr, question{}, replica.KindInvalid, "member"},
		"nobody there":  {callJoin, "nobody:1", question{}, replica.KindUnavailable, ""},
	} {
		_, err := b.node.ask(within(t), c.addr, c.kind, c.q)
		if err == nil || replica.KindOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
		mustSay(t, err, c.words)
	}
}
