package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// hellos are programs below hello that run one job in the shortest way that its documentation shows.
var hellos = []string{"piecework", "river", "asynq", "temporal"}

// compare builds them, and prints what each costs its author and its user.
func compare(ctx context.Context, out io.Writer) error {
	_, _ = fmt.Fprintf(out, "%-10s %6s %6s %8s %9s %9s\n", "hello", "lines", "calls", "modules", "MB", "stripped")
	dir, err := os.MkdirTemp("", "peers")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for _, name := range hellos {
		lines, calls, err := count(filepath.Join("hello", name, "main.go"))
		if err != nil {
			return err
		}
		plain, modules, err := build(ctx, name, filepath.Join(dir, name))
		if err != nil {
			return err
		}
		stripped, _, err := build(ctx, name, filepath.Join(dir, name), "-trimpath", "-ldflags=-s -w")
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(out, "%-10s %6d %6d %8d %9.1f %9.1f\n", name, lines, calls, modules, plain, stripped)
	}
	return nil
}

// count returns how many lines of a program are not empty, and how many calls of functions and
// methods it has.
func count(file string) (lines, calls int, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, 0, err
	}
	for line := range bytes.Lines(text) {
		if len(bytes.TrimSpace(line)) > 0 {
			lines++
		}
	}
	tree, err := parser.ParseFile(token.NewFileSet(), file, text, 0)
	if err != nil {
		return 0, 0, err
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if s, ok := call.Fun.(*ast.SelectorExpr); ok && fmt.Sprint(s.X) != "fmt" {
				calls++
			}
		}
		return true
	})
	return lines, calls, nil
}

// build builds a program, and returns its megabytes and how many other modules it links.
func build(ctx context.Context, name, to string, flags ...string) (megabytes float64, modules int, err error) {
	args := append([]string{"build", "-o", to}, append(flags, "./hello/"+name)...)
	cmd := exec.CommandContext(ctx, "go", args...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return 0, 0, fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, text)
	}
	file, err := os.Stat(to)
	if err != nil {
		return 0, 0, err
	}
	info, err := buildinfo.ReadFile(to)
	if err != nil {
		return 0, 0, err
	}
	return float64(file.Size()) / 1e6, len(info.Deps), nil
}
