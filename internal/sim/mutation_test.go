package sim_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ringd/ringd/internal/plants"
)

// TestRunsFindPlants runs this package's tests on source with a bug planted into it,
// for each of those that they are said to find: a check that never failed proves
// nothing.
func TestRunsFindPlants(t *testing.T) {
	if os.Getenv("RINGD_PLANTED") != "" {
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
			t.Parallel()
			overlay, err := p.Overlay(root, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("go", "test", "-overlay", overlay, "-run", "^"+p.Simulated.Test+"$", "-sim.runs", "1000", ".")
			cmd.Env = append(os.Environ(), "RINGD_PLANTED="+p.Name)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("a thousand runs did not find that %s", p.Mistake)
			}
			if !slices.ContainsFunc(p.Simulated.Violations, func(v string) bool { return strings.Contains(string(out), v) }) {
				t.Fatalf("the runs fail, but not with any of %q:\n%s", p.Simulated.Violations, out)
			}
			t.Logf("%s", out)
		})
	}
}
