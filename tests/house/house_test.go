// Package house checks the rules of the house that no compiler knows: what may lie where, what may import what, how
// long a file may be, and that the documents tell the truth. It has tests only.
package house

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// module is the import path of the repository's root.
const module = "github.com/piecework/piecework"

// root is the repository, seen from this folder.
const root = "../.."

// listed is what `go list -json` says of a package.
type listed struct {
	ImportPath string   `json:"ImportPath"`
	Name       string   `json:"Name"`
	Imports    []string `json:"Imports"`
}

// short is the import path within the module, "." for the root.
func (p listed) short() string {
	if p.ImportPath == module {
		return "."
	}
	return strings.TrimPrefix(p.ImportPath, module+"/")
}

// run calls a program in the repository's root and returns what it prints.
func run(env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.Output()
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
		return out, errors.New(name + " " + strings.Join(args, " ") + ": " + err.Error() + "\n" + string(failed.Stderr))
	}
	return out, err
}

var listOnce = sync.OnceValues(func() ([]listed, error) {
	out, err := run(nil, "go", "list", "-e", "-json=ImportPath,Name,Imports", "./...")
	if err != nil {
		return nil, err
	}
	var all []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var one listed
		if err := decoder.Decode(&one); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
})

// packages lists the packages of the module; nested modules are not among them.
func packages(t *testing.T) []listed {
	t.Helper()
	all, err := listOnce()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var filesOnce = sync.OnceValues(func() ([]string, error) {
	out, err := run(nil, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return nil, err
	}
	var all []string
	for name := range strings.SplitSeq(strings.Trim(string(out), "\x00"), "\x00") {
		if _, err := os.Stat(filepath.Join(root, name)); err == nil { // deleted, but not yet in git
			all = append(all, name)
		}
	}
	return all, nil
})

// files lists the files of the repository, with slashes: those in git and those that would be added.
func files(t *testing.T) []string {
	t.Helper()
	all, err := filesOnce()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// read returns a file of the repository.
func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// source is a parsed Go file of the repository.
type source struct {
	name string
	fset *token.FileSet
	file *ast.File
}

func (s source) isTest() bool { return strings.HasSuffix(s.name, "_test.go") }

// line returns "file:line" for a position.
func (s source) line(pos token.Pos) string {
	at := s.fset.Position(pos)
	return fmt.Sprintf("%s:%d", s.name, at.Line)
}

// sources parses every Go file of the repository, those of nested modules too, but not generated ones.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	fset := token.NewFileSet()
	for _, name := range files(t) {
		if path.Ext(name) != ".go" || strings.Contains(name, "/testdata/") {
			continue
		}
		file, err := parser.ParseFile(fset, name, read(t, name), parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if !ast.IsGenerated(file) {
			all = append(all, source{name, fset, file})
		}
	}
	return all
}
