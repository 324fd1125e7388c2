package imports

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The root of the module, from this package's folder, in which its tests run.
const moduleRoot = "../.."

func TestModuleKeepsToTable(t *testing.T) {
	problems, err := checkTree(moduleRoot, table)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
}

// A name in the table that no row knows is a slip of the pen: it allows nothing.
func TestTableNamesItsOwnFolders(t *testing.T) {
	seen := make(map[string]bool)
	for _, r := range table {
		if seen[r.folder] {
			t.Errorf("two rows for %s", r.folder)
		}
		seen[r.folder] = true
		if r.why == "" {
			t.Errorf("row %s has no reason", r.folder)
		}
		for _, w := range r.within {
			if _, ok := rowOf(strings.TrimSuffix(w, "/..."), table); w != all && !ok {
				t.Errorf("row %s allows %s, which is in no row", r.folder, w)
			}
		}
	}
}

var want = regexp.MustCompile(`// want "([^"]*)"`)

// The tree in testdata breaks the real table in every way that the test looks
// for; a comment "want" on the line says what the problem's text contains.
func TestCheckerFindsWhatIsPlanted(t *testing.T) {
	const root = "testdata/tree"
	problems, err := checkTree(root, table)
	if err != nil {
		t.Fatal(err)
	}
	planted := 0
	err = filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".go" {
			return err
		}
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		lines := bufio.NewScanner(file)
		for n := 1; lines.Scan(); n++ {
			m := want.FindStringSubmatch(lines.Text())
			if m == nil {
				continue
			}
			planted++
			at := fmt.Sprintf("%s:%d: ", filepath.ToSlash(rel), n)
			i := slices.IndexFunc(problems, func(p problem) bool {
				return strings.HasPrefix(p.String(), at) && strings.Contains(p.text, m[1])
			})
			if i < 0 {
				t.Errorf("%snot found: %s", at, m[1])
				continue
			}
			problems = slices.Delete(problems, i, i+1)
		}
		return lines.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("not planted: %s", p)
	}
	if planted == 0 {
		t.Error("nothing is planted in the tree")
	}
}
