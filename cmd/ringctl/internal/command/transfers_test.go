package command

import (
	"context"
	"strings"
	"testing"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/fakecluster"
)

var moving = &ringdv1.TransfersResponse{
	Transfers: []*ringdv1.Transfer{
		{Kind: "hints", Partition: 3, Slot: 1, From: "node0", To: "node1", ItemsDone: 500, ItemsTotal: 2000, BytesDone: 512_000, BytesPerSecond: 256_000, Seconds: 2},
		{Kind: "anti-entropy", Partition: 5, From: "node0", To: "node2", ItemsDone: 4, BytesDone: 4096, BytesPerSecond: 40_960, Seconds: 0.1},
		{Kind: "verify", Partition: 6, ItemsDone: 17, Seconds: 1},
	},
	Hints:       &ringdv1.TransfersResponse_Hints{Kept: 1500, KeptBytes: 1_500_000, Stored: 2000, Delivered: 500, Refused: 3},
	AntiEntropy: &ringdv1.TransfersResponse_AntiEntropy{Sessions: 100, SessionsFailed: 1, ObjectsSent: 7, BytesSent: 7000, BytesRead: 12_000, KeysDiffered: 8, OldestSeconds: 42},
	Reaping:     &ringdv1.TransfersResponse_Reaping{Reaped: 10, Kept: 2, Stuck: 1},
}

func TestTransfers(t *testing.T) {
	s := start(t)
	if out := s.ok("transfers"); !strings.HasPrefix(out, "no transfer is under way\n") {
		t.Errorf("it printed\n%s", out)
	}
	s.cluster.SetRepairs(fakecluster.Repairs{Transfers: moving})
	golden(t, "transfers.txt", s.ok("transfers"))
	doc := parse(t, s.ok("transfers", "-o", "json"))
	last := doc["members"].([]any)[2].(map[string]any)
	if last["name"] != "node2" || last["transfers"].(map[string]any)["hints"].(map[string]any)["kept"] != "1500" {
		t.Errorf("as JSON: %v", doc)
	}
	if code, _, errOut := s.run("transfers", "--watch", "-o", "json"); code != exit.Usage || !strings.Contains(errOut, "without it") {
		t.Errorf("exit code %d\n%s", code, errOut)
	}
	s.fails(exit.Usage, "above 0", "transfers", "--watch", "--every", "0s")
	s.cluster.Stop(0)
	s.fails(exit.Unavailable, "1 of 3 members could not be asked", "transfers")
	_, out, errOut := s.run("transfers", "-o", "json")
	if first := parse(t, out)["members"].([]any)[0].(map[string]any); first["error"] == nil || !strings.Contains(errOut, "node0: ") {
		t.Errorf("with a member gone:\n%s%s", out, errOut)
	}
}

func TestTransfersWatch(t *testing.T) {
	for terminal, want := range map[bool]string{
		true:  "500 of 2000, 512.0 kB, 256.0 kB/s",
		false: "9 transfers, 890.9 kB/s; 4500 hints kept (4.5 MB); oldest comparison 42 s\n",
	} {
		s := start(t)
		s.cluster.SetRepairs(fakecluster.Repairs{Transfers: moving})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		shown := newSignal(want)
		s.outTerminal, s.out = terminal, shown
		go func() {
			<-shown.seen
			cancel()
		}()
		if code, _, errOut := s.runContext(ctx, "transfers", "--watch", "--every", "10ms"); code != exit.OK {
			t.Errorf("exit code %d\n%s", code, errOut)
		}
		if terminal && !strings.Contains(shown.String(), "hints 3 node0 > node1 (slot 1)") {
			t.Errorf("it showed\n%s", shown.String())
		}
	}
}
