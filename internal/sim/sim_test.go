package sim_test

import (
	"bytes"
	"flag"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ringd/ringd/internal/sim"
)

var (
	runs = flag.Int("sim.runs", 100, "number of simulated runs")
	seed = flag.Uint64("sim.seed", 1, "seed of the first run; each run's is one more")
)

// regressions are seeds that found something once.
var regressions = []uint64{}

// TestRuns checks many runs with loss, delay, duplication, pauses and crashes.
func TestRuns(t *testing.T) {
	reached := make(map[string]int)
	seeds := slices.Clone(regressions)
	for i := range uint64(*runs) {
		seeds = append(seeds, *seed+i)
	}
	for _, s := range seeds {
		report, err := sim.Run(sim.DefaultConfig(s))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range report.Violations {
			t.Errorf("seed %d: %s", s, v)
		}
		for state, n := range report.Reached {
			reached[state] += n
		}
		if t.Failed() {
			break
		}
	}
	for _, state := range slices.Sorted(maps.Keys(reached)) {
		t.Logf("reached %8d times: %s", reached[state], state)
	}
	if t.Failed() {
		return
	}
	for _, state := range []string{
		"clean stop", "context refused", "crash with unsynced batches", "hedged read", "message doubled",
		"message lost", "message lost with its sender", "blackout", "new actor", "pause", "hint stored", "hints delivered", "coordinated by a fallback",
		"exchange that sent objects", "exchange that failed", "deletion forgotten", "read repair", "retry", "siblings read",
	} {
		if reached[state] == 0 {
			t.Errorf("no run got into this state: %s", state)
		}
	}
}

// TestFreshRuns tries a few seeds that nobody tried before; one that fails is a case
// for TestRuns.
func TestFreshRuns(t *testing.T) {
	first := rand.Uint64()
	t.Logf("seeds from %d", first)
	for i := range uint64(20) {
		report, err := sim.Run(sim.DefaultConfig(first + i))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range report.Violations {
			t.Errorf("seed %d: %s", first+i, v)
		}
	}
}

// TestRunsWithAnEmptiedStore has one member lose all its data in the middle of all
// that.
func TestRunsWithAnEmptiedStore(t *testing.T) {
	emptied := 0
	for i := range uint64(*runs) {
		config := sim.DefaultConfig(*seed + i)
		config.Emptied, config.Keys = true, 60 // most of them are not written again
		report, err := sim.Run(config)
		if err != nil {
			t.Fatal(err)
		}
		emptied += report.Reached["emptied store"]
		for _, v := range report.Violations {
			t.Errorf("seed %d: %s", config.Seed, v)
		}
		if t.Failed() {
			return
		}
	}
	if emptied == 0 {
		t.Error("no store was emptied")
	}
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
			t.Fatalf("seed %d: two histories, of %d and %d bytes", *seed+i, len(first.History), len(again.History))
		}
		if n := bytes.Count(first.History, []byte("attempt 1")); n < 500 {
			t.Fatalf("seed %d: %d operations, want 500", *seed+i, n)
		}
	}
}
