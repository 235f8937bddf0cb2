package house

import (
	"go/ast"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every package says what it is for, and every exported name what it means.
func TestEveryPackageHasAComment(t *testing.T) {
	commented := map[string]bool{}
	for _, source := range sources(t) {
		if source.file.Doc != nil {
			commented[path.Dir(source.name)] = true
		}
	}
	for _, p := range packages(t) {
		if !commented[p.short()] {
			t.Errorf("package %s has no package comment", p.short())
		}
	}
}

func TestEveryExportedNameHasAComment(t *testing.T) {
	for _, source := range sources(t) {
		if source.isTest() {
			continue
		}
		for _, decl := range source.file.Decls {
			for _, name := range undocumented(decl) {
				t.Errorf("%s: exported %s has no comment", source.line(name.Pos()), name.Name)
			}
		}
	}
}

// undocumented returns the exported names that a declaration leaves without a comment. A comment on a group of
// constants or variables counts for each of them.
func undocumented(decl ast.Decl) []*ast.Ident {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		if decl.Doc == nil && decl.Name.IsExported() && (decl.Recv == nil || ast.IsExported(receiver(decl))) {
			return []*ast.Ident{decl.Name}
		}
	case *ast.GenDecl:
		var names []*ast.Ident
		for _, spec := range decl.Specs {
			names = append(names, undocumentedSpec(decl, spec)...)
		}
		return names
	}
	return nil
}

func undocumentedSpec(decl *ast.GenDecl, spec ast.Spec) []*ast.Ident {
	var names []*ast.Ident
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if !spec.Name.IsExported() {
			return nil
		}
		if spec.Doc == nil && (decl.Doc == nil || decl.Lparen.IsValid()) {
			names = append(names, spec.Name)
		}
		if methods, ok := spec.Type.(*ast.InterfaceType); ok {
			for _, method := range methods.Methods.List {
				if len(method.Names) == 1 && method.Names[0].IsExported() && method.Doc == nil && method.Comment == nil &&
					!mentions(method.Names[0].Name, decl.Doc, spec.Doc) {
					names = append(names, method.Names[0])
				}
			}
		}
	case *ast.ValueSpec:
		if decl.Tok == token.IMPORT || decl.Doc != nil || spec.Doc != nil || spec.Comment != nil {
			return nil
		}
		for _, name := range spec.Names {
			if name.IsExported() {
				names = append(names, name)
			}
		}
	}
	return names
}

// mentions reports whether a comment speaks of a name: an interface's comment may explain its methods together.
func mentions(name string, comments ...*ast.CommentGroup) bool {
	return slices.ContainsFunc(comments, func(c *ast.CommentGroup) bool {
		return slices.Contains(regexp.MustCompile(`\w+`).FindAllString(c.Text(), -1), name)
	})
}

// receiver returns the name of a method's receiver type.
func receiver(decl *ast.FuncDecl) string {
	expr := decl.Recv.List[0].Type
	for {
		switch inner := expr.(type) {
		case *ast.StarExpr:
			expr = inner.X
		case *ast.IndexExpr:
			expr = inner.X
		case *ast.IndexListExpr:
			expr = inner.X
		case *ast.Ident:
			return inner.Name
		default:
			return ""
		}
	}
}

var goFileName = regexp.MustCompile(`\b[a-z0-9_]+(/[a-z0-9_]+)*\.go\b`)

// A map is worth having only if the places on it exist.
func TestFilesNamedInPackageCommentsExist(t *testing.T) {
	var inFunctions int
	for _, source := range sources(t) {
		if source.isTest() || source.file.Doc == nil {
			continue
		}
		for _, name := range goFileName.FindAllString(source.file.Doc.Text(), -1) {
			if source.name == "functions/doc.go" {
				inFunctions++
			}
			if !exists(path.Join(path.Dir(source.name), name)) && !exists(name) {
				t.Errorf("%s names %s, which does not exist", source.name, name)
			}
		}
	}
	if inFunctions < 5 {
		t.Errorf("functions/doc.go names %d files; it should tell the life of a job, hop by hop, with file names", inFunctions)
	}
}

// Every file that a page links to is there.
func TestLinksOfThePagesExist(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s"]+)(#[^)\s]*)?\)`)
	for _, page := range pages {
		for _, match := range link.FindAllStringSubmatch(string(read(t, page)), -1) {
			if target := match[1]; !strings.Contains(target, "://") && !exists(path.Join(path.Dir(page), target)) {
				t.Errorf("%s links to %s, which does not exist", page, target)
			}
		}
	}
}

func exists(name string) bool {
	_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
	return err == nil
}
