package house

import (
	"go/ast"
	"regexp"
	"slices"
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

func TestTestsDoNotSleep(t *testing.T) {
	for _, source := range sources(t) {
		if !source.isTest() {
			continue
		}
		ast.Inspect(source.file, func(node ast.Node) bool {
			if call, ok := node.(*ast.SelectorExpr); ok && call.Sel.Name == "Sleep" {
				if from, ok := call.X.(*ast.Ident); ok && from.Name == "time" {
					t.Errorf("%s: a test sleeps; use testing/synctest or wait for what is to happen", source.line(call.Pos()))
				}
			}
			return true
		})
	}
}

// Work that is left is an issue, not a comment.
func TestNoCommentLeavesWork(t *testing.T) {
	left := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)
	for _, source := range sources(t) {
		for _, group := range source.file.Comments {
			for _, comment := range group.List {
				if left.MatchString(comment.Text) {
					t.Errorf("%s: %s", source.line(comment.Pos()), comment.Text)
				}
			}
		}
	}
}
