package sim_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mutations take one protection out of the source each. The runs have to fail
// then, with the violation that it protects from: a check that never failed
// proves nothing.
var mutations = []struct {
	name, file, old, new string
	violations           []string // of which any tells
	short                bool     // found soon: run with -short, too
}{
	{
		name: "the sync before the acknowledgement",
		file: "vnode/coordinate.go",
		old:  "tx.AnswerNow(replica.Prepared{Object: encoded, Dot: dot})\n\ttx.AnswerCovered(r.key, replica.Committed{})\n}",
		new:  "tx.AnswerNow(replica.Prepared{Object: encoded, Dot: dot})\n\ttx.AnswerNow(replica.Committed{})\n}",
		// Acknowledged with w=1 by an owner that then lost it: the value, or that there
		// ever was one, is missing in the end.
		violations: []string{lost, forgotten},
	},
	{
		name:       "the new actor after a crash",
		file:       "vnode/actor.go",
		old:        "if rec.clean && t.x.config.Proven && rec.startCount+1 == t.x.config.StartCount {",
		new:        "if rec.actor != 0 {",
		violations: []string{"names two writes"},
		short:      true,
	},
	{
		name:       "the covering sync before a read is answered",
		file:       "vnode/kv.go",
		old:        "tx.AnswerCovered(r.key, answer)",
		new:        "tx.AnswerNow(answer)",
		violations: []string{lost, forgotten},
	},
	{
		name:       "the request id",
		file:       "vnode/coordinate.go",
		old:        "Time: clock, Request: w.Request,",
		new:        "Time: clock,",
		violations: []string{"a retry counts as a write of its own"},
		short:      true,
	},
	{
		name:       "contexts bound to their key",
		file:       "causal/context.go",
		old:        "if !hmac.Equal(k.appendMAC(nil, bucketType, bucket, key, body), tag) {",
		new:        "if len(tag) == 0 {",
		violations: []string{lost, stale},
		short:      true,
	},
	{
		name:       "the doubt about an owner that was replaced and has not answered",
		file:       "quorum/forward.go",
		old:        "maybe := f.maybe || f.fan.count(outstanding) > 0",
		new:        "maybe := f.maybe",
		violations: []string{"refused as certainly not applied"},
	},
	{
		name:       "the fence",
		file:       "vnode/standing.go",
		old:        "return ok && v.standing.fence == m.Number && m.From == x.config.Self",
		new:        "return ok && m.Number == 0",
		violations: []string{lost, stale, forgotten, undone},
	},
	{
		name:       "the fence's persistence",
		file:       "vnode/standing.go",
		old:        "v.standing.fence = m.Move\n\t\ttx.saveStanding(p, v)",
		new:        "v.standing.fence = m.Move",
		violations: []string{lost, stale, forgotten, undone},
	},
	{
		name:       "that who holds no data of a slot does not answer for it",
		file:       "vnode/standing.go",
		old:        "return arrival == 0 || (v.standing.arrival == arrival && v.standing.settled)",
		new:        "return arrival < 1<<62",
		violations: []string{lost, stale, forgotten, undone, unsettled},
	},
	{
		name:       "the refusal of older rings",
		file:       "vnode/executor.go",
		old:        "if env.Epoch.Compare(x.ring.OwnersChanged(env.Partition)) < 0 {",
		new:        "if false {",
		violations: []string{lost, stale, forgotten, undone},
	},
	{
		name:       "the wait of who rebuilds until others refuse older rings",
		file:       "vnode/standing.go",
		old:        "if m, ok := x.rebuilding(p); ok && !x.enough(p, v.heard, m.Sources) {",
		new:        "if _, ok := x.rebuilding(p); ok && false {",
		violations: []string{lost, stale, undone},
	},
	{
		name:       "that who lost data answers no reads",
		file:       "vnode/kv.go",
		old:        "return !v.incomplete\n",
		new:        "return true\n",
		violations: []string{lost, stale, undone},
	},
	{
		name:       "that seen goes with the data",
		file:       "vnode/standing.go",
		old:        "\tt.forgetSeen(p, v, false)\n}",
		new:        "}",
		violations: []string{lost, stale, forgotten, undone, differs},
	},
	{
		name:       "that hints stay until their owner has them",
		file:       "handoff/sender.go",
		old:        "\t\t\tif !ok {\n\t\t\t\ts.failed(wrong(m), fx)\n\t\t\t\treturn\n\t\t\t}",
		new:        "\t\t\t_ = ok",
		violations: []string{lost, stale, forgotten, undone, unsettled},
	},
	{
		name:       "that an error of the disk is not taken for not found",
		file:       "vnode/tx.go",
		old:        "return t.view.Get(key)\n}",
		new:        "value, err := t.view.Get(key)\n\tif err != nil {\n\t\terr = storage.ErrNotFound\n\t}\n\treturn value, err\n}",
		violations: []string{lost, stale, forgotten, undone, differs, "names two writes", "hash tree"},
	},
	{
		name:       "that seen covers what is forgotten",
		file:       "causal/receive.go",
		old:        "return !o.Live() && seen.Dominates(o.Context)",
		new:        "return !o.Live()",
		violations: []string{lost, stale, forgotten, undone, differs, unsettled},
	},
	{
		name:       "the other way of an exchange",
		file:       "handoff/exchange.go",
		old:        "\t\tif toB {",
		new:        "\t\tif false {",
		violations: []string{lost, stale, forgotten, undone, differs},
		short:      true,
	},
	{
		name:       "the comparison after the fence",
		file:       "handoff/move.go",
		old:        "func(answer replica.Message, _ *Effects) bool {\n\t\t\t_, ok := answer.(replica.FenceAnswer)\n\t\t\tm.stage = closing\n",
		new:        "func(answer replica.Message, fx *Effects) bool {\n\t\t\t_, ok := answer.(replica.FenceAnswer)\n\t\t\tm.settle(fx, x.sides[1].life)\n",
		violations: []string{lost, stale, forgotten, undone},
	},
}

// What violations say.
const (
	lost      = "which was acknowledged or read"
	forgotten = "lost some of what clients were told"
	stale     = "a strict read is stale"
	undone    = "is back, which an acknowledged write had replaced"
	differs   = "differs after repair"
	unsettled = "without faults: "
)

// mutatedRuns bounds the runs that have to find what was taken out.
const mutatedRuns = "1000"

// TestRunsFindWhatIsTakenOut runs TestRuns on source with one protection taken
// out, through the go command's overlay.
func TestRunsFindWhatIsTakenOut(t *testing.T) {
	if os.Getenv("RINGD_MUTATED") != "" {
		t.Skip("this is a mutated run")
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutations {
		t.Run(strings.ReplaceAll(m.name, " ", "-"), func(t *testing.T) {
			if !*takeOutAll && !m.short {
				t.Skip("takes minutes: -sim.mutations has it done")
			}
			t.Parallel()
			source := filepath.Join(root, m.file)
			raw, err := os.ReadFile(source)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Count(string(raw), m.old) != 1 {
				t.Fatalf("%s does not have once what is to be taken out:\n%s", m.file, m.old)
			}
			dir := t.TempDir()
			mutated := filepath.Join(dir, "mutated.go")
			if err := os.WriteFile(mutated, []byte(strings.Replace(string(raw), m.old, m.new, 1)), 0o644); err != nil {
				t.Fatal(err)
			}
			overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{source: mutated}})
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "overlay.json")
			if err := os.WriteFile(path, overlay, 0o644); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("go", "test", "-overlay", path, "-timeout", "30m", "-run", "^TestRuns$", "-sim.runs", mutatedRuns, ".")
			cmd.Env = append(os.Environ(), "RINGD_MUTATED=1")
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("without %s, %s runs found nothing", m.name, mutatedRuns)
			}
			if !slices.ContainsFunc(m.violations, func(v string) bool { return strings.Contains(string(out), v) }) {
				t.Fatalf("without %s, the runs fail, but not with any of %q:\n%s", m.name, m.violations, out)
			}
			t.Logf("%s", out)
		})
	}
}
