package house

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
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
		_, err := run([]string{"GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS="}, "go", "build", "-trimpath", "-buildvcs=false",
			"-tags", "timetzdata,lambda.norpc,grpcnotrace", "-ldflags", "-s -w -buildid=", "-o", program, p.ImportPath)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(program)
		if err != nil {
			t.Fatal(err)
		}
		size := float64(info.Size()) / 1e6
		table = append(table, fmt.Sprintf("%-20s %5.1f MB of %d", p.short(), size, budget))
		if size > float64(budget) {
			t.Errorf("%s has %.1f MB, more than %d", p.short(), size, budget)
		}
	}
	slices.Sort(table)
	t.Logf("stripped programs for linux/amd64:\n%s", strings.Join(table, "\n"))
}
