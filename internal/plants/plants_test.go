package plants_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ringd/ringd/internal/plants"
)

const (
	moduleRoot = "../.."
	module     = "github.com/ringd/ringd/"
)

var wellNamed = regexp.MustCompile(`^[a-z]+(-[a-z]+)+$`)

func TestPlantsAreDescribed(t *testing.T) {
	seen := make(map[string]bool)
	for _, p := range plants.All() {
		switch {
		case !wellNamed.MatchString(p.Name) || seen[p.Name]:
			t.Errorf("plant %q: the name is that of another, or no words joined by hyphens", p.Name)
		case p.Mistake == "" || len(p.Edits) == 0:
			t.Errorf("plant %s: no mistake", p.Name)
		case p.Simulated != nil && len(p.Simulated.Violations) == 0:
			t.Errorf("plant %s: the simulation is said to find it, and not how", p.Name)
		}
		seen[p.Name] = true
	}
	if _, err := plants.Named("none-such"); err == nil || !strings.Contains(err.Error(), "ack-before-fsync") {
		t.Errorf("an unknown name: %v, want an error that lists the plants", err)
	}
}

// TestPlantsCompile type-checks each plant's packages, as they are now with the edits
// laid over them: a plant that the source has outgrown fails here.
func TestPlantsCompile(t *testing.T) {
	folders := make(map[string]bool)
	for _, p := range plants.All() {
		for _, file := range p.Files() {
			folders[path.Dir(file)] = true
		}
	}
	built := list(t, folders)
	for _, p := range plants.All() {
		t.Run(p.Name, func(t *testing.T) {
			dir := t.TempDir()
			root, err := filepath.Abs(moduleRoot)
			if err != nil {
				t.Fatal(err)
			}
			overlay, err := p.Overlay(root, dir)
			if err != nil {
				t.Fatal(err)
			}
			replaced := overlaid(t, overlay)
			if len(replaced) != len(p.Files()) {
				t.Fatalf("the overlay replaces %d files, want %v", len(replaced), p.Files())
			}
			checked := make(map[string]bool)
			for _, file := range p.Files() {
				if folder := path.Dir(file); !checked[folder] {
					checked[folder] = true
					if err := built.check(module+folder, replaced); err != nil {
						t.Errorf("%v\nchange the plant with the source", err)
					}
				}
			}
		})
	}
}

// TestStalePlantIsRefused shows that a source from which the edited text is gone, or
// in which it is twice, is refused; and one that does not compile is found.
func TestStalePlantIsRefused(t *testing.T) {
	p := plants.Plant{Name: "stale", Edits: []plants.Edit{{File: "a.go", Old: "x", New: "y"}}}
	for source, ok := range map[string]bool{"a x b": true, "a b": false, "x x": false} {
		if _, err := p.Apply("a.go", source); (err == nil) != ok {
			t.Errorf("source %q: %v", source, err)
		}
	}
	built := list(t, map[string]bool{"causal": true})
	dir := t.TempDir()
	root, err := filepath.Abs(moduleRoot)
	if err != nil {
		t.Fatal(err)
	}
	p = plants.Plant{Name: "broken", Edits: []plants.Edit{{
		File: "causal/object.go", Old: "placed := false", New: "placed, unused := false, 1",
	}}}
	overlay, err := p.Overlay(root, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := built.check(module+"causal", overlaid(t, overlay)); err == nil || !strings.Contains(err.Error(), "declared and not used: unused") {
		t.Errorf("a plant that does not compile: %v", err)
	}
}

// listed is what the go command says of packages and all that they import.
type listed struct {
	packages map[string]goPackage
	fset     *token.FileSet
	importer types.Importer
}

type goPackage struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
}

func list(t *testing.T, folders map[string]bool) *listed {
	t.Helper()
	args := []string{"list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles"}
	for folder := range folders {
		args = append(args, "./"+folder)
	}
	slices.Sort(args[4:])
	cmd := exec.Command("go", args...)
	cmd.Dir = moduleRoot
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	l := &listed{packages: make(map[string]goPackage), fset: token.NewFileSet()}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		l.packages[p.ImportPath] = p
	}
	l.importer = importer.ForCompiler(l.fset, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(l.packages[path].Export)
	})
	return l
}

// check type-checks a package whose files are replaced as the overlay says.
func (l *listed) check(importPath string, replaced map[string]string) error {
	var files []*ast.File
	for _, name := range l.packages[importPath].GoFiles {
		name = filepath.Join(l.packages[importPath].Dir, name)
		read := name
		if by, ok := replaced[name]; ok {
			read = by
		}
		src, err := os.ReadFile(read)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(l.fset, name, src, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	config := types.Config{Importer: l.importer}
	_, err := config.Check(importPath, l.fset, files, nil)
	return err
}

// overlaid is what an overlay file replaces, by what.
func overlaid(t *testing.T, file string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var overlay struct{ Replace map[string]string }
	if err := json.Unmarshal(raw, &overlay); err != nil {
		t.Fatal(err)
	}
	return overlay.Replace
}
