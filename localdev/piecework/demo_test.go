package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/localdev/piecework/internal/demo"
	"github.com/piecework/piecework/localdev/piecework/internal/demo/stage"
)

// demoRun runs a command line of the demo, and returns its exit status and what it prints.
func demoRun(t *testing.T, in io.Reader, args ...string) (status int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = run(t.Context(), append([]string{"demo"}, args...), newConsole(in, &stdout, &stderr, nil))
	return status, stdout.String(), stderr.String()
}

func TestDemoPrintsOneDocument(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	status, out, errs := demoRun(t, nil, "--json", "--dir", dir)
	if status != exitOK || errs != "" {
		t.Fatalf("exit status %d: %s", status, errs)
	}
	var r stage.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	sums := map[string]string{demo.NearestFile: demo.NearestSHA256, demo.ByStateFile: demo.ByStateSHA256}
	for _, f := range r.Files {
		if f.Path != filepath.Join(dir, f.Name) || f.SHA256 != sums[f.Name] {
			t.Errorf("%+v", f)
		}
		delete(sums, f.Name)
	}
	if len(sums) > 0 || r.PaceMS != 0 || r.Result.Rows != demo.ZIPCodes {
		t.Errorf("it prints %s", out)
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
		{"--kill --checkpoint-every 20000", exitUsage, "use 8,409 or fewer"},
		{"--kil", exitUsage, "did you mean --kill?"},
		{"airports", exitUsage, "airports"},
	} {
		args := strings.Fields(test.args)
		if !strings.Contains(test.args, "--dir") {
			args = append(args, "--dir", filepath.Join(t.TempDir(), "demo"))
		}
		if status, out, errs := demoRun(t, nil, args...); status != test.status || !strings.Contains(errs, test.want) || out != "" {
			t.Errorf("demo %s: exit status %d, prints %q and %q; want %d and %q", test.args, status, out, errs, test.status, test.want)
		}
	}
}

// A worker whose demo has died sees the end of its input.
func TestDemoWorkerEndsWithItsInput(t *testing.T) {
	in, demoEnd := io.Pipe()
	ended := make(chan string, 1)
	dir := filepath.Join(t.TempDir(), "demo")
	go func() {
		status, _, errs := demoRun(t, in, demoWorker, "--dir", dir)
		if status != exitOK {
			errs = "failed: " + errs
		}
		ended <- errs
	}()
	if _, err := demoEnd.Write([]byte("x")); err != nil { // it is there
		t.Fatal(err)
	}
	if err := demoEnd.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case errs := <-ended:
		if strings.HasPrefix(errs, "failed") {
			t.Error(errs)
		}
	case <-time.After(time.Minute):
		t.Error("the worker goes on")
	}
}

func TestDemoHelpSaysThatItIsSlowedDown(t *testing.T) {
	status, out, _ := demoRun(t, nil, "--help")
	if status != exitOK || !strings.Contains(out, "--pace 0 is full speed") || strings.Contains(out, "standard input ends") {
		t.Errorf("exit status %d:\n%s", status, out)
	}
}
