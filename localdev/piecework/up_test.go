package main

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

// A server that stops hands back what runs; the next one over the same directory goes on with it.
func TestUpGoesOnWhereItStopped(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	id := strings.TrimSpace(s.ask(t, "submit", "demo.sleep", `{"for":"3s"}`).out)
	for info := (functions.Info{}); info.State != store.Running; {
		if info = document[functions.Info](t, s.ask(t, "get", id, "--json")); info.Done() {
			t.Fatalf("it is %s, and was not seen running", info.State)
		}
	}
	s.stop()
	s = start(t, dir)
	if r := s.ask(t, "wait", id); r.code != 0 || !strings.Contains(r.out, "slept 3s in 1 attempts") {
		t.Errorf(`%+v, want r.code == 0 && strings.Contains(r.out, "slept 3s in 1 attempts")`, r)
	}
}

func TestTokens(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	text := "# who may do what\noperator:ops:operator-0123456789\nreader:reader-0123456789 # for the dashboard\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, t.TempDir(), "--token-file", file)
	if r := s.ask(t, "list"); r.code != exitError || !strings.Contains(r.err, "give it with --token or PIECEWORK_TOKEN") {
		t.Errorf("no token: %+v", r)
	}
	if r := s.ask(t, "list", "--token", "reader-0123456789"); r.code != 0 {
		t.Errorf("reader: %+v, want r.code == 0", r)
	}
	if r := s.ask(t, "submit", "demo.echo", "--token", "reader-0123456789"); r.code != exitError || !strings.Contains(r.err, "operator") {
		t.Errorf(`reader submits: %+v, want r.code == exitError && strings.Contains(r.err, "operator")`, r)
	}
	if r := cli(t, "", []string{"PIECEWORK_URL=" + s.url, "PIECEWORK_TOKEN=operator-0123456789"}, "submit", "demo.echo"); r.code != 0 {
		t.Errorf("operator: %+v, want r.code == 0", r)
	}
	if r := cli(t, "", []string{"PIECEWORK_TOKEN=secret-secret-secret"}, "list", "--help"); strings.Contains(r.out, "secret-secret") {
		t.Error("--help prints the token")
	}
}

func TestOriginsOfPages(t *testing.T) {
	s := start(t, t.TempDir(), "--origins", "http://localhost:3000,http://localhost:8080")
	for origin, status := range map[string]int{"http://localhost:8080": http.StatusOK, "http://localhost:5173": http.StatusForbidden} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/v1/kinds", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", origin)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != status {
			t.Errorf("a page of %s got %d, want %d", origin, res.StatusCode, status)
		}
	}
}

func TestUpRefusals(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	for _, c := range []struct {
		env  []string
		args []string
		code int
		text string
	}{
		{[]string{"PIECEWORK_DRI=x"}, nil, exitUsage, `unknown environment variable "PIECEWORK_DRI"; did you mean "PIECEWORK_DIR"?`},
		{[]string{"PIECEWORK_CONCURRENCY=many"}, nil, exitUsage, `concurrency "many"`},
		{nil, []string{"--concurrency", "0"}, exitUsage, "from 1 to 10000"},
		{nil, []string{"--addr", "0.0.0.0:0"}, exitUsage, "without tokens"},
		{nil, []string{"--addr", "7433"}, exitUsage, "host:port"},
		{nil, []string{"--log", "inof"}, exitUsage, `did you mean "info"?`},
		{nil, []string{"--tokens", "operator-0123456789"}, exitUsage, "ROLE:TOKEN"},
		{nil, []string{"--tokens", "oprator:operator-0123456789"}, exitUsage, `did you mean "operator"?`},
		{nil, []string{"--tokens", "operator:short"}, exitUsage, "has 5 characters"},
		{nil, []string{"--token-file", dir + "/none"}, exitUsage, "no such file"},
		{nil, []string{"--token-file", "/dev/null"}, exitUsage, "has no tokens"},
		{nil, []string{"--origins", "localhost:3000"}, exitUsage, `--origins: origin "localhost:3000": write it as`},
		{nil, []string{"--dri", "x"}, exitUsage, "did you mean --dir?"},
		{nil, []string{"x"}, exitUsage, "takes no arguments"},
		{nil, []string{"--store", "redis://x"}, exitUsage, "sqlite:///path/to/file"},
	} {
		args := append([]string{"up", "--dir", dir, "--addr", "127.0.0.1:0"}, c.args...)
		if r := cli(t, "", c.env, args...); r.code != c.code || !strings.Contains(r.err, c.text) || r.out != "" {
			t.Errorf("%v %v: %+v, want %d and %q", c.env, c.args, r, c.code, c.text)
		} else if strings.Contains(r.err, "operator-0123456789") {
			t.Errorf("%v: the token is told: %s", c.args, r.err)
		} else if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) && !slices.Contains(c.args, "--store") {
			t.Errorf("%v %v: it was refused after the data directory was made, want before", c.env, c.args)
		}
	}
}

// A server whose port is taken does not touch the jobs in its directory.
func TestUpListensBeforeItWorks(t *testing.T) {
	s, dir := start(t, t.TempDir()), filepath.Join(t.TempDir(), "data")
	r := cli(t, "", nil, "up", "--dir", dir, "--addr", strings.TrimPrefix(s.url, "http://"))
	if r.code != exitError || !strings.HasPrefix(r.err, "piecework: ") || !strings.Contains(r.err, "is in use, perhaps by another piecework") {
		t.Errorf("up on a port in use = %+v, want exit status %d and that the port is in use", r, exitError)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("up on a port in use opened its store before it listened (%v), want it to listen first", err)
	}
}

func TestDurationsInTheJSONLogCanBeRead(t *testing.T) {
	var log strings.Builder
	c := newConsole(nil, io.Discard, &log, nil)
	c.JSON = true
	logger, err := c.logger("info")
	if err != nil {
		t.Fatal(err)
	}
	logger.InfoContext(t.Context(), "done", slog.Duration("took", 1500*time.Millisecond))
	if !strings.Contains(log.String(), `"took":"1.5s"`) {
		t.Error(log.String())
	}
}

func TestTheLogForPeopleIsInUTC(t *testing.T) {
	var log strings.Builder
	logger, err := newConsole(nil, io.Discard, &log, nil).logger("info")
	if err != nil {
		t.Fatal(err)
	}
	record := slog.NewRecord(noon, slog.LevelInfo, "done", 0)
	if err := logger.Handler().Handle(t.Context(), record); err != nil || !strings.HasPrefix(log.String(), "time=2026-11-21T12:00:00.000Z ") {
		t.Errorf("log = %q, %v, want it to begin with the time in UTC", log.String(), err)
	}
}

func TestForeignVariablesAreLeftAlone(t *testing.T) {
	c := newConsole(nil, io.Discard, io.Discard, []string{"PIECEWORK_TEST_POSTGRES=x", "PIECEWORK_REQUIRE_SERVERS=1", "PIECEWORK_DIR=x", "HOME=/"})
	if err := c.checkEnv(); err != nil {
		t.Error(err)
	}
}
