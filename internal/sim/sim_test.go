package sim_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringd/ringd/internal/sim"
)

var (
	runs    = flag.Int("sim.runs", 40, "number of simulated runs, besides the seeds that found something once")
	seed    = flag.Uint64("sim.seed", 1, "seed of the first run; each run's is one more")
	fresh   = flag.Int("sim.fresh", 0, "number of runs with seeds that are others every time")
	workers = flag.Int("sim.workers", 1, "runs side by side")
	history = flag.String("sim.history", "", "file for the history of the first run that fails, or of the only one")
)

// regressions are seeds that found something once. What that was, the log tells.
var regressions = []uint64{}

// wanted are states that every thousand runs get into; those of the first list, a
// few runs do.
var (
	wantedSoon = []string{
		"clean stop", "context refused", "crash with unsynced batches", "deletion forgotten", "exchange that failed",
		"exchange that sent objects", "hedged read", "hint stored", "hints delivered", "message lost", "move cut short",
		"moves agreed on", "new actor", "proposal agreed on, and its answer lost", "read repair", "retry", "siblings read",
		"slot handed over", "stale ring refused", "strict read", "topology: join", "topology: leave",
	}
	wanted = []string{
		"coordinated by a fallback", "crash between two syncs", "crash of who hands a slot over", "crash of who is to get a slot",
		"crash of who rebuilds", "crash while fenced, before it was agreed", "crash while reaping was half done", "emptied store",
		"fenced, and the proposal lost", "hint for a slot that moved", "member that took its leave", "message reordered",
		"move cancelled under way", "move cancelled when fenced", "move that went on from its cursor", "newer ring fetched",
		"own vnode refused, another coordinates", "read that failed", "restored disk refused", "slot rebuilt", "slow sync",
		"start not agreed on in time", "sync that failed", "wiped disk",
	}
)

// outcome is what many runs came to.
type outcome struct {
	mu      sync.Mutex
	reached map[string]int // times
	in      map[string]int // runs
	runs    int
	empty   int // runs that tell nothing
	failed  bool
}

// TestRuns checks many runs: whatever a seed says goes wrong in them.
func TestRuns(t *testing.T) {
	seeds := slices.Clone(regressions)
	for i := range uint64(*runs) {
		seeds = append(seeds, *seed+i)
	}
	first := uint64(time.Now().UnixNano())
	if !planted && *fresh > 0 {
		t.Logf("fresh seeds from %d", first)
		for i := range uint64(*fresh) {
			seeds = append(seeds, first+i)
		}
	}
	out := outcome{reached: make(map[string]int), in: make(map[string]int)}
	next := make(chan uint64)
	var all sync.WaitGroup
	for range *workers {
		all.Go(func() {
			for s := range next {
				out.run(t, s)
			}
		})
	}
	for _, s := range seeds {
		if out.hasFailed() {
			break
		}
		next <- s
	}
	close(next)
	all.Wait()
	for _, state := range slices.Sorted(maps.Keys(out.reached)) {
		t.Logf("reached %8d times, in %6d of %d runs: %s", out.reached[state], out.in[state], out.runs, state)
	}
	t.Logf("%d of %d runs tell nothing: of too many operations the outcome is unknown", out.empty, out.runs)
	if t.Failed() {
		return
	}
	want := wantedSoon
	if out.runs >= 1000 {
		want = append(slices.Clone(want), wanted...)
	}
	if out.runs < 40 {
		want = nil
	}
	for _, state := range want {
		if out.reached[state] == 0 {
			t.Errorf("no run got into this state: %s", state)
		}
	}
}

func (o *outcome) hasFailed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failed
}

// run carries out one run and adds it to the others.
func (o *outcome) run(t *testing.T, s uint64) {
	report, err := sim.Run(sim.DefaultConfig(s))
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		t.Errorf("seed %d: %v", s, err)
		o.failed = true
		return
	}
	o.runs++
	for state, n := range report.Reached {
		o.reached[state] += n
		o.in[state]++
	}
	if report.TellsNothing() {
		o.empty++
		t.Logf("seed %d: of %d of %d operations the outcome is unknown: not a pass (faults: %q)", s, report.Unknown, report.Operations, report.Faults)
	}
	if o.failed {
		return
	}
	if only := *runs == 1 && *fresh == 0; *history != "" && (only || len(report.Violations) > 0) {
		if err := os.WriteFile(*history, report.History, 0o644); err != nil {
			t.Error(err)
		}
	}
	if len(report.Violations) == 0 {
		return
	}
	o.failed = true
	for _, v := range report.Violations {
		t.Errorf("seed %d: %s", s, v)
	}
	for _, k := range report.Keys[:min(1, len(report.Keys))] {
		t.Logf("the history of %s:\n%s", k, historyOf(report.History, k))
	}
	t.Logf("faults: %q\nreplay: go test ./internal/sim -run '^TestRuns$' -sim.runs 1 -sim.fresh 0 -sim.seed %d -sim.history /tmp/sim.history", report.Faults, s)
}

// historyLines bounds what is printed of a history: its end, which tells most.
const historyLines = 150

// historyOf is what a history has of one key, and of faults and members.
func historyOf(all []byte, key string) string {
	var lines []string
	for line := range strings.Lines(string(all)) {
		_, what, _ := strings.Cut(line, " ")
		who, _, _ := strings.Cut(what, " ")
		isClient := strings.HasPrefix(who, "c")
		if !isClient || strings.Contains(line, " "+key+" ") || strings.Contains(line, " "+key+":") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-historyLines):], "")
}

// TestSameSeedSameHistory runs some seeds twice.
func TestSameSeedSameHistory(t *testing.T) {
	for i := range uint64(5) {
		first, err := sim.Run(sim.DefaultConfig(*seed + i))
		if err != nil {
			t.Fatal(err)
		}
		again, err := sim.Run(sim.DefaultConfig(*seed + i))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first.History, again.History) {
			t.Fatalf("seed %d: two histories, of %d and %d bytes:\n%s", *seed+i, len(first.History), len(again.History), fork(first.History, again.History))
		}
		if first.Operations < 1000 || len(first.Faults) < 3 {
			t.Fatalf("seed %d: %d operations and %d kinds of fault, want 1000 and 3", *seed+i, first.Operations, len(first.Faults))
		}
		last := first.History[bytes.LastIndexByte(first.History[:len(first.History)-1], '\n')+1:]
		at, err := time.ParseDuration(string(last[:bytes.IndexByte(last, ' ')]))
		if err != nil || at < time.Minute {
			t.Fatalf("seed %d: the last event is at %v, want a minute at the least (%v)", *seed+i, at, err)
		}
	}
}

// fork is where two histories part.
func fork(a, b []byte) string {
	x, y := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	for i := range min(len(x), len(y)) {
		if !bytes.Equal(x[i], y[i]) {
			return fmt.Sprintf("line %d:\n%s\n%s", i, x[i], y[i])
		}
	}
	return "one ends before the other"
}
