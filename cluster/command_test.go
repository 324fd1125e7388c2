package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
)

func someMember(n byte) Member {
	return Member{
		ID: memberID(n), Name: fmt.Sprint("m", n), GRPC: fmt.Sprintf("h%d:1", n), HTTP: fmt.Sprintf("h%d:2", n),
		Weight: 1, Role: RoleStorage, JoinedAt: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC),
	}
}

func firstState(t testing.TB) *State {
	t.Helper()
	s, err := newState("c0ffee00-0000-4000-8000-000000000001", bytes.Repeat([]byte{7}, secretBytes), 42, 8, 3, someMember(1))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustApply(t testing.TB, s *State, cs ...Command) *State {
	t.Helper()
	for _, c := range cs {
		next, err := s.Apply(c)
		if err != nil {
			t.Fatal(err)
		}
		s = next
	}
	return s
}

func add(n byte) Command { return Command{AddMember: &AddMember{Member: someMember(n)}} }

func start(n byte, before uint64, nonce string) Command {
	m := someMember(n)
	return Command{StartMember: &StartMember{ID: m.ID, Before: before, Nonce: nonce, GRPC: m.GRPC, Gossip: "g:1", HTTP: m.HTTP, Weight: m.Weight}}
}

func commit(t testing.TB, s *State) Command {
	t.Helper()
	planned, err := s.Planned()
	if err != nil {
		t.Fatal(err)
	}
	p, err := ring.Plan(planned.Ring, planned.Candidates())
	if err != nil {
		t.Fatal(err)
	}
	c := s.CommitOf(p, false)
	return Command{CommitPlan: &c}
}

func bucketType(name string, n int) *replica.BucketType {
	t := replica.NewBucketType(name, n)
	return &t
}

func TestApplyRefuses(t *testing.T) {
	fewer, later := replica.NewBucketTypeEverywhere("c", 2), replica.NewBucketTypeEverywhere("b", 2)
	s := mustApply(t, firstState(t), add(2), add(3), start(2, 0, "x"), Command{CreateBucketType: bucketType("b", 2)})
	planned := commit(t, s)
	owned := mustApply(t, s, planned, add(4))
	removed := s.clone()
	delete(removed.Members, memberID(3))
	removed.Removed = map[ring.MemberID]bool{memberID(3): true}
	taken, renamed, heavy := someMember(9), someMember(2), someMember(9)
	taken.Name, renamed.Name, heavy.Weight = "m2", "m5", 0
	stranger := *planned.CommitPlan
	stranger.Slots = append([][]ring.MemberID{{memberID(1), memberID(2), memberID(8)}}, stranger.Slots[1:]...)
	negative, endless := bucketType("b", 2), bucketType("c", 2)
	negative.DefaultTTL, endless.DefaultTTL = -1, replica.TTLMax+1
	badSettings := DefaultSettings()
	badSettings.SloppyAfter = 0
	for name, c := range map[string]struct {
		s    *State
		c    Command
		kind replica.Kind
		want string
	}{
		"begun":            {s, Command{Bootstrap: s}, replica.KindPrecondition, "begun already"},
		"not begun":        {nil, add(2), replica.KindUnavailable, "not begun"},
		"bad beginning":    {nil, Command{Bootstrap: &State{}}, replica.KindInvalid, ""},
		"nothing":          {s, Command{}, replica.KindInternal, ""},
		"name taken":       {s, Command{AddMember: &AddMember{taken}}, replica.KindPrecondition, "another name"},
		"renamed":          {s, Command{AddMember: &AddMember{renamed}}, replica.KindPrecondition, "keeps its name"},
		"weight":           {s, Command{AddMember: &AddMember{heavy}}, replica.KindInvalid, "weight"},
		"removed":          {removed, add(3), replica.KindPrecondition, "removed"},
		"removed starts":   {removed, start(3, 0, "y"), replica.KindPrecondition, "removed"},
		"unknown starts":   {s, start(9, 0, "y"), replica.KindNotFound, "not in this cluster"},
		"older":            {s, start(2, 0, "y"), replica.KindPrecondition, "older than this member's last start"},
		"newer":            {s, start(2, 2, "y"), replica.KindPrecondition, ""},
		"no nonce":         {s, start(2, 1, ""), replica.KindInvalid, "nonce"},
		"few members":      {mustApply(t, firstState(t), add(2)), planned, replica.KindInvalid, "no storage member"},
		"old plan":         {owned, planned, replica.KindAborted, "plan again"},
		"stranger owns":    {s, Command{CommitPlan: &stranger}, replica.KindInvalid, "no storage member"},
		"no slots":         {s, Command{CommitPlan: &CommitPlan{}}, replica.KindInvalid, ""},
		"type exists":      {s, Command{CreateBucketType: bucketType("b", 2)}, replica.KindPrecondition, "exists"},
		"n above replicas": {s, Command{CreateBucketType: bucketType("c", 4)}, replica.KindInvalid, "n is 4"},
		"n=all of fewer":   {able(s), Command{CreateBucketType: &fewer}, replica.KindInvalid, "n is all"},
		"n=all too early":  {s, Command{CreateBucketType: &fewer}, replica.KindPrecondition, "m1 (wire version 2)"},
		"n=all later":      {s, Command{UpdateBucketType: &later}, replica.KindInvalid, "fixed"},
		"no such type":     {s, Command{UpdateBucketType: bucketType("c", 2)}, replica.KindNotFound, "no bucket type"},
		"n is fixed":       {s, Command{UpdateBucketType: bucketType("b", 3)}, replica.KindInvalid, "fixed"},
		"negative ttl":     {s, Command{UpdateBucketType: negative}, replica.KindInvalid, "default_ttl"},
		"endless ttl":      {s, Command{CreateBucketType: endless}, replica.KindInvalid, "default_ttl"},
		"settings":         {s, Command{UpdateSettings: &badSettings}, replica.KindInvalid, "sloppy_after"},
	} {
		next, err := c.s.Apply(c.c)
		if err == nil || replica.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %v that says %q", name, err, c.kind, c.want)
		}
		if next != c.s {
			t.Errorf("%s: a refused command changed the state", name)
		}
	}
	again := *planned.CommitPlan
	again.Epoch, again.Revision = owned.Ring.Epoch(), owned.Revision
	again.Slots = append([][]ring.MemberID{{memberID(4), memberID(1), memberID(2)}}, again.Slots[1:]...)
	if _, err := owned.Apply(Command{CommitPlan: &again}); replica.KindOf(err) != replica.KindPrecondition {
		t.Errorf("slots that are given again: %v", err)
	}
}

func TestApplyRepeats(t *testing.T) {
	s := mustApply(t, firstState(t), add(2), add(3), start(2, 0, "x"))
	twice := mustApply(t, s, start(2, 0, "x"), add(2))
	if got := twice.Members[memberID(2)]; got != s.Members[memberID(2)] || got.Starts != 1 || got.Gossip != "g:1" {
		t.Errorf("after repeats the member is %+v", got)
	}
	moved := start(2, 1, "y")
	moved.StartMember.GRPC, moved.StartMember.Zone, moved.StartMember.Weight = "new:1", "east", 2
	if got := mustApply(t, s, moved).Members[memberID(2)]; got.GRPC != "new:1" || got.Zone != "east" || got.Weight != 2 || got.Starts != 2 {
		t.Errorf("what it said at its start was not taken over: %+v", got)
	}
	owned := mustApply(t, s, commit(t, s))
	same := Command{CommitPlan: &CommitPlan{Epoch: owned.Ring.Epoch(), Revision: owned.Revision}}
	for p := range owned.Ring.Partitions() {
		same.CommitPlan.Slots = append(same.CommitPlan.Slots, owned.Ring.Owners(ring.PartitionID(p)))
	}
	if again := mustApply(t, owned, same); again.Ring != owned.Ring {
		t.Errorf("a commit that changes nothing made epoch %v", again.Ring.Epoch())
	}
	claims := add(5)
	claims.AddMember.Member.Starts = 9
	if got := mustApply(t, s, claims).Members[memberID(5)].Starts; got != 0 {
		t.Errorf("a new member claimed %d starts", got)
	}
}

// TestApplyProperties: whoever applies the same commands, from the start or from
// a saved state, comes to the same bytes; and no state changes once it is made.
func TestApplyProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		one := firstState(t)
		two := firstState(t)
		for i := range rapid.IntRange(1, 30).Draw(rt, "commands") {
			n := byte(rapid.IntRange(1, 6).Draw(rt, "member"))
			c := []Command{
				add(n), start(n, rapid.Uint64Range(0, 3).Draw(rt, "before"), rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "nonce")),
				{CreateBucketType: bucketType(fmt.Sprint("t", n), int(n))},
				{UpdateBucketType: bucketType(fmt.Sprint("t", n), 2)},
				{UpdateSettings: &Settings{SiblingsMax: int(n)}},
			}[rapid.IntRange(0, 4).Draw(rt, "command")]
			if len(one.Members) >= 3 && i%5 == 0 && !one.Ring.HasOwners() {
				c = commit(t, one)
			}
			raw, err := c.Encode()
			if err != nil {
				rt.Fatal(err)
			}
			decoded, err := DecodeCommand(raw)
			if err != nil {
				rt.Fatal(err)
			}
			before := encoded(t, one)
			next, err := one.Apply(c)
			if !bytes.Equal(before, encoded(t, one)) {
				rt.Fatalf("%s changed the state that it was applied to", raw)
			}
			if err := next.check(); err != nil {
				rt.Fatalf("after %s: %v", raw, err)
			}
			if (err == nil) != (next.Version == one.Version+1) {
				rt.Fatalf("%s: version %d to %d, error %v", raw, one.Version, next.Version, err)
			}
			saved, decodeErr := DecodeState(encoded(t, two))
			if decodeErr != nil {
				rt.Fatal(decodeErr)
			}
			other, otherErr := saved.Apply(decoded)
			if fmt.Sprint(err) != fmt.Sprint(otherErr) || !bytes.Equal(encoded(t, next), encoded(t, other)) {
				rt.Fatalf("%s: %v and %v, or states that differ", raw, err, otherErr)
			}
			one, two = next, other
		}
	})
}

func encoded(t testing.TB, s *State) []byte {
	t.Helper()
	b, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestGolden pins the bytes of format 3 of the state, and of format 1 of commands.
// A change of them needs a new format, and a reader of this one. Those of earlier
// releases are read.
func TestGolden(t *testing.T) {
	s := mustApply(t, firstState(t), add(2), add(3), start(1, 0, "nonce"))
	planned := commit(t, s)
	for p := range planned.CommitPlan.Slots { // not the planner's choice
		planned.CommitPlan.Slots[p] = []ring.MemberID{memberID(1), memberID(2), memberID(3)}
	}
	settings := DefaultSettings()
	expiring := bucketType("b", 2)
	expiring.DefaultTTL = time.Hour
	full := mustApply(t, s, planned)
	full.Removed = map[ring.MemberID]bool{memberID(8): true}
	full.Revision = 0 // as one that an earlier release made
	elastic := DefaultSettings()
	elastic.Elastic = true
	everywhere := replica.NewBucketTypeEverywhere("c", 3)
	zone := "east"
	moving := movingState(t)
	for id, m := range moving.Members { // as of the release that began with moves
		m.Capabilities = Capabilities(CapabilityMoves)
		moving.Members[id] = m
	}
	moving.Removed, moving.Left = map[ring.MemberID]bool{memberID(8): true}, map[ring.MemberID]bool{memberID(8): true}
	for name, v := range map[string]interface{ Encode() ([]byte, error) }{
		"state":              full,
		"state-moving":       moving,
		"stage":              Command{Stage: &Stage{map[ring.MemberID]Change{memberID(2): {Join: true, Weight: 2, Zone: &zone}, memberID(3): {Leave: true}, memberID(4): {Remove: true}}}},
		"unstage":            Command{Unstage: &Unstage{}},
		"commit-moves":       movesOf(moving, true, PlannedMove{Partition: 1, Slot: 2, From: memberID(3), To: memberID(4)}),
		"finish-moves":       Command{FinishMoves: &FinishMoves{[]uint64{1, 7}}},
		"cancel-moves":       Command{CancelMoves: &CancelMoves{}},
		"remove-member":      Command{RemoveMember: &RemoveMember{ID: memberID(5)}},
		"elastic":            Command{UpdateSettings: &elastic},
		"state-first":        firstState(t),
		"bootstrap":          Command{Bootstrap: firstState(t)},
		"add-member":         add(2),
		"start-member":       start(2, 1, "nonce"),
		"commit-plan":        planned,
		"create-bucket-type": Command{CreateBucketType: bucketType("b", 2)},
		"update-bucket-type": Command{UpdateBucketType: bucketType("b", 2)},
		"n-all":              Command{CreateBucketType: &everywhere},
		"default-ttl":        Command{UpdateBucketType: expiring},
		"update-settings":    Command{UpdateSettings: &settings},
	} {
		got, err := v.Encode()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name+".v3.json")
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, bytes.TrimSpace(want)) {
			t.Errorf("%s: got\n%s", path, got)
		}
		sources := [][]byte{want}
		for _, earlier := range []string{"v1", "v2"} {
			old, err := os.ReadFile(filepath.Join("testdata", name+"."+earlier+".json"))
			if err != nil && !(newInV3[name] && errors.Is(err, fs.ErrNotExist)) {
				t.Fatal(err)
			}
			if err == nil {
				sources = append(sources, old)
			}
		}
		for _, src := range sources {
			var again interface{ Encode() ([]byte, error) }
			if _, is := v.(Command); is {
				again, err = DecodeCommand(src)
			} else {
				again, err = DecodeState(src)
			}
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			if b, err := again.Encode(); err != nil || !bytes.Equal(b, bytes.TrimSpace(want)) {
				t.Errorf("%s: read and written again: %s, %v", path, b, err)
			}
		}
	}
}

// newInV3 are the golden files that no earlier release could write.
var newInV3 = map[string]bool{
	"state-moving": true, "stage": true, "unstage": true, "commit-moves": true, "finish-moves": true,
	"cancel-moves": true, "remove-member": true, "elastic": true, "n-all": true,
}

func TestDecodeRefuses(t *testing.T) {
	good := encoded(t, firstState(t))
	for name, change := range map[string]func(map[string]any){
		"format":       func(m map[string]any) { m["format"] = 4 },
		"unknown":      func(m map[string]any) { m["later"] = true },
		"no ring":      func(m map[string]any) { delete(m, "ring") },
		"no cluster":   func(m map[string]any) { m["cluster_id"] = "" },
		"short secret": func(m map[string]any) { m["secret"] = "AAAA" },
		"no default":   func(m map[string]any) { m["bucket_types"] = map[string]any{} },
		"no settings":  func(m map[string]any) { delete(m, "settings") },
		"wrong id": func(m map[string]any) {
			members := m["members"].(map[string]any)
			members[memberID(7).String()] = members[memberID(1).String()]
		},
	} {
		var m map[string]any
		if err := json.Unmarshal(good, &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeState(b); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
	for _, c := range []string{"", "null1", `{"format":2}`, `{"format":1,"later":{}}`} {
		if _, err := DecodeCommand([]byte(c)); err == nil {
			t.Errorf("command %q was taken", c)
		}
	}
}
