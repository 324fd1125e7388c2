package imports

import (
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"strconv"
)

// checkPure reports what no import table sees: goroutines, and uses of the
// clock, of global randomness and of standard input and output.
func checkPure(file *ast.File, report func(at token.Pos, format string, args ...any)) {
	names := importNames(file, report)
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			report(n.Pos(), "no go statement in a pure package: its driver owns the goroutines")
		case *ast.SelectStmt:
			report(n.Pos(), "no select in a pure package: which case it takes is chance; events come in one order, as arguments")
		case *ast.SelectorExpr:
			// An identifier that the parser resolved is a variable that hides the import.
			id, ok := n.X.(*ast.Ident)
			if !ok || id.Obj != nil {
				break
			}
			for _, u := range bannedUses {
				if u.pkg == names[id.Name] && u.refuses(n.Sel.Name) {
					report(n.Pos(), "no %s.%s in a pure package: %s", u.pkg, n.Sel.Name, u.why)
				}
			}
		}
		return true
	})
}

// checkClock reports readings of the time that a shifted clock would not be in.
func checkClock(file *ast.File, report func(at token.Pos, format string, args ...any)) {
	names := importNames(file, report)
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			id, ok := sel.X.(*ast.Ident)
			if ok && id.Obj == nil && names[id.Name] == "time" && sel.Sel.Name == "Now" {
				report(n.Pos(), "no time.Now in this folder: internal/clock is the one place where a member reads the time, so that tests can shift it")
			}
		}
		return true
	})
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// importNames maps the name by which the file knows an import to its path. It
// reports dot imports: they would hide uses from checkPure.
func importNames(file *ast.File, report func(at token.Pos, format string, args ...any)) map[string]string {
	names := make(map[string]string)
	for _, spec := range file.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has refused it before
		}
		name := path.Base(target)
		if majorVersion.MatchString(name) {
			name = path.Base(path.Dir(target))
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if name == "." {
			report(spec.Pos(), "no dot import in a pure package: it hides uses of %s from this test", target)
		}
		names[name] = target
	}
	return names
}
