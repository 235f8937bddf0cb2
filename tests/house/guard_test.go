package house

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// guardPath is the package through which code is called that the library does not own.
const guardPath = module + "/functions/internal/guard"

// guarded are the packages that call such code.
var guarded = []string{"functions", "functions/trigger", "functions/worker", "functions/lambda", "functions/cloudrun", "functions/httpapi"}

// ownFunctions are functions in fields that the library sets itself, and clocks and random numbers, which must not fail.
var ownFunctions = []string{
	"functions.Config.Now", "functions.Config.Rand", "cloudrun.keySet.now",
	"functions.Attempt.done", "functions.Output.release", "functions.turn.next", "functions.noun.step",
	"lambda.queueFunction.reserve", "lambda.queueFunction.start", "functions.Runtime.inTx", "functions.Tx.Close",
}

// calledInGuard are functions that call code of the program and that only a guard calls, and functions whose calls are
// not of such code, with the reason.
var calledInGuard = []string{
	"functions.Attempt.Start",         // spawn and done are an adapter's
	"functions.Attempt.invoke",        // within Attempt.call
	"functions.KindOf.Handle",         // the handler: within Attempt.invoke
	"functions.KindOf.OnEnd",          // the hook: within Runtime.runHooks
	"functions.Message.JSON",          // into a value without methods
	"functions.Registry.callEndHooks", // within Runtime.runHooks
	"functions.Registry.offer",        // Trigger.Split: within Runtime.ask
	"functions.Registry.wrap",         // middleware: within Attempt.invoke
	"functions.Runtime.encodeArgs",    // within Runtime.prepare
	"functions.decodeArgs",            // kind.decode, whose callers are in this list or guarded
	"functions.decodeStrict",          // the same
	"httpapi.options",                 // constructors of options
	"lambda.decodeOne",                // into values without methods
	"lambda.inJSON",                   // the same
	"trigger.FromMessage",             // its function: within functions.Trigger.take
	"worker.New",                      // a driver's constructor, before anything runs
}

// Code of the program around the library (handlers, hooks, callbacks of options, UnmarshalJSON of its types) may panic, end
// its goroutine or hang. It is called through the guard only.
func TestCodeOfTheProgramIsCalledThroughTheGuard(t *testing.T) {
	load := newLoader(t)
	used := map[string]bool{}
	for _, path := range guarded {
		for _, c := range load.calls(t, module+"/"+path) {
			switch {
			case slices.Contains(ownFunctions, c.what), slices.Contains(calledInGuard, c.in):
				used[c.what], used[c.in] = true, true
			default:
				t.Errorf("%s: %s calls %s outside the guard; call it in a function that guard.Call, guard.Inline, guard.Then or "+
					"guard.Within gets", c.at, c.in, c.what)
			}
		}
	}
	for _, name := range slices.Concat(ownFunctions, calledInGuard) {
		if !used[name] {
			t.Errorf("%s is on a list of exceptions and is not needed there", name)
		}
	}
}

// call is a call of code that may be the program's.
type call struct{ at, in, what string }

// loader type-checks packages of the module. It takes what they import from the compiler's export data.
type loader struct {
	fset     *token.FileSet
	importer types.Importer
	dirs     map[string]string
	files    map[string][]string
}

func newLoader(t *testing.T) *loader {
	t.Helper()
	args := []string{"list", "-export", "-deps", "-json=ImportPath,Export,Dir,GoFiles"}
	for _, path := range guarded {
		args = append(args, "./"+path)
	}
	out, err := run(nil, "go", args...)
	if err != nil {
		t.Fatal(err)
	}
	l := &loader{fset: token.NewFileSet(), dirs: map[string]string{}, files: map[string][]string{}}
	exports := map[string]string{}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Export, Dir string
			GoFiles                 []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) { //nolint:musttag // the names are those of go list
			break
		} else if err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath], l.dirs[p.ImportPath], l.files[p.ImportPath] = p.Export, p.Dir, p.GoFiles
	}
	l.importer = importer.ForCompiler(l.fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	return l
}

// calls lists the calls of a package's files that are not within a guard.
func (l *loader) calls(t *testing.T, path string) []call {
	t.Helper()
	var files []*ast.File
	for _, name := range l.files[path] {
		file, err := parser.ParseFile(l.fset, filepath.Join(l.dirs[path], name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	info := &types.Info{
		Defs:  map[*ast.Ident]types.Object{},
		Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{},
	}
	if _, err := (&types.Config{Importer: l.importer}).Check(path, l.fset, files, info); err != nil {
		t.Fatal(err)
	}
	given := parameters(info, files)
	var found []call
	for _, file := range files {
		for _, d := range file.Decls {
			in, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.PreorderStack(in, nil, func(n ast.Node, stack []ast.Node) bool {
				c, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				if what := foreign(info, given, c); what != "" && !isGuarded(info, stack) {
					at := l.fset.Position(c.Pos())
					found = append(found, call{fmt.Sprintf("%s:%d", at.Filename, at.Line), funcName(path, in), what})
				}
				return true
			})
		}
	}
	return found
}

// parameters are those of exported functions: what the program passes to the library.
func parameters(info *types.Info, files []*ast.File) map[types.Object]bool {
	all := map[types.Object]bool{}
	for _, file := range files {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() {
				continue
			}
			for _, p := range f.Type.Params.List {
				for _, name := range p.Names {
					all[info.Defs[name]] = true
				}
			}
		}
	}
	return all
}

// foreign names what a call calls if that may be code of the program: a function in a field, a parameter of an exported
// function, a value of an exported function type, or encoding/json for a value of any type.
func foreign(info *types.Info, given map[types.Object]bool, c *ast.CallExpr) string {
	fun := ast.Unparen(c.Fun)
	if tv := info.Types[fun]; tv.IsType() || tv.IsBuiltin() {
		return ""
	}
	switch f := fun.(type) {
	case *ast.Ident:
		if v, ok := info.Uses[f].(*types.Var); ok && (given[v] || isExported(v.Type())) {
			return f.Name
		}
	case *ast.SelectorExpr:
		if s := info.Selections[f]; s != nil && s.Kind() == types.FieldVal && !strings.HasPrefix(nameOf(s.Type()), "context.Cancel") {
			return nameOf(s.Recv()) + "." + f.Sel.Name
		}
		if o := info.Uses[f.Sel]; o.Pkg() != nil && o.Pkg().Path() == "encoding/json" && o.Name() != "NewDecoder" && o.Name() != "NewEncoder" &&
			slices.ContainsFunc(c.Args, func(a ast.Expr) bool { return isOpen(info.TypeOf(a)) }) {
			return "json." + o.Name()
		}
	}
	return ""
}

// isExported reports whether a type is an exported function type of the module.
func isExported(t types.Type) bool {
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.Obj().Exported() && n.Obj().Pkg() != nil && strings.HasPrefix(n.Obj().Pkg().Path(), module)
}

// isOpen reports whether a value of that type may have methods of any type.
func isOpen(t types.Type) bool {
	if p, ok := t.Underlying().(*types.Pointer); ok {
		t = p.Elem()
	}
	if _, ok := types.Unalias(t).(*types.TypeParam); ok {
		return true
	}
	i, ok := t.Underlying().(*types.Interface)
	return ok && i.Empty()
}

// nameOf is the name of a type, or of the one that a pointer leads to.
func nameOf(t types.Type) string {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	if n, ok := types.Unalias(t).(*types.Named); ok {
		return n.Obj().Pkg().Name() + "." + n.Obj().Name()
	}
	return t.String()
}

// isGuarded reports whether a node is in a function literal that the guard calls.
func isGuarded(info *types.Info, stack []ast.Node) bool {
	for i := 1; i < len(stack); i++ {
		c, ok := stack[i-1].(*ast.CallExpr)
		if _, literal := stack[i].(*ast.FuncLit); !ok || !literal {
			continue
		}
		fun := ast.Unparen(c.Fun)
		if x, ok := fun.(*ast.IndexExpr); ok {
			fun = x.X
		}
		if s, ok := fun.(*ast.SelectorExpr); ok {
			fun = s.Sel
		}
		if name, ok := fun.(*ast.Ident); ok {
			o := info.Uses[name]
			if o != nil && o.Pkg() != nil && (o.Pkg().Path() == guardPath || o.Pkg().Path() == module+"/functions" && o.Name() == "guarded") {
				return true
			}
		}
	}
	return false
}

// funcName is the name of a declaration, as in "functions.Runtime.Sweep".
func funcName(path string, f *ast.FuncDecl) string {
	name := path[strings.LastIndexByte(path, '/')+1:] + "."
	if f.Recv != nil {
		t := f.Recv.List[0].Type
		if s, ok := t.(*ast.StarExpr); ok {
			t = s.X
		}
		switch x := t.(type) {
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		}
		name += t.(*ast.Ident).Name + "."
	}
	return name + f.Name.Name
}
