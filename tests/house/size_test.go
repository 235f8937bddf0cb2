package house

import (
	"go/ast"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A reader takes in a file of this length, and a function of that. There are no exceptions.
const (
	maxFileLines     = 400
	maxFunctionLines = 80
)

func TestFilesAndFunctionsAreShort(t *testing.T) {
	var fileLines, functionLines []int
	for _, source := range sources(t) {
		if source.isTest() {
			continue
		}
		lines := source.fset.File(source.file.Pos()).LineCount()
		fileLines = append(fileLines, lines)
		if lines > maxFileLines {
			t.Errorf("%s has %d lines, more than %d", source.name, lines, maxFileLines)
		}
		for _, decl := range source.file.Decls {
			function, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := source.fset.Position(function.End()).Line - source.fset.Position(function.Pos()).Line + 1
			functionLines = append(functionLines, lines)
			if lines > maxFunctionLines {
				t.Errorf("%s: %s has %d lines, more than %d", source.line(function.Pos()), function.Name.Name, lines, maxFunctionLines)
			}
		}
	}
	t.Logf("lines of a file: median %d, 90th percentile %d, of %d", percentile(fileLines, 50), percentile(fileLines, 90), len(fileLines))
	t.Logf("lines of a function: median %d, 90th percentile %d, of %d", percentile(functionLines, 50), percentile(functionLines, 90), len(functionLines))
}

// percentile returns the value that p percent of the values do not exceed.
func percentile(values []int, p int) int {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[(len(values)-1)*p/100]
}

// A test does not sleep: it waits for what is to happen. In a bubble of testing/synctest sleeping takes no time and is
// allowed; a helper that is called from a bubble says so by the words "virtual time" in the line's comment.
func TestTestsDoNotSleep(t *testing.T) {
	for _, source := range sources(t) {
		if !source.isTest() {
			continue
		}
		virtual := map[int]bool{} // lines in virtual time
		for _, group := range source.file.Comments {
			for _, comment := range group.List {
				if strings.Contains(comment.Text, "virtual time") {
					virtual[source.fset.Position(comment.Pos()).Line] = true
				}
			}
		}
		ast.Inspect(source.file, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			switch {
			case !ok:
				return true
			case isCall(call, "synctest", "Test"):
				return false
			case isCall(call, "time", "Sleep") && !virtual[source.fset.Position(call.Pos()).Line]:
				t.Errorf("%s: a test sleeps; use testing/synctest or wait for what is to happen", source.line(call.Pos()))
			}
			return true
		})
	}
}

// isCall reports whether a call is one of the named function of the named package.
func isCall(call *ast.CallExpr, pkg, name string) bool {
	function, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || function.Sel.Name != name {
		return false
	}
	from, ok := function.X.(*ast.Ident)
	return ok && from.Name == pkg
}

// Work that is left is an issue, not a comment.
func TestNoCommentLeavesWork(t *testing.T) {
	left := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)
	for _, source := range sources(t) {
		for _, group := range source.file.Comments {
			for _, comment := range group.List {
				if left.MatchString(comment.Text) {
					t.Errorf("%s: the comment %q leaves work: do it, or say what is so", source.line(comment.Pos()), comment.Text)
				}
			}
		}
	}
}
