package command

import (
	"fmt"
	"strings"
	"testing"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/fakecluster"
)

func memberID(i int) string { return fmt.Sprintf("00000000-0000-0000-0000-%012d", i+1) }

func TestVerifyAgrees(t *testing.T) {
	s := start(t)
	if out := s.ok("verify"); out != "0 of 12 keys differ\n" {
		t.Errorf("it printed %q", out)
	}
	if doc := parse(t, s.ok("verify", "--list", "-o", "json")); doc["differ"] != 0.0 || doc["keys"] != 12.0 || doc["partitions"] != 8.0 {
		t.Errorf("as JSON: %v", doc)
	}
	s.fails(exit.NotFound, "nonsense", "verify", "--bucket-type", "nonsense")
	s.fails(exit.Usage, "partition", "verify", "--partition", "8")
	// One member is enough to ask.
	s.cluster.Stop(0)
	s.ok("verify", "--partition", "7", "-q")
	if got := s.cluster.Asked(); got[len(got)-1].(*ringdv1.VerifyRequest).GetPartition() != 7 {
		t.Errorf("it asked %v", got)
	}
}

func TestVerifyDiffers(t *testing.T) {
	s := start(t)
	object := func(owner int, values, tombstones uint32, counters ...uint64) *ringdv1.Difference_Copy {
		c := &ringdv1.Difference_Copy{MemberId: memberID(owner), State: ringdv1.Difference_Copy_OBJECT, Values: values, Tombstones: tombstones}
		for i, n := range counters {
			c.Context = append(c.Context, &ringdv1.Difference_Dot{Actor: 0xabc + uint64(i), Counter: n})
		}
		return c
	}
	s.cluster.SetRepairs(fakecluster.Repairs{Verify: []*ringdv1.VerifyProgress{
		{PartitionsTotal: 8, PartitionsDone: 1, KeysCompared: 5, KeysDiffer: 1, Differences: []*ringdv1.Difference{{
			Key: key("alice"), Partition: 3, Copies: []*ringdv1.Difference_Copy{
				object(0, 2, 1, 7, 12), {MemberId: memberID(1), State: ringdv1.Difference_Copy_NOTHING}, object(2, 1, 0, 7),
			},
		}}},
		{PartitionsTotal: 8, PartitionsDone: 8, KeysCompared: 40, KeysDiffer: 2, Differences: []*ringdv1.Difference{{
			Key: key("\xff\x00"), Partition: 4, Copies: []*ringdv1.Difference_Copy{
				{MemberId: memberID(1), State: ringdv1.Difference_Copy_CORRUPT}, object(2, 0, 1, 9), object(0, 0, 0, 9),
			},
		}}},
	}})
	s.fails(exit.Failed, "the owners of 2 keys don't agree on them", "verify")
	if _, out, _ := s.run("verify"); out != "2 of 40 keys differ\n" {
		t.Errorf("without --list it printed %q", out)
	}
	code, out, _ := s.run("verify", "--list")
	if code != exit.Failed {
		t.Errorf("exit code %d", code)
	}
	golden(t, "verify-list.txt", out)
	code, out, _ = s.run("verify", "--list", "-o", "json")
	doc := parse(t, out)
	delete(doc, "seconds")
	if code != exit.Failed || doc["differ"] != 2.0 {
		t.Errorf("exit code %d, %v", code, doc)
	}
	second := doc["differences"].([]any)[1].(map[string]any)
	first := second["copies"].([]any)[0].(map[string]any)
	if second["key_b64"] != "/wA=" || second["bucket"] != "b" || second["partition"] != 4.0 || first["member"] != "node1" || first["state"] != "corrupt" {
		t.Errorf("as JSON:\n%s", out)
	}
}

// TestVerifyIncomplete: what was not compared is never called equal.
func TestVerifyIncomplete(t *testing.T) {
	s := start(t)
	p := &ringdv1.VerifyProgress{PartitionsTotal: 8, PartitionsDone: 8, KeysCompared: 40}
	for i := range 12 {
		p.Unreachable = append(p.Unreachable, fmt.Sprintf("partition %d: member node2 does not answer", i))
	}
	s.cluster.SetRepairs(fakecluster.Repairs{Verify: []*ringdv1.VerifyProgress{p}})
	s.fails(exit.Failed, "no key is known to differ, but 12 partitions could not be compared", "verify")
	_, out, errOut := s.run("verify")
	if !strings.Contains(errOut, "not compared: partition 9: member node2") || strings.Contains(errOut, "partition 10:") || !strings.Contains(errOut, "and 2 more") {
		t.Errorf("it printed\n%s%s", out, errOut)
	}
	_, out, _ = s.run("verify", "-o", "json")
	if doc := parse(t, out); doc["unreachable_count"] != 12.0 || len(doc["unreachable"].([]any)) != 12 {
		t.Errorf("as JSON:\n%s", out)
	}
}

func TestVerifyShowsABar(t *testing.T) {
	s := start(t)
	held := make(chan struct{})
	s.cluster.SetRepairs(fakecluster.Repairs{
		Verify: []*ringdv1.VerifyProgress{{PartitionsTotal: 8, PartitionsDone: 2, KeysCompared: 40}}, Hold: held,
	})
	s.errTerminal = true
	shown := newSignal("compared 40 keys of 2 of 8 partitions, 0 differ")
	s.errOut = shown
	go func() {
		<-shown.seen
		close(held)
	}()
	s.ok("verify")
}

// TestStatusOfAll: a disk that is full, and what another member warns of, is seen
// whichever member was asked.
func TestStatusOfAll(t *testing.T) {
	s := start(t)
	s.cluster.SetRepairs(fakecluster.Repairs{
		Disk:     &ringdv1.Disk{FreeBytes: 3e8, ReserveBytes: 1e9, State: "full", VnodesFailed: 2},
		Warnings: []string{"the disk of member node2 is full"},
	})
	out := s.ok("status")
	for _, has := range []string{"full: 300.0 MB", "5.0 GB", "warning: the cluster is only a test", "warning: node2 says: the disk of member node2 is full"} {
		if !strings.Contains(out, has) {
			t.Errorf("no %q in\n%s", has, out)
		}
	}
	if strings.Count(out, "only a test") != 1 {
		t.Errorf("what all warn of is not said once in\n%s", out)
	}
	if out := s.ok("status", "-o", "json"); !strings.Contains(out, `"vnodes_failed": 2`) {
		t.Errorf("as JSON:\n%s", out)
	}
	s.cluster.Stop(1)
	if out := s.ok("status"); !strings.Contains(out, "warning: member node1 could not be asked from here: ") || !strings.Contains(out, "?") {
		t.Errorf("with a member that does not answer:\n%s", out)
	}
}
