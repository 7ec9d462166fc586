package dirsync_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// This file holds the shape of the project: who may import whom, and what no file may contain. It reads the files
// itself instead of asking `go list`, so that the test cache notices every change.

// module is the path under which packages of this project are imported.
const module = "dirsync"

// importRules says, for each package, which other packages of this project it may import; "." is the root package.
// Tests may in addition import what the last column says, and their own package. A package that is not in the table is
// an error: give it a line.
func importRules() map[string]struct{ code, tests []string } {
	root := "."
	return map[string]struct{ code, tests []string }{
		// The words that the rest is written in: they know nobody.
		".": {},
		// Pure: what to change, and do we dare.
		"sync/plan": {code: []string{root}},
		// Pure: when a sync runs.
		"sync/schedule": {code: []string{root}},
		// The engine alone knows the mapping and the planner.
		"sync/engine": {code: []string{root, "mapping", "sync/plan"}, tests: []string{"dirsynctest"}},
		// Siblings: none of these knows another.
		"mapping":         {code: []string{root}},
		"graph":           {code: []string{root}, tests: []string{"graph/graphtest", "dirsynctest"}},
		"graph/graphtest": {code: []string{root}, tests: []string{"graph"}},
		"store":           {code: []string{root}, tests: []string{"dirsynctest", "sync/engine"}},
		"dirsynctest":     {code: []string{root, "sync/engine"}},
		// The language of SCIM, for the client and the server: it knows nobody either.
		"scim": {},
		// Provisioning to applications that speak it, and one to try that on.
		"scim/client":   {code: []string{root, "scim"}, tests: []string{"scim/scimtest", "dirsynctest"}},
		"scim/scimtest": {code: []string{"scim"}},
		// Provisioning from those who push users and groups.
		"scim/server": {code: []string{root, "scim"}, tests: []string{"dirsynctest"}},
		// Tests against servers of others.
		"scim/client/realservers": {tests: []string{root, "scim", "scim/client", "scim/scimtest"}},
		// The API, its client, and the metrics: it asks a Daemon, which the command is.
		"web": {code: []string{root}},
		// Telling people.
		"notify":            {code: []string{root}, tests: []string{"notify/notifytest"}},
		"notify/notifytest": {code: []string{root, "notify"}},
		// The command joins everybody.
		"cmd/dirsync": {
			code: []string{root, "graph", "graph/graphtest", "mapping", "notify", "scim", "scim/client", "scim/scimtest", "scim/server", "store",
				"sync/engine", "sync/plan", "sync/schedule", "web"},
			tests: []string{"dirsynctest", "notify/notifytest"},
		},
	}
}

// libraryRule says which packages may import a library, by the beginning of the library's path, and why.
type libraryRule struct {
	library, why string
	packages     []string
	// tests binds tests too.
	tests bool
}

func onlyIn() []libraryRule {
	const slow = "it takes minutes to build, and nobody else should wait for it"
	return []libraryRule{
		{"github.com/microsoftgraph/", slow, []string{"graph"}, true},
		{"github.com/microsoft/kiota", slow, []string{"graph"}, true},
		{"github.com/Azure/", "signing in is the business of graph", []string{"graph"}, true},
		{"github.com/AzureAD/", "signing in is the business of graph", []string{"graph"}, true},
		{"github.com/prometheus/", "what is measured has one place, and callers use the methods of web.Metrics", []string{"web"}, true},
		{"go.etcd.io/bbolt", "how things are stored is the business of store", []string{"store"}, true},
		{"github.com/expr-lang/", "expressions are the business of mapping", []string{"mapping"}, false},
		{"github.com/nyaruka/phonenumbers", "values are the business of mapping", []string{"mapping"}, false},
		{"github.com/shopspring/decimal", "values are the business of mapping", []string{"mapping"}, false},
		{"github.com/spf13/", "the command line is the business of cmd", []string{"cmd/dirsync"}, false},
		{"github.com/vbauerster/mpb", "the terminal is the business of cmd", []string{"cmd/dirsync"}, false},
		{"github.com/wneessen/go-mail", "mail is the business of notify", []string{"notify"}, false},
		{"github.com/nicholas-fedor/shoutrrr", "chat is the business of notify", []string{"notify"}, false},
		{"github.com/robfig/cron", "its timers forget and its parser panics; sync/schedule knows how to use its parser all the same", []string{"sync/schedule"}, true},
		{"github.com/coreos/go-systemd", "the service manager is the business of cmd", []string{"cmd/dirsync"}, false},
		{"go.yaml.in/yaml", "the configuration is the business of cmd", []string{"cmd/dirsync"}, false},
	}
}

// notIn says what a package's code, its tests excepted, may not import, and why.
func notIn() []struct {
	packages, libraries []string
	why                 string
} {
	return []struct {
		packages, libraries []string
		why                 string
	}{
		{[]string{".", "sync/plan", "sync/schedule", "mapping", "scim"}, []string{"os", "os/exec", "net", "net/http", "math/rand", "math/rand/v2",
			"crypto/rand", "github.com/rs/zerolog"},
			"equal inputs must give equal results: no I/O, no log and no chance. Pass in what is needed as a value"},
		{[]string{".", "sync/plan", "sync/schedule", "sync/engine", "mapping", "graph", "graph/graphtest", "store", "cmd/dirsync"},
			[]string{"testing"}, "only tests import testing; dirsync demo runs the simulated tenant in the program itself"},
	}
}

// The compass needles for files that are not tests.
const (
	maxFileLines     = 500
	maxFunctionLines = 80
)

// goFile is one parsed file.
type goFile struct {
	path string // from the root, with slashes
	dir  string // the package's folder, "." for the root
	test bool
	text string
	ast  *ast.File
	fset *token.FileSet
}

func (f goFile) at(p token.Pos) string { return f.fset.Position(p).String() }

// goFiles parses every Go file of the module.
func goFiles(t *testing.T) []goFile {
	t.Helper()
	var files []goFile
	walk(t, func(name string) {
		if path.Ext(name) != ".go" {
			return
		}
		text, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			t.Fatal(err)
		}
		fset := token.NewFileSet()
		parsed, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatalf("%v\nFix the syntax first.", err)
		}
		files = append(files, goFile{path: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"),
			text: string(text), ast: parsed, fset: fset})
	})
	if len(files) < 20 {
		t.Fatalf("found only %d Go files; this test must run in the root of the repository", len(files))
	}
	return files
}

// walk calls fn for every file of the module: not for hidden folders, test data, and modules of their own.
func walk(t *testing.T, fn func(name string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if !d.IsDir() {
			fn(filepath.ToSlash(name))
			return nil
		}
		if name == "." {
			return nil
		}
		if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil || base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
			return filepath.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// imports yields the paths that a file imports and where.
func (f goFile) imports() func(yield func(name, at string) bool) {
	return func(yield func(name, at string) bool) {
		for _, spec := range f.ast.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err == nil && !yield(name, f.at(spec.Pos())) {
				return
			}
		}
	}
}

func TestImports(t *testing.T) {
	rules := importRules()
	seen := map[string]bool{}
	for _, f := range goFiles(t) {
		rule, known := rules[f.dir]
		if !known {
			t.Errorf("%s: the package %s is not in the table of deps_test.go; give it a line that says whom it may import", f.path, f.dir)
			continue
		}
		seen[f.dir] = true
		for name, at := range f.imports() {
			other, ours := strings.CutPrefix(name, module+"/")
			if name == module {
				other, ours = ".", true
			}
			allowed := rule.code
			if f.test {
				allowed = slices.Concat(rule.code, rule.tests, []string{".", f.dir})
			}
			if ours && !slices.Contains(allowed, other) {
				t.Errorf("%s: %s may not import %s, only %v; move what both need into the root package, or declare an "+
					"interface here and let cmd/dirsync pass in the other", at, f.dir, other, allowed)
			}
		}
	}
	for dir := range rules {
		if !seen[dir] {
			t.Errorf("deps_test.go: there is no package %s any more; remove its line from the table", dir)
		}
	}
}

func TestLibraries(t *testing.T) {
	for _, f := range goFiles(t) {
		for name, at := range f.imports() {
			for _, r := range onlyIn() {
				if strings.HasPrefix(name, r.library) && (r.tests || !f.test) && !slices.Contains(r.packages, f.dir) {
					t.Errorf("%s: only %v may import %s, because %s", at, r.packages, name, r.why)
				}
			}
			for _, r := range notIn() {
				if !f.test && slices.Contains(r.packages, f.dir) && slices.Contains(r.libraries, name) {
					t.Errorf("%s: %s may not import %s: %s", at, f.dir, name, r.why)
				}
			}
		}
	}
}

func TestPackageComments(t *testing.T) {
	commented, where := map[string]bool{}, map[string]string{}
	for _, f := range goFiles(t) {
		if f.test {
			continue
		}
		opening := "Package " + f.ast.Name.Name + " "
		if f.ast.Name.Name == "main" {
			opening = "Command " + path.Base(f.dir) + " "
		}
		where[f.dir] = opening
		if f.ast.Doc != nil && strings.HasPrefix(f.ast.Doc.Text(), opening) {
			commented[f.dir] = true
		}
	}
	for dir, opening := range where {
		if !commented[dir] {
			t.Errorf("%s has no package comment; begin one, in doc.go or the main file, with %q", dir, opening+"…")
		}
	}
}

func TestSizes(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.test {
			continue
		}
		if n := strings.Count(f.text, "\n"); n > maxFileLines {
			t.Errorf("%s has %d lines, more than %d; split it by idea", f.path, n, maxFileLines)
		}
		for _, decl := range f.ast.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := f.fset.Position(fn.End()).Line - f.fset.Position(fn.Pos()).Line + 1; n > maxFunctionLines {
				t.Errorf("%s: %s has %d lines, more than %d; give a part of it a name", f.at(fn.Pos()), fn.Name.Name, n, maxFunctionLines)
			}
		}
	}
}

// TestPackageState refuses init functions and package variables that anybody could change.
func TestPackageState(t *testing.T) {
	for _, f := range goFiles(t) {
		for _, decl := range f.ast.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Name.Name == "init" && fn.Recv == nil {
				t.Errorf("%s: no init functions; construct the value where it is needed and pass it on", f.at(decl.Pos()))
			}
		}
		if f.test {
			continue
		}
		for _, name := range mutableVariables(f.ast) {
			t.Errorf("%s: the package variable %s can be changed by anybody; make it a constant, a function that returns the "+
				"value, or a field. Only errors, compiled regexps, embedded files and interface assertions may be variables",
				f.at(name.Pos()), name.Name)
		}
	}
}

// mutableVariables lists the package variables of a file that are not of a harmless kind.
func mutableVariables(f *ast.File) []*ast.Ident {
	var names []*ast.Ident
	for _, decl := range f.Decls {
		g, ok := decl.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR || embedded(g.Doc) {
			continue
		}
		for _, spec := range g.Specs {
			v, ok := spec.(*ast.ValueSpec)
			if !ok || embedded(v.Doc) {
				continue
			}
			for i, name := range v.Names {
				// var _ Interface = Type{} is checked by the compiler and is nothing at run time.
				assertion := name.Name == "_" && v.Type != nil
				if !assertion && (i >= len(v.Values) || !immutable(v, v.Values[i])) {
					names = append(names, name)
				}
			}
		}
	}
	return names
}

func embedded(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

// immutable tells the values that nobody changes in practice: errors and compiled regexps.
func immutable(v *ast.ValueSpec, value ast.Expr) bool {
	if typ, ok := v.Type.(*ast.Ident); ok && typ.Name == "error" {
		return true
	}
	call, ok := value.(*ast.CallExpr)
	if !ok {
		return false
	}
	fn, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := fn.X.(*ast.Ident)
	return ok && slices.Contains([]string{"errors.New", "fmt.Errorf", "regexp.MustCompile"}, pkg.Name+"."+fn.Sel.Name)
}

// TestNoSleep refuses tests that wait for the clock on the wall: they are slow when it is quiet and fail when it is not.
func TestNoSleep(t *testing.T) {
	for _, f := range goFiles(t) {
		if !f.test {
			continue
		}
		for _, call := range sleeps(f.ast) {
			t.Errorf("%s: a test may not sleep; wait for the event itself, pass time in as a value, or use testing/synctest", f.at(call.Pos()))
		}
	}
}

// sleeps lists the calls of time.Sleep, except where synctest.Test simulates the clock.
func sleeps(f *ast.File) []*ast.CallExpr {
	var found []*ast.CallExpr
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if calls(call, "time", "Sleep") {
			found = append(found, call)
		}
		return !calls(call, "synctest", "Test")
	})
	return found
}

func calls(call *ast.CallExpr, pkg, name string) bool {
	fn, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || fn.Sel.Name != name {
		return false
	}
	x, ok := fn.X.(*ast.Ident)
	return ok && x.Name == pkg
}

// TestStandsAlone refuses references to what lies beside the repository: tests may read recorded data there if it is
// present, and nothing else may.
func TestStandsAlone(t *testing.T) {
	beside := "../shared"
	walk(t, func(name string) {
		if strings.HasSuffix(name, "_test.go") {
			return
		}
		info, err := os.Stat(filepath.FromSlash(name))
		if err != nil || !info.Mode().IsRegular() || info.Size() > 4<<20 {
			return
		}
		text, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			t.Error(err)
			return
		}
		if i := strings.Index(string(text), beside); i >= 0 {
			t.Errorf("%s:%d: names %s, which is outside the repository; copy what is needed into testdata",
				name, 1+strings.Count(string(text[:i]), "\n"), beside)
		}
	})
}

// TestRulesCatch feeds the rules what they are there to catch, so that they cannot pass by not looking.
func TestRulesCatch(t *testing.T) {
	const source = `package p

import "regexp"

var bad = map[string]int{}
var good = regexp.MustCompile("a")
var _ error = nil
var worse, fine = 1, regexp.MustCompile("b")

//go:embed x
var file string
var later string

func f() {
	time.Sleep(1)
	synctest.Test(t, func(t *testing.T) { time.Sleep(2) })
	for { func() { time.Sleep(3) }() }
}
`
	parsed, err := parser.ParseFile(token.NewFileSet(), "p.go", source, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, name := range mutableVariables(parsed) {
		got = append(got, name.Name)
	}
	for _, call := range sleeps(parsed) {
		got = append(got, call.Args[0].(*ast.BasicLit).Value)
	}
	if want := "[bad worse later 1 3]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}
