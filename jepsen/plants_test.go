package main

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ringd/ringd/internal/plants"
	"github.com/ringd/ringd/jepsen/internal/nemesis"
	"github.com/ringd/ringd/jepsen/internal/workload"
)

// TestEveryPlantIsLookedForSomewhere holds hunts against what there is.
func TestEveryPlantIsLookedForSomewhere(t *testing.T) {
	var planted, looked []string
	for _, p := range plants.All() {
		planted = append(planted, p.Name)
	}
	for _, h := range hunts {
		looked = append(looked, h.plant)
		if h.lacks != "" {
			if h.workload != "" || h.nemesis != "" {
				t.Errorf("plant %s has a place to be looked for in, and lacks one", h.plant)
			}
			continue
		}
		if !slices.ContainsFunc(workload.All(), func(w workload.Workload) bool { return w.Name() == h.workload }) {
			t.Errorf("plant %s: there is no workload %q", h.plant, h.workload)
		}
		if _, err := nemesis.Parse(h.nemesis); err != nil {
			t.Errorf("plant %s: %v", h.plant, err)
		}
	}
	if !slices.Equal(planted, looked) {
		t.Errorf("hunts are of\n%v\nthe plants are\n%v", looked, planted)
	}
}

func TestTableOfPlants(t *testing.T) {
	all := []hunted{
		{plant: plants.Plant{Name: "first-bug"}, asked: true, simulation: "seed 1: lost", where: "set, kill", runs: 3, verdict: "pass"},
		{plant: plants.Plant{Name: "second-bug"}, where: "set, partition-halves", runs: 2, found: true, verdict: "fail: 2 anomalies"},
		{plant: plants.Plant{Name: "third-bug"}, where: "needs a workload that deletes"},
	}
	var out bytes.Buffer
	if err := tell(&out, all); err != nil {
		t.Errorf("all were found, and it ends with %v", err)
	}
	for _, want := range []string{"no, in 3 runs", "simulation: seed 1: lost", "in run 2", "fail: 2 anomalies", "needs a workload that deletes"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table does not say %q:\n%s", want, &out)
		}
	}
	all[1].found = false
	var exit *exitError
	if err := tell(&out, all); !errors.As(err, &exit) || exit.code != exitFail {
		t.Errorf("one was not found, and it ends with %v", err)
	}
}
