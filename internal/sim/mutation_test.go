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
}{
	{
		name: "the sync before the acknowledgement",
		file: "vnode/coordinate.go",
		old:  "tx.AnswerNow(replica.Prepared{Object: encoded, Dot: dot})\n\ttx.AnswerCovered(r.key, replica.Committed{})\n}",
		new:  "tx.AnswerNow(replica.Prepared{Object: encoded, Dot: dot})\n\ttx.AnswerNow(replica.Committed{})\n}",
		// Acknowledged with w=1 by an owner that then lost it: the value, or that there
		// ever was one, is missing in the end.
		violations: []string{"which was acknowledged or read", "lost some of what clients were told"},
	},
	{
		name:       "the new actor after a crash",
		file:       "vnode/actor.go",
		old:        "if rec.clean && t.x.config.Proven && rec.startCount+1 == t.x.config.StartCount {",
		new:        "if rec.actor != 0 {",
		violations: []string{"dot "},
	},
	{
		name:       "the covering sync before a read is answered",
		file:       "vnode/kv.go",
		old:        "tx.AnswerCovered(r.key, answer)",
		new:        "tx.AnswerNow(answer)",
		violations: []string{"lost some of what clients were told"},
	},
	{
		name:       "the request id",
		file:       "vnode/coordinate.go",
		old:        "Time: clock, Request: w.Request,",
		new:        "Time: clock,",
		violations: []string{"a retry counts as a write of its own"},
	},
	{
		name:       "contexts bound to their key",
		file:       "causal/context.go",
		old:        "if !hmac.Equal(k.appendMAC(nil, bucketType, bucket, key, body), tag) {",
		new:        "if len(tag) == 0 {",
		violations: []string{"which was acknowledged or read"},
	},
}

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
			cmd := exec.Command("go", "test", "-overlay", path, "-run", "^TestRuns$", "-sim.runs", "1000", ".")
			cmd.Env = append(os.Environ(), "RINGD_MUTATED=1")
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("without %s, a thousand runs found nothing", m.name)
			}
			if !slices.ContainsFunc(m.violations, func(v string) bool { return strings.Contains(string(out), v) }) {
				t.Fatalf("without %s, the runs fail, but not with any of %q:\n%s", m.name, m.violations, out)
			}
			t.Logf("%s", out)
		})
	}
}
