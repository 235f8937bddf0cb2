package house

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// How large the programs may be that are shipped, in millions of bytes: a platform fetches them before each cold start.
// A budget is a little more than a program had when it was last looked at.
var budgets = map[string]int{
	"infra/aws": 24, "infra/gcp": 32, "infra/azure": 25, "infra/selfhost": 29, "localdev/piecework": 30,
}

// The programs are built as infra/build.sh builds them.
func TestProgramsKeepToTheirSize(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds all programs")
	}
	dir := t.TempDir()
	var table []string
	for _, p := range packages(t) {
		if p.Name != "main" || under(p.short(), []string{"tests"}) {
			continue
		}
		budget, ok := budgets[p.short()]
		if !ok {
			t.Errorf("%s has no budget", p.short())
			continue
		}
		program := filepath.Join(dir, strings.ReplaceAll(p.short(), "/", "_"))
		size := build(t, program, p.ImportPath, "-tags", "timetzdata,lambda.norpc,grpcnotrace", "-ldflags", "-s -w -buildid=")
		table = append(table, fmt.Sprintf("%-20s %5.1f MB of %d", p.short(), size, budget))
		if size > float64(budget) {
			t.Errorf("%s has %.1f MB, more than %d", p.short(), size, budget)
		}
	}
	slices.Sort(table)
	t.Logf("stripped programs for linux/amd64:\n%s", strings.Join(table, "\n"))
}

// build builds a program for linux/amd64 and returns its size in millions of bytes.
func build(t *testing.T, program, pkg string, flags ...string) float64 {
	t.Helper()
	args := slices.Concat([]string{"build", "-trimpath", "-buildvcs=false", "-o", program}, flags, []string{pkg})
	if _, err := run([]string{"GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS="}, "go", args...); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	return float64(info.Size()) / 1e6
}

// smallest is a program of localdev with SQLite and files. The file beside it lists the modules that it links.
const smallest = "./tests/house/testdata/smallest"

// A program pays for what it uses: the smallest one links the modules on the list and no others.
func TestTheSmallestProgramLinksLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a program")
	}
	program := filepath.Join(t.TempDir(), "smallest")
	plain := build(t, program, smallest)
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var linked []string
	for _, m := range info.Deps {
		linked = append(linked, m.Path)
	}
	slices.Sort(linked)
	const list = "tests/house/testdata/smallest/modules.txt"
	if diff := cmp.Diff(strings.Fields(string(read(t, list))), linked); diff != "" {
		t.Errorf("the smallest program links other modules than %s lists (-list +linked):\n%s", list, diff)
	}
	stripped := build(t, program, smallest, "-tags", "grpcnotrace", "-ldflags", "-s -w")
	t.Logf("%d modules, %.1f MB, stripped and without grpc's trace %.1f MB", len(linked), plain, stripped)
	if most, mostStripped := 29.9, 15.7; plain > most || stripped > mostStripped {
		t.Errorf("the smallest program has %.1f MB, stripped %.1f MB; want %v and %v at most", plain, stripped, most, mostStripped)
	}
}
