package command

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/fakecluster"
)

func TestRepair(t *testing.T) {
	s := start(t)
	s.cluster.SetRepairs(fakecluster.Repairs{Repair: []*ringdv1.RepairProgress{
		{SessionsTotal: 8},
		{SessionsTotal: 8, SessionsDone: 8, KeysDiffered: 2, ObjectsSent: 3, BytesSent: 1000, BytesRead: 50},
	}})
	if out := s.ok("repair"); out != "24 sessions, 6 keys differed, 9 objects sent, 3.0 kB\n" {
		t.Errorf("it printed %q", out)
	}
	doc := parse(t, s.ok("repair", "-o", "json"))
	for field, want := range map[string]float64{"sessions": 24, "sessions_failed": 0, "keys_differed": 6, "objects_sent": 9, "bytes_sent": 3000, "bytes_read": 150} {
		if doc[field] != want {
			t.Errorf("%s is %v, want %v", field, doc[field], want)
		}
	}
	before := len(s.cluster.Asked())
	s.ok("repair", "--partition", "0", "--bucket-type", "default")
	asked := s.cluster.Asked()[before:]
	zero, typ := uint32(0), "default"
	want := &ringdv1.RepairRequest{Partition: &zero, BucketType: &typ}
	if len(asked) != 3 || !proto.Equal(asked[0], want) || !proto.Equal(asked[2], want) {
		t.Errorf("it asked %v", asked)
	}
	if first := s.cluster.Asked()[0]; !proto.Equal(first, &ringdv1.RepairRequest{}) {
		t.Errorf("of all was asked %v", first)
	}
}

func TestRepairFails(t *testing.T) {
	s := start(t)
	s.fails(exit.NotFound, "nonsense", "repair", "--bucket-type", "nonsense")
	s.fails(exit.Usage, "partition", "repair", "--partition", "8")
	s.fails(exit.Usage, `unknown command "carts"`, "repair", "carts")
	s.cluster.SetRepairs(fakecluster.Repairs{Repair: []*ringdv1.RepairProgress{
		{SessionsTotal: 8, SessionsDone: 7, SessionsFailed: 1, LastError: "node1 did not answer"},
	}})
	s.fails(exit.Failed, "3 of 24 sessions failed, the last: node1 did not answer", "repair")
	s.cluster.SetRepairs(fakecluster.Repairs{})
	s.cluster.Stop(1)
	s.fails(exit.Failed, "1 of 3 members did not do their part", "repair")
	if _, out, errOut := s.run("repair"); !strings.HasPrefix(out, "16 sessions") || !strings.Contains(errOut, "node1: ") {
		t.Errorf("with a member gone:\n%s%s", out, errOut)
	}
}

// TestRepairWatch: the bar shows what all members tell, and Ctrl-C ends it.
func TestRepairWatch(t *testing.T) {
	s := start(t)
	held := make(chan struct{})
	s.cluster.SetRepairs(fakecluster.Repairs{
		Repair: []*ringdv1.RepairProgress{{SessionsTotal: 8, SessionsDone: 4, ObjectsSent: 1}}, Hold: held,
	})
	s.errTerminal = true
	shown := newSignal("12 of 24 sessions, 0 keys differed, 3 objects sent")
	s.errOut = shown
	go func() {
		<-shown.seen
		close(held)
	}()
	s.ok("repair", "--watch")

	s.cluster.SetRepairs(fakecluster.Repairs{
		Repair: []*ringdv1.RepairProgress{{SessionsTotal: 8, SessionsDone: 5}}, Hold: make(chan struct{}),
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	shown = newSignal("15 of 24 sessions")
	s.errOut = shown
	go func() {
		<-shown.seen
		cancel()
	}()
	if code, _, _ := s.runContext(ctx, "repair", "--watch"); code != exit.Failed || !strings.Contains(shown.String(), "interrupted") {
		t.Errorf("exit code %d\n%s", code, shown.String())
	}
}

func key(k string) *ringdv1.Key {
	return &ringdv1.Key{BucketType: "default", Bucket: []byte("b"), Key: []byte(k)}
}

func TestRepairVerify(t *testing.T) {
	s := start(t)
	if out := s.ok("repair", "verify"); out != "36 copies checked, 0 entries and 0 sums were wrong\n" {
		t.Errorf("it printed %q", out)
	}
	s.fails(exit.Usage, "partition", "repair", "verify", "--partition", "8")
	s.cluster.SetRepairs(fakecluster.Repairs{Trees: []*ringdv1.CheckTreesProgress{
		{PartitionsTotal: 8, PartitionsDone: 1, KeysChecked: 5, EntriesWrong: 1, Wrong: []*ringdv1.Key{key("one")}},
		{PartitionsTotal: 8, PartitionsDone: 8, KeysChecked: 9, EntriesWrong: 2, SumsWrong: 1, Wrong: []*ringdv1.Key{key("\xff")}, Failed: []string{"partition 7: the disk"}},
	}})
	s.fails(exit.Failed, "6 entries and 3 sums of hash trees were wrong, and were set right", "repair", "verify")
	code, out, errOut := s.run("repair", "verify")
	if code != exit.Failed || !strings.Contains(errOut, "node2: partition 7: the disk") {
		t.Errorf("exit code %d\n%s", code, errOut)
	}
	golden(t, "repair-verify.txt", out)
	_, out, _ = s.run("repair", "verify", "-o", "json")
	doc := parse(t, out)
	wrong := doc["wrong"].([]any)
	if last := wrong[5].(map[string]any); len(wrong) != 6 || last["member"] != "node2" || last["key_b64"] != "/w==" || doc["entries_wrong"] != 6.0 || doc["partitions_failed"] != 3.0 {
		t.Errorf("as JSON:\n%s", out)
	}
	s.cluster.SetRepairs(fakecluster.Repairs{Trees: []*ringdv1.CheckTreesProgress{{PartitionsTotal: 1, PartitionsDone: 1, Failed: []string{"partition 7: the disk"}}}})
	s.fails(exit.Failed, "3 partitions could not be checked", "repair", "verify")
	s.cluster.SetRepairs(fakecluster.Repairs{})
	s.cluster.Stop(2)
	s.fails(exit.Failed, "1 of 3 members could not be asked", "repair", "verify")
}

// signal is a writer that tells when a text came.
type signal struct {
	text string
	seen chan struct{}
	all  lockedBuffer
}

func newSignal(text string) *signal { return &signal{text: text, seen: make(chan struct{})} }

func (s *signal) Write(p []byte) (int, error) {
	s.all.Write(p)
	select {
	case <-s.seen:
	default:
		if strings.Contains(s.all.String(), s.text) {
			close(s.seen)
		}
	}
	return len(p), nil
}

func (s *signal) String() string { return s.all.String() }
