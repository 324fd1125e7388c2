package imports

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/ringd/ringd"

// A problem is one place that breaks the table.
type problem struct {
	file string // relative to the tree's root, with slashes
	line int
	text string // what is wrong, and the reason of the rule
}

func (p problem) String() string { return fmt.Sprintf("%s:%d: %s", p.file, p.line, p.text) }

// checkTree holds every Go file below root to the table, whatever its build
// tags. Left out are folders that go build does not look into either, and other modules.
func checkTree(root string, rows []row) ([]problem, error) {
	var problems []problem
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != root && skipFolder(name) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		found, err := checkFile(name, filepath.ToSlash(rel), rows)
		problems = append(problems, found...)
		return err
	})
	return problems, err
}

func skipFolder(name string) bool {
	base := filepath.Base(name)
	if base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_' {
		return true
	}
	_, err := os.Stat(filepath.Join(name, "go.mod"))
	return err == nil
}

// checkFile checks the file name, which is rel from the tree's root.
func checkFile(name, rel string, rows []row) ([]problem, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, nil, 0)
	if err != nil {
		return nil, err
	}
	var problems []problem
	report := func(at token.Pos, format string, args ...any) {
		problems = append(problems, problem{rel, fset.Position(at).Line, fmt.Sprintf(format, args...)})
	}

	folder := path.Dir(rel)
	r, ok := rowOf(folder, rows)
	if !ok {
		report(file.Package, "folder %q is in no row of internal/imports/table_test.go: add it, with what it may use and why", folder)
		return problems, nil
	}
	test := strings.HasSuffix(rel, "_test.go")
	for _, spec := range file.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		if why := r.refusal(folder, target, test); why != "" {
			report(spec.Pos(), "%s may not import %q: %s", folder, target, why)
		}
	}
	if r.pure && !test {
		checkPure(file, report)
	}
	if r.clock && !test {
		checkClock(file, report)
	}
	return problems, nil
}

// rowOf returns the row that counts for a folder: the longest that takes it in.
func rowOf(folder string, rows []row) (row, bool) {
	best := -1
	for i, r := range rows {
		if takesIn(r.folder, folder) && (best < 0 || len(r.folder) > len(rows[best].folder)) {
			best = i
		}
	}
	if best < 0 {
		return row{}, false
	}
	return rows[best], true
}

// takesIn reports whether pattern, a folder or "folder/...", takes in folder.
func takesIn(pattern, folder string) bool {
	parent, below := strings.CutSuffix(pattern, "/...")
	return pattern == all || folder == parent || below && strings.HasPrefix(folder, parent+"/")
}

// refusal returns why folder, whose row r is, may not import target; "" if it may.
func (r row) refusal(folder, target string, test bool) string {
	inside, within := strings.CutPrefix(target, module+"/")
	first, _, _ := strings.Cut(target, "/")
	switch {
	case target == "C":
		return "ringd is built with plain go, where there is no C compiler"
	case within:
		// A folder's external tests (package x_test) import the folder itself.
		if test && (inside == folder || slices.Contains(r.tests, inside) || !r.pure && slices.Contains(testWithin, inside)) {
			return ""
		}
		if slices.ContainsFunc(r.within, func(p string) bool { return takesIn(p, inside) }) {
			return ""
		}
		return r.why
	case strings.Contains(first, "."):
		allowed := r.outside
		if test {
			allowed = slices.Concat(allowed, testOutside, r.tests)
		}
		if slices.ContainsFunc(allowed, func(p string) bool { return takesIn(p+"/...", target) || p == all }) {
			return ""
		}
		return r.why
	case test:
		return ""
	}
	for _, b := range r.std {
		if b.covers(target) {
			return b.why
		}
	}
	return ""
}
