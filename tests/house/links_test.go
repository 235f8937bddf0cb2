package house

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/links")

// A binary that is shipped links the modules on its list and no others, so that a Lambda carries no Azure. A change
// is accepted by `go test ./tests/house -run TestLinks -update`.
func TestLinksAreThoseOnTheList(t *testing.T) {
	lists := map[string]bool{}
	for _, p := range packages(t) {
		if p.Name != "main" || under(p.short(), []string{"tests"}) {
			continue
		}
		name := strings.ReplaceAll(p.short(), "/", "_") + ".txt"
		lists[name] = true
		linked := linkedModules(t, p)
		checkOneCloud(t, p, linked)
		file := filepath.Join("testdata", "links", name)
		if *update {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(strings.Join(linked, "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Errorf("%s has no list of modules (accept with -update): %v", p.short(), err)
			continue
		}
		compare(t, p.short(), strings.Fields(string(text)), linked)
	}
	if len(lists) == 0 {
		t.Error("there is no main package to check")
	}
	kept, err := os.ReadDir(filepath.Join("testdata", "links"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, entry := range kept {
		if strings.HasSuffix(entry.Name(), ".txt") && !lists[entry.Name()] {
			t.Errorf("testdata/links/%s is about no main package", entry.Name())
		}
	}
}

// linkedModules returns the modules of a main package's dependencies, sorted. The platform is fixed: some
// dependencies differ by platform, and servers run on this one.
func linkedModules(t *testing.T, p listed) []string {
	t.Helper()
	platform := []string{"GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0"}
	out, err := run(platform, "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", p.ImportPath)
	if err != nil {
		t.Fatal(err)
	}
	modules := strings.Fields(string(out))
	slices.Sort(modules)
	return slices.Compact(modules)
}

// signIn are modules of Google's SDK that are no sign of it: gocloud's azureblob names its user agent by
// google.golang.org/api/option, which brings Google's sign-in.
var signIn = []string{"cloud.google.com/go/auth", "cloud.google.com/go/compute/metadata"}

// checkOneCloud holds a target to its own cloud's SDK, whatever its list says.
func checkOneCloud(t *testing.T, p listed, linked []string) {
	t.Helper()
	if !under(p.short(), []string{"infra"}) {
		return
	}
	var linkedClouds []string
	for cloud, sdk := range map[string]string{"AWS": "github.com/aws/aws-sdk-go-v2", "Google": "cloud.google.com/go", "Azure": "github.com/Azure"} {
		if slices.ContainsFunc(linked, func(m string) bool { return under(m, []string{sdk}) && !under(m, signIn) }) {
			linkedClouds = append(linkedClouds, cloud)
		}
	}
	if len(linkedClouds) > 1 {
		t.Errorf("%s links the SDKs of %s", p.short(), strings.Join(linkedClouds, " and "))
	}
}

func compare(t *testing.T, main string, want, got []string) {
	t.Helper()
	for _, m := range got {
		if !slices.Contains(want, m) {
			t.Errorf("%s now links %s (accept with -update)", main, m)
		}
	}
	for _, m := range want {
		if !slices.Contains(got, m) {
			t.Errorf("%s no longer links %s (accept with -update)", main, m)
		}
	}
}
