package sim_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ringd/ringd/internal/plants"
)

// planted says that this is a run of source with a bug, which is not to look for bugs
// in turn.
var planted = os.Getenv("RINGD_PLANTED") != ""

var allPlants = flag.Bool("sim.plants", false, "look for every planted bug that runs find, also after minutes only")

// plantedRuns bounds the runs that have to find a bug.
const plantedRuns = "1000"

// TestRunsFindPlants has TestRuns run on source with a bug planted into it, for each of
// those that it is said to find: a check that never failed proves nothing.
func TestRunsFindPlants(t *testing.T) {
	if planted {
		t.Skip("this is a run with a plant")
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range plants.All() {
		if p.Simulated == nil {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			if !*allPlants && !p.Simulated.Soon {
				t.Skip("takes minutes: -sim.plants looks for it")
			}
			t.Parallel()
			overlay, err := p.Overlay(root, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("go", "test", "-overlay", overlay, "-timeout", "30m", "-run", "^TestRuns$", "-sim.runs", plantedRuns, ".")
			cmd.Env = append(os.Environ(), "RINGD_PLANTED="+p.Name)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("%s runs did not find that %s", plantedRuns, p.Mistake)
			}
			if !slices.ContainsFunc(p.Simulated.Violations, func(v string) bool { return strings.Contains(string(out), v) }) {
				t.Fatalf("the runs fail, but not with any of %q:\n%s", p.Simulated.Violations, out)
			}
			t.Logf("%s", out)
		})
	}
}
