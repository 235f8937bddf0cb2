package house

import (
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// fragmentName is the package that a block without a package clause is put into.
const fragmentName = "fragment"

// checker type-checks pieces of Go against the module's packages as they are now.
type checker struct {
	t      *testing.T
	byName map[string]string // package name -> import path, for fragments that leave the imports out
	export map[string]string // import path -> file with the compiled package's exported types
}

// newChecker compiles the module's packages.
func newChecker(t *testing.T) *checker {
	t.Helper()
	c := &checker{t: t, byName: map[string]string{}, export: map[string]string{}}
	out, err := run(nil, "go", "list", "std")
	if err != nil {
		t.Fatal(err)
	}
	for std := range strings.FieldsSeq(string(out)) {
		name := path.Base(std)
		if name == "v2" {
			name = path.Base(path.Dir(std))
		}
		known, ok := c.byName[name]
		if strings.Contains(std, "internal/") || strings.HasPrefix(std, "vendor/") || ok && len(known) <= len(std) {
			continue
		}
		c.byName[name] = std
	}
	c.byName["rand"] = "math/rand/v2"
	for _, p := range packages(t) {
		if p.Name != "main" && !strings.Contains(p.ImportPath, "/internal/") {
			c.byName[p.Name] = p.ImportPath
		}
	}
	return c
}

// snippet returns what the compiler has against a block with its prelude. In a fragment, what is declared and
// not used is no problem: it has no room to use everything.
func (c *checker) snippet(prelude, text string) []string {
	fset := token.NewFileSet()
	file, err := c.parse(fset, prelude, text)
	if err != nil {
		return []string{err.Error()}
	}
	imports := c.addImports(file)
	if err := c.compile(imports); err != nil {
		return []string{err.Error()}
	}
	fragment := file.Name.Name == fragmentName
	var problems []string
	config := types.Config{
		Importer: importer.ForCompiler(fset, "gc", c.open),
		Error: func(err error) {
			var problem types.Error
			if !fragment || !errors.As(err, &problem) || !problem.Soft {
				problems = append(problems, err.Error())
			}
		},
	}
	_, _ = config.Check(file.Name.Name, fset, []*ast.File{file}, nil) // the problems went to config.Error
	return problems
}

// parse reads a block as a file, as declarations, or as the body of a function, whichever it is.
func (c *checker) parse(fset *token.FileSet, prelude, text string) (*ast.File, error) {
	if file, err := parser.ParseFile(fset, "block", text, 0); err == nil {
		return file, nil
	}
	file, err := parser.ParseFile(fset, "block", "package "+fragmentName+"\n"+text+prelude, 0)
	if err == nil {
		return file, nil
	}
	return parser.ParseFile(fset, "block", "package "+fragmentName+"\nfunc _() error {\n"+text+"return nil\n}\n"+prelude, 0)
}

// addImports imports the packages whose names a fragment uses and does not declare. It returns all imports.
func (c *checker) addImports(file *ast.File) []string {
	imports := map[string]bool{}
	for _, spec := range file.Imports {
		imports[strings.Trim(spec.Path.Value, `"`)] = true
	}
	if len(imports) > 0 {
		return slices.Sorted(maps.Keys(imports))
	}
	selected := map[string]bool{}
	ast.Inspect(file, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if name, ok := selector.X.(*ast.Ident); ok {
				selected[name.Name] = true
			}
		}
		return true
	})
	group := &ast.GenDecl{Tok: token.IMPORT}
	for _, name := range file.Unresolved {
		if from, ok := c.byName[name.Name]; ok && selected[name.Name] && !imports[from] {
			imports[from] = true
			spec := &ast.ImportSpec{Path: &ast.BasicLit{Kind: token.STRING, Value: `"` + from + `"`}}
			group.Specs = append(group.Specs, spec)
			file.Imports = append(file.Imports, spec)
		}
	}
	file.Decls = append([]ast.Decl{group}, file.Decls...)
	return slices.Sorted(maps.Keys(imports))
}

// compile has the go command compile packages and notes where their exported types are.
func (c *checker) compile(imports []string) error {
	missing := slices.DeleteFunc(imports, func(path string) bool { return c.export[path] != "" || path == "unsafe" })
	if len(missing) == 0 {
		return nil
	}
	args := append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}"}, missing...)
	out, err := run(nil, "go", args...)
	if err != nil {
		return err
	}
	for line := range strings.SplitSeq(string(out), "\n") {
		if path, file, ok := strings.Cut(line, " "); ok && file != "" {
			c.export[path] = file
		}
	}
	return nil
}

func (c *checker) open(path string) (io.ReadCloser, error) {
	file, ok := c.export[path]
	if !ok {
		return nil, fmt.Errorf("package %s is not known", path)
	}
	return os.Open(file)
}

func TestSnippetsAreCheckedAsTheyShould(t *testing.T) {
	check := newChecker(t)
	tests := map[string]struct{ prelude, text, problem string }{
		"a file":               {"", "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println() }\n", ""},
		"declarations":         {"", "func f(ctx context.Context) error { return ctx.Err() }\n", ""},
		"statements":           {"", "x, err := strconv.Atoi(\"1\")\nif err != nil {\n\treturn err\n}\n", ""},
		"a package of ours":    {"", "var opts httpx = 1\ntype httpx int\n", ""},
		"given by the prelude": {"var ctx context.Context\n", "<-ctx.Done()\n", ""},
		"unused in a file":     {"", "package main\n\nfunc main() { x := 1 }\n", "declared and not used"},
		"unused in a fragment": {"", "x := 1\n", ""},
		"not given":            {"", "<-ctx.Done()\n", "undefined: ctx"},
		"no such function":     {"", "strconv.Atoy(\"1\")\n", "undefined: strconv.Atoy"},
		"no such package":      {"", "package x\n\nimport _ \"" + module + "/nowhere\"\n", "nowhere"},
		"wrong type":           {"", "var n int = time.Now()\n", "cannot use"},
		"no Go":                {"", "if {\n", "missing condition"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			problems := strings.Join(check.snippet(test.prelude, test.text), "\n")
			if (problems == "") != (test.problem == "") || !strings.Contains(problems, test.problem) {
				t.Errorf("problems %q, want %q", problems, test.problem)
			}
		})
	}
}

func TestBlocksAndCommandsAreFound(t *testing.T) {
	text := "# A\n<!-- go\nvar x int\n-->\n```go\ny := x\n```\n## B\n```sh\n$ A=1 go run ./x -n 3 && ls # why\ncurl \\\n  -s u | jq .\n```\n"
	found := blocks("page.md", text)
	if len(found) != 2 || found[0].heading != "A" || found[0].prelude != "var x int\n" || found[0].text != "y := x\n" || found[1].heading != "B" {
		t.Fatalf("blocks %+v", found)
	}
	var got []string
	for _, words := range commands(found[1].text) {
		got = append(got, strings.Join(words, " "))
	}
	want := []string{"go run ./x -n 3", "ls", "curl -s u", "jq ."}
	if !slices.Equal(got, want) {
		t.Errorf("commands %q, want %q", got, want)
	}
}
