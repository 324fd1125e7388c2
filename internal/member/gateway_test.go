package member

import (
	"log/slog"
	"testing"
	"time"

	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

// TestGatewayIsAsked: one that takes a gateway for an owner is told that it is none,
// for a write that it should coordinate, too.
func TestGatewayIsAsked(t *testing.T) {
	var members []*Member
	for i, name := range []string{"a", "b", "c"} {
		var join []string
		if i > 0 {
			join = []string{members[0].Endpoints().GRPC}
		}
		members = append(members, startMember(t, name, join...))
	}
	c := DefaultConfig()
	c.DataDir, c.Name, c.Role = t.TempDir(), "front", cluster.RoleGateway
	c.Listen, c.Gossip, c.HTTP, c.Join = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", []string{members[0].Endpoints().GRPC}
	c.Logger = slog.New(slog.NewTextHandler(testWriter{t}, nil)).With("member", c.Name)
	front, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := front.Close(); err != nil {
			t.Error(err)
		}
	})
	until(t, "all members are known", func() bool { return len(front.State().Members) == 4 })
	commitAll(t, front, nil)
	until(t, "the owners are known", func() bool { return members[0].State().Ring.HasOwners() })
	self, to := members[0].dir.ID(), front.dir.ID()
	until(t, "it is connected", func() bool { return members[0].coord.up(to) })
	k := replica.Key{Type: "default", Bucket: "b", Key: "k"}
	for _, m := range []replica.Message{
		replica.Read{Key: k, Full: true},
		replica.Store{Key: k, Object: []byte("an object")},
		replica.Forward{Write: replica.Write{Key: k, Value: []byte("v"), Request: [16]byte{1}}},
		replica.Forward{Write: replica.Write{Key: k, Value: []byte("v"), Request: [16]byte{2}, Options: replica.Options{Sloppy: replica.Off}}},
	} {
		done := make(chan replica.Event, 1)
		members[0].coord.ask(replica.Envelope{
			From: self, To: to, Epoch: front.State().Ring.Epoch(), Partition: ring.PartitionID(0),
			Deadline: time.Now().Add(answerWithin), Message: m,
		}, 1, func(e replica.Event) { done <- e })
		a, _ := (<-done).(replica.Answer)
		if f, ok := a.Message.(replica.Failure); !ok || f.Err.Kind != replica.KindNotOwner {
			t.Errorf("%T is answered with %+v", m, a.Message)
		}
	}
}
