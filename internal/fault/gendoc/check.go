package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
)

// raw are the files that answer a request without the catalogue: the two that write what it says, what answers where nothing else
// can, and the embedded agent, which speaks as Nomad does.
var raw = []string{"internal/web/problem.go", "internal/app/transport.go", "internal/app/agent.go", "internal/localnomad/"}

// check lists the errors of a source tree that a person could meet and the catalogue does not describe.
func check(root string) ([]string, error) {
	var problems []string
	for _, folder := range []string{"cmd", "internal", "views"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			source, err := os.ReadFile(path) // #nosec G122 G304 -- a tree of source that nobody attacks
			if err != nil {
				return err
			}
			found, err := checkFile(filepath.ToSlash(name), source)
			problems = append(problems, found...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return problems, nil
}

// checkFile looks at the declarations of kinds, at the texts that are used as kinds, and at answers past the catalogue.
func checkFile(name string, source []byte) (problems []string, err error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	inside := file.Name.Name == "fault"
	tell := func(at token.Pos, format string, args ...any) {
		problems = append(problems, fmt.Sprintf("%s: ", files.Position(at))+fmt.Sprintf(format, args...))
	}
	literal := func(e ast.Expr) {
		if text, ok := e.(*ast.BasicLit); ok && text.Kind == token.STRING {
			if code, _ := strconv.Unquote(text.Value); !complete(fault.Kind(code)) {
				tell(text.Pos(), "%s has no entry, or one without title, what, why or fix", text.Value)
			}
		}
	}
	isKind := func(e ast.Expr) bool { return e != nil && isName(e, "Kind", inside) }
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			if isKind(n.Type) {
				for _, v := range n.Values {
					literal(v)
				}
			}
		case *ast.CallExpr:
			switch {
			case isKind(n.Fun) && len(n.Args) == 1, isName(n.Fun, "New", inside) && len(n.Args) == 3:
				literal(n.Args[0])
			case isPast(n.Fun) && !slices.ContainsFunc(raw, func(prefix string) bool { return strings.HasPrefix(name, prefix) }):
				tell(n.Pos(), "an answer past the catalogue: return a fault instead")
			}
		case *ast.CompositeLit:
			if n.Type != nil && isName(n.Type, "Error", inside) {
				kind := slices.IndexFunc(n.Elts, func(e ast.Expr) bool {
					pair, ok := e.(*ast.KeyValueExpr)
					if ok && isIdent(pair.Key, "Kind") {
						literal(pair.Value)
					}
					return ok && isIdent(pair.Key, "Kind")
				})
				if kind < 0 {
					tell(n.Pos(), "an error without a kind")
				}
			}
		}
		return true
	})
	return problems, nil
}

// complete reports whether a kind has an entry that says all.
func complete(k fault.Kind) bool {
	e := k.Entry()
	return k.Known() && e.Title != "" && e.What != "" && e.Why != "" && e.Fix != ""
}

// isName reports whether an expression is a name of package fault.
func isName(e ast.Expr, name string, inside bool) bool {
	if inside {
		return isIdent(e, name)
	}
	selector, ok := e.(*ast.SelectorExpr)
	return ok && isIdent(selector.X, "fault") && selector.Sel.Name == name
}

func isIdent(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// isPast reports whether a function answers a request with a text of its own.
func isPast(e ast.Expr) bool {
	selector, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	name := selector.Sel.Name
	return isIdent(selector.X, "http") && (name == "Error" || name == "NotFound") ||
		isIdent(selector.X, "huma") && (name == "NewError" || strings.HasPrefix(name, "Error") && len(name) > 8)
}
