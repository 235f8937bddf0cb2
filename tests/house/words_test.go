package house

import (
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// bookish are groups of words that slow a reader down, where plainer ones say the same.
var bookish = []struct {
	words []string
	plain string
}{
	{[]string{"that of", "those of"}, "name the thing"},
	{[]string{"nobody", "somebody", "whoever"}, "no process, a caller, the claimer: name the role"},
	{[]string{"anew", "amid", "lest", "whence", "heed", "heeds", "heeded"}, "again, during, so that not, from where, obey"},
	{[]string{"of which", "in place of", "for ever", "all the same"}, "split the sentence; instead of; forever; even so"},
}

// maxBookish is how many words of a group 10,000 words of comments may have. Comparable projects have 0 to 1.1.
const maxBookish = 2.0

func TestCommentsAreInPlainWords(t *testing.T) {
	var text strings.Builder
	where := map[string][]string{}
	for _, source := range sources(t) {
		if source.isTest() || strings.Contains(source.name, "testdata/") {
			continue
		}
		for _, group := range source.file.Comments {
			words := plain(group.Text())
			text.WriteString(words)
			for _, g := range bookish {
				for _, w := range g.words {
					for range strings.Count(words, " "+w+" ") {
						where[g.words[0]] = append(where[g.words[0]], source.line(group.Pos())+" "+w)
					}
				}
			}
		}
	}
	all := len(strings.Fields(text.String()))
	for _, g := range bookish {
		rate := float64(len(where[g.words[0]])) * 10_000 / float64(all)
		t.Logf("%4.1f per 10,000 words: %s", rate, strings.Join(g.words, ", "))
		if rate > maxBookish {
			t.Errorf("%.1f of %d words of comments in 10,000 are %s, want at most %.0f; %s:\n%s",
				rate, all, strings.Join(g.words, ", "), maxBookish, g.plain, strings.Join(where[g.words[0]], "\n"))
		}
	}
}

// plain is a text's words in small letters, with one space before, between and after them.
func plain(text string) string {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return (r < 'a' || r > 'z') && r != '\'' })
	return " " + strings.Join(words, " ") + " "
}

// saying are the functions of testing that take a format, with the place of the format in their arguments.
var saying = []string{"Errorf", "Fatalf", "Skipf"}

// TestFailuresSayWhatTheyAreAbout refuses failures of which a reader learns only a value.
func TestFailuresSayWhatTheyAreAbout(t *testing.T) {
	for _, source := range sources(t) {
		if !source.isTest() {
			continue
		}
		ast.Inspect(source.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			selector, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains(saying, selector.Sel.Name) || len(call.Args) == 0 || isCall(call, "fmt", "Errorf") {
				return true
			}
			literal, ok := call.Args[0].(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			if format, err := strconv.Unquote(literal.Value); err == nil && !hasLetter(format) {
				t.Errorf("%s: the format %s has no words: say what was expected and what was seen", source.line(call.Pos()), literal.Value)
			}
			return true
		})
	}
}

var verb = regexp.MustCompile(`%[-+# 0]*[0-9*]*(\.[0-9*]+)?[a-zA-Z%]`)

// hasLetter reports whether a format says something besides its values.
func hasLetter(format string) bool {
	return regexp.MustCompile(`[a-zA-Z]`).MatchString(verb.ReplaceAllString(format, ""))
}

// mapped are the packages whose comment is a map of their files.
var mapped = []string{"functions", "store", "pubsubq"}

// A map that leaves out a file leads astray.
func TestMapsNameEveryFile(t *testing.T) {
	docs := map[string]string{}
	for _, source := range sources(t) {
		if source.file.Doc != nil && slices.Contains(mapped, path.Dir(source.name)) && !source.isTest() {
			docs[path.Dir(source.name)] += source.file.Doc.Text()
		}
	}
	for _, source := range sources(t) {
		dir, name := path.Split(source.name)
		dir = path.Clean(dir)
		if source.isTest() || name == "doc.go" || !slices.Contains(mapped, dir) {
			continue
		}
		if !slices.Contains(goFileName.FindAllString(docs[dir], -1), name) {
			t.Errorf("the package comment of %s does not name %s", dir, name)
		}
	}
}

func TestWordsAreFoundAsTheyShould(t *testing.T) {
	if got := plain("That of\nthe other; In place-of"); got != " that of the other in place of " {
		t.Errorf("plain words = %q, want small letters and single spaces", got)
	}
	for format, want := range map[string]bool{"%+v": false, "%s: %v": false, "%d, want %d": true, "%-5.2f%%": false, "no": true} {
		if got := hasLetter(format); got != want {
			t.Errorf("format %q has a letter: %v, want %v", format, got, want)
		}
	}
}
