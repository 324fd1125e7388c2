package command

import (
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/fakecluster"
)

func TestRecover(t *testing.T) {
	s := start(t)
	s.fails(exit.Usage, "--i-accept-data-loss", "recover")
	if len(s.cluster.Asked()) > 0 {
		t.Error("without the flag a member was asked")
	}
	s.fails(exit.Precondition, "have a leader", "recover", "--i-accept-data-loss")
	s.cluster.SetRecoveries(fakecluster.Recoveries{Recover: &ringdv1.RecoverResponse{
		Epoch: &ringdv1.Epoch{Generation: 2, Number: 7}, Member: "node0", Reached: []string{"node1", "node2"}, MovesCancelled: 3,
	}})
	want := "Recovery generation 2 has begun at node0 (reached: node1, node2; 3 moves were turned back).\n" +
		"\"ringctl status\" shows who follows, \"ringctl remove\" and \"ringctl commit\" take out those that are gone.\n"
	if out := s.ok("recover", "--i-accept-data-loss"); out != want {
		t.Errorf("it printed %q", out)
	}
	if doc := parse(t, s.ok("recover", "--i-accept-data-loss", "-o", "json")); doc["member"] != "node0" {
		t.Errorf("it printed %v", doc)
	}
	asked := s.cluster.Asked()
	if !proto.Equal(asked[0], &ringdv1.RecoverRequest{AcceptDataLoss: true}) || len(asked) != 3 {
		t.Errorf("it asked %v", asked)
	}
}

func TestSalvage(t *testing.T) {
	s := start(t)
	s.fails(exit.Usage, "accepts 1 arg(s)", "salvage")
	s.fails(exit.Usage, "no data directory", "salvage", "/nowhere")
	set := func(p *ringdv1.SalvageProgress) {
		s.cluster.SetRecoveries(fakecluster.Recoveries{Salvage: []*ringdv1.SalvageProgress{{PartitionsTotal: 8}, p}})
	}
	p := &ringdv1.SalvageProgress{Member: "node9", PartitionsTotal: 8, PartitionsDone: 8, ObjectsRead: 12, BytesRead: 3000, CopiesChanged: 5, ObjectsHinted: 2, Done: true}
	set(p)
	before := len(s.cluster.Asked())
	if out := s.ok("salvage", "dir"); out != "From node9: 12 objects read (3.0 kB), 5 copies changed, 2 kept as hints.\n" {
		t.Errorf("it printed %q", out)
	}
	dir, err := filepath.Abs("dir")
	if err != nil {
		t.Fatal(err)
	}
	if asked := s.cluster.Asked()[before]; !proto.Equal(asked, &ringdv1.SalvageRequest{Directory: dir}) {
		t.Errorf("it asked %v", asked)
	}
	damaged := proto.CloneOf(p)
	damaged.RecordsDamaged, damaged.LastError = 3, "checksum"
	set(damaged)
	s.fails(exit.Failed, "3 records are damaged, the last: checksum", "salvage", "dir")
	damaged.ObjectsLeft = 4
	s.fails(exit.Failed, "4 objects are left", "salvage", "dir")
}

func TestEpochOfARecovery(t *testing.T) {
	for number, want := range map[uint64]string{17: "2.17", 0xc4f1<<32 | 17: "2.17/0c4f1"} {
		if got := epoch(&ringdv1.Epoch{Generation: 2, Number: number}); got != want {
			t.Errorf("%#x is shown as %q", number, got)
		}
	}
}
