package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piecework/piecework/localdev/piecework/internal/demo"
)

// demoRun runs a command line of the demo, and returns its exit status and what it prints.
func demoRun(t *testing.T, args ...string) (status int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = run(t.Context(), append([]string{"demo"}, args...), newConsole(nil, &stdout, &stderr, nil))
	return status, stdout.String(), stderr.String()
}

func TestDemoPrintsOneDocument(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	status, out, errs := demoRun(t, "--json", "--dir", dir)
	if status != exitOK || errs != "" || strings.Count(out, "\n") != 1 {
		t.Fatalf("exit status = %d, errors %q, output %q; want %d, no errors and one line", status, errs, out, exitOK)
	}
	var r demo.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if len(r.Files) != 2 || r.PaceMS != 0 || r.Result.Rows != 42049 {
		t.Errorf("output = %s, want 2 files and 42049 rows at full speed", out)
	}
	for _, f := range r.Files {
		if f.Path != filepath.Join(dir, f.Name) || f.SHA256 != f.Want {
			t.Errorf("file = %+v, want it in %s with the known sum", f, dir)
		}
	}
}

func TestDemoRefusesWhatCannotWork(t *testing.T) {
	full := t.TempDir()
	file := filepath.Join(full, "mine.txt")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args   string
		status int
		want   string
	}{
		{"--dir " + full, exitUsage, "is not empty"},
		{"--dir " + file, exitError, "choose another"},
		{"--dir " + file + "/below", exitError, "choose another"},
		{"--pace -1s", exitUsage, "pace_ms is -1000"},
		{"--pace soon", exitUsage, "--pace"},
		{"--kill --pace 0", exitUsage, "use 1s or more"},
		{"--kil", exitUsage, "did you mean --kill?"},
		{"airports", exitUsage, "airports"},
	} {
		args := strings.Fields(test.args)
		if !strings.Contains(test.args, "--dir") {
			args = append(args, "--dir", filepath.Join(t.TempDir(), "demo"))
		}
		if status, out, errs := demoRun(t, args...); status != test.status || !strings.Contains(errs, test.want) || out != "" {
			t.Errorf("demo %s: exit status %d, prints %q and %q; want %d and %q", test.args, status, out, errs, test.status, test.want)
		}
	}
}

func TestDemoHelpSaysThatItIsSlowedDown(t *testing.T) {
	status, out, _ := demoRun(t, "--help")
	if status != exitOK || !strings.Contains(out, "--pace 0 is full speed") {
		t.Errorf("exit status = %d, want %d and the default pace; output:\n%s", status, exitOK, out)
	}
}
