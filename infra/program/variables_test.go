package program_test

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/piecework/piecework/infra/program"
)

// The help has every variable with its default, its meaning and its readers.
func TestTheHelpHasTheVariables(t *testing.T) {
	status, page, errs := newWorld(t).run("help", "environment")
	if status != 0 {
		t.Fatalf("exit status = %d, want 0: %s", status, errs)
	}
	for _, v := range program.Variables() {
		want(t, page, "\n  "+strings.TrimSuffix(v.Name+"="+v.Default, "=")+"\n      "+v.Doc+"\n      read by: "+v.Readers)
	}
}

// A variable that is named in code, help, remedies, templates or instructions below infra is in the
// table.
func TestVariablesThatAreNamedExist(t *testing.T) {
	var known []string
	for _, v := range program.Variables() {
		known = append(known, v.Name)
	}
	name := regexp.MustCompile(`\bPIECEWORK_[A-Z][A-Z_]*[A-Z]\b`)
	infra := os.DirFS("..")
	err := fs.WalkDir(infra, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		data, err := fs.ReadFile(infra, path)
		for _, n := range name.FindAllString(string(data), -1) {
			if !slices.Contains(known, n) && n != "PIECEWORK_IMAGE" && // which compose.yaml alone reads
				!strings.HasPrefix(n, "PIECEWORK_TEST") && !strings.HasPrefix(n, "PIECEWORK_REQUIRE") {
				t.Errorf("%s names %s, which is not in the table", path, n)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Values are those of the environment, and the defaults of the table where it says nothing.
func TestTheEnvironmentIsRead(t *testing.T) {
	full := []string{
		"PATH=/bin", "PIECEWORK_STORE=mem://", "PIECEWORK_QUEUES=mem://", "PIECEWORK_BLOBS=mem://", "PIECEWORK_TEST_X=1",
		"PIECEWORK_REQUIRE_SERVERS=1", "PIECEWORK_ADDR=:80", "PIECEWORK_SKEW=", "PIECEWORK_LEASE=10s", "PIECEWORK_LEASE=30s",
	}
	e, err := program.ReadEnvironment(full)
	if err != nil {
		t.Fatal(err)
	}
	if e.Store != "mem://" || e.Timing.Lease.String() != "30s" || e.Timing.Grace.String() != "2m0s" || e.Timing.Skew.String() != "2s" ||
		e.Margin.String() != "5s" || e.Concurrency != 100 || e.Submit || e.Stream {
		t.Errorf("environment = %+v, want a lease of 30s and the defaults", e)
	}
	_, err = program.ReadEnvironment([]string{"PIECEWORK_STOER=mem://", "PIECEWORK_GRACE=soon"})
	if err == nil {
		t.Fatal("error = nil, want one that names all that is wrong")
	}
	want(t, err.Error(), `"PIECEWORK_STOER"; did you mean "PIECEWORK_STORE"?`, "PIECEWORK_STORE is not set",
		`PIECEWORK_GRACE="soon": want a duration`)
}
