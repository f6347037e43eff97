package postgres_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// statements returns the texts of all SQL statements in the source of the engine,
// by the name of their constant; those that are written where they are used, by
// that of the function with a number. So nobody needs to remember to list one.
//
// What goes by the names of several tables has that of the first. The statement
// of a batch is composed, see TestNoCommitReadsAWholeTable.
func statements(tb testing.TB) map[string]string {
	tb.Helper()
	source := parse(tb)
	found := make(map[string]string)
	for name, value := range source.constants {
		if text, ok := source.text(value); ok && isStatement(text) {
			found[name] = text
		}
	}
	for _, f := range source.functions {
		n := 0
		visit := func(node ast.Node) bool {
			e, ok := node.(ast.Expr)
			if !ok {
				return true
			}
			if _, ok := e.(*ast.Ident); ok { // a constant, found above
				return false
			}
			text, ok := source.text(e)
			if !ok {
				return true
			}
			if isStatement(text) {
				n++
				found[f.Name.Name+" "+strconv.Itoa(n)] = text
			}
			return false
		}
		ast.Inspect(f.Body, visit)
	}
	return found
}

func isStatement(text string) bool {
	return regexp.MustCompile(`^\(?(SELECT|INSERT|UPDATE|DELETE|WITH) `).MatchString(text)
}

// source is what the engine is made of, without its tests.
type source struct {
	constants map[string]ast.Expr
	functions []*ast.FuncDecl
}

func parse(tb testing.TB) *source {
	tb.Helper()
	s := &source{constants: make(map[string]ast.Expr)}
	files, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil {
		tb.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			tb.Fatal(err)
		}
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				s.functions = append(s.functions, d)
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					v, ok := spec.(*ast.ValueSpec)
					if !ok || d.Tok != token.CONST || len(v.Values) != len(v.Names) {
						continue
					}
					for i, n := range v.Names {
						s.constants[n.Name] = v.Values[i]
					}
				}
			}
		}
	}
	return s
}

// text returns the value of an expression that is a text, if it is one.
func (s *source) text(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			text, err := strconv.Unquote(e.Value)
			return text, err == nil
		}
	case *ast.Ident:
		if value, ok := s.constants[e.Name]; ok {
			return s.text(value)
		}
		if e.Name == "list" { // one of lists()
			return "following", true
		}
	case *ast.BinaryExpr:
		x, okX := s.text(e.X)
		y, okY := s.text(e.Y)
		return x + y, okX && okY && e.Op == token.ADD
	}
	return "", false
}
