package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
)

// server is `piecework up` in this process.
type server struct {
	url, dir string
	stop     func() int
}

// start starts a server and waits until it listens.
func start(t *testing.T, dir string, args ...string) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	var errs bytes.Buffer
	status := make(chan int, 1)
	go func() {
		c := newConsole(strings.NewReader(""), w, &errs, nil)
		status <- run(ctx, append([]string{"up", "--json", "--addr", "127.0.0.1:0", "--dir", dir}, args...), c)
		_ = w.Close()
	}()
	var hello struct {
		URL string `json:"url"`
	}
	d := json.NewDecoder(bufio.NewReader(r))
	if err := d.Decode(&hello); err != nil {
		t.Fatalf("up: %v\n%s", err, errs.String())
	}
	s := &server{url: hello.URL, dir: dir}
	s.stop = func() int {
		cancel()
		code := <-status
		status <- code
		return code
	}
	t.Cleanup(func() { s.stop() })
	return s
}

// result is what a command did.
type result struct {
	code     int
	out, err string
}

// cli runs a command.
func cli(t *testing.T, in string, env []string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), args, newConsole(strings.NewReader(in), &out, &errs, env))
	return result{code, out.String(), errs.String()}
}

// ask runs a command against the server.
func (s *server) ask(t *testing.T, args ...string) result {
	t.Helper()
	return cli(t, "", []string{"PIECEWORK_URL=" + s.url}, args...)
}

// document decodes what a command printed.
func document[T any](t *testing.T, r result) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(r.out), &v); err != nil {
		t.Fatalf("%v in %q (exit status %d, %s)", err, r.out, r.code, r.err)
	}
	return v
}

func TestCommandsOnAServer(t *testing.T) {
	s := start(t, t.TempDir())
	r := s.ask(t, "submit", "demo.echo", `{"a":1}`, "--wait", "--tag", "x")
	if r.code != 0 || r.out != "{\"a\":1}\n" || !strings.Contains(r.err, "succeeded") {
		t.Fatalf("submit --wait: %+v", r)
	}
	id := strings.TrimSpace(s.ask(t, "submit", "demo.echo", "[1,2]", "--held").out)
	if !strings.HasPrefix(id, "job-") {
		t.Fatalf("submit printed %q", id)
	}
	if r := s.ask(t, "wait", id, "--timeout", "50ms"); r.code != exitTimeout || !strings.Contains(r.err, "is held after 50ms") {
		t.Errorf("wait for a held job: %+v", r)
	}
	if r := s.ask(t, "release", id); r.code != 0 || !strings.HasPrefix(r.out, id) {
		t.Errorf("release: %+v", r)
	}
	if r := s.ask(t, "wait", id); r.code != 0 || r.out != "[1,2]\n" {
		t.Errorf("wait: %+v", r)
	}
	if r := s.ask(t, "get", id); r.code != 0 || !strings.Contains(r.out, "state     succeeded") || !strings.Contains(r.out, "result    [1,2]") {
		t.Errorf("get: %+v", r)
	}
	list := document[functions.List](t, s.ask(t, "list", "--json", "--tag", "x"))
	if len(list.Jobs) != 1 || list.Jobs[0].Kind != "demo.echo" {
		t.Errorf("list: %+v", list)
	}
	later := strings.TrimSpace(s.ask(t, "submit", "demo.echo", "--in", "10h").out)
	if r := s.ask(t, "cancel", later, "--reason", "not needed"); r.code != 0 || !strings.Contains(r.out, "cancelled") {
		t.Errorf("cancel: %+v", r)
	}
	if r := s.ask(t, "wait", later); r.code != exitCancelled || !strings.Contains(r.err, "not needed") {
		t.Errorf("wait for a cancelled job: %+v", r)
	}
	if r := s.ask(t, "retry", later, "job-none"); r.code != exitNotFound || !strings.Contains(r.out, later) || !strings.Contains(r.err, "job-none") {
		t.Errorf("retry: %+v", r)
	}
	if r := s.ask(t, "submit", "demo.fail", `{"times":9}`, "--max-attempts", "1", "--wait"); r.code != exitFailed || !strings.Contains(r.err, "attempt 1 of 9 that fail") {
		t.Errorf("a job that fails: %+v", r)
	}
	if kinds := document[wire.Kinds](t, s.ask(t, "kinds", "--json")); len(kinds.Kinds) != 4 {
		t.Errorf("kinds: %+v", kinds)
	}
	if r := s.ask(t, "kinds"); !strings.Contains(r.out, "demo.airports  yes        default  5") {
		t.Errorf("kinds: %s", r.out)
	}
	document[functions.SweepResult](t, s.ask(t, "sweep", "--json"))
	document[wire.Stats](t, s.ask(t, "stats", "--json"))
	document[wire.ParkedPage](t, s.ask(t, "parked", "--json"))
	for _, command := range []string{"sweep", "stats", "parked"} {
		if r := s.ask(t, command); r.code != 0 {
			t.Errorf("%s: %+v", command, r)
		}
	}
	if code := s.stop(); code != 0 && code != exitInterrupted {
		t.Errorf("up ended with %d", code)
	}
	if r := cli(t, "", nil, "fsck", "--dir", s.dir, "--deep"); r.code != 0 || !strings.Contains(r.out, "no problems") {
		t.Errorf("fsck: %+v", r)
	}
}

func TestOutputs(t *testing.T) {
	s := start(t, t.TempDir())
	r := s.ask(t, "submit", "demo.airports", "{}", "--wait", "--json")
	job := document[functions.Info](t, r)
	if r.code != 0 || len(job.Outputs) != 2 {
		t.Fatalf("job %+v", job)
	}
	if r := s.ask(t, "output", job.ID); r.code != 0 || !strings.Contains(r.out, "nearest.csv   1.4 MB") {
		t.Errorf("list: %+v", r)
	}
	if list := document[wire.Outputs](t, s.ask(t, "output", job.ID, "--json")); len(list.Outputs) != 2 {
		t.Errorf("list: %+v", list)
	}
	if r := s.ask(t, "output", job.ID, "by-state.csv"); !strings.HasPrefix(r.out, "state,zip_codes,mean_km,max_km\n") {
		t.Errorf("to standard output: %.100q %s", r.out, r.err)
	}
	file := filepath.Join(t.TempDir(), "n.csv")
	got := document[struct {
		Path, SHA256 string
		Size         int64
	}](t, s.ask(t, "output", job.ID, "nearest.csv", "-o", file, "--json"))
	if info, err := os.Stat(file); err != nil || info.Size() != got.Size || got.Path != file {
		t.Errorf("%+v, %v", got, err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(file)); len(entries) != 1 {
		t.Errorf("files left beside it: %v", entries)
	}
	for _, c := range []struct {
		args []string
		code int
		text string
	}{
		{[]string{"output", job.ID, "nearst.csv"}, exitNotFound, `did you mean "nearest.csv"?`},
		{[]string{"output", "job-none"}, exitNotFound, "no such record"},
		{[]string{"output", job.ID, "-o", file}, exitUsage, "needs the NAME"},
		{[]string{"output", job.ID, "nearest.csv", "--json"}, exitUsage, "needs -o FILE"},
		{[]string{"output", job.ID, "nearest.csv", "-o", filepath.Dir(file)}, exitUsage, "is a directory"},
		{[]string{"output", job.ID, "nearest.csv", "-o", file + "/none/x"}, exitError, "not a directory"},
	} {
		if r := s.ask(t, c.args...); r.code != c.code || !strings.Contains(r.err, c.text) {
			t.Errorf("%v: %+v, want %d and %q", c.args, r, c.code, c.text)
		}
	}
}

// A server that stops hands back what runs; the next one over the same directory goes on with it.
func TestUpGoesOnWhereItStopped(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	id := strings.TrimSpace(s.ask(t, "submit", "demo.sleep", `{"for":"1500ms"}`).out)
	for state := ""; state != "running"; {
		state = string(document[functions.Info](t, s.ask(t, "get", id, "--json")).State)
	}
	s.stop()
	s = start(t, dir)
	if r := s.ask(t, "wait", id); r.code != 0 || !strings.Contains(r.out, "slept 1.5s in 1 attempts") {
		t.Errorf("%+v", r)
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
		t.Errorf("reader: %+v", r)
	}
	if r := s.ask(t, "submit", "demo.echo", "--token", "reader-0123456789"); r.code != exitError || !strings.Contains(r.err, "operator") {
		t.Errorf("reader submits: %+v", r)
	}
	if r := cli(t, "", []string{"PIECEWORK_URL=" + s.url, "PIECEWORK_TOKEN=operator-0123456789"}, "submit", "demo.echo"); r.code != 0 {
		t.Errorf("operator: %+v", r)
	}
	if r := cli(t, "", []string{"PIECEWORK_TOKEN=secret-secret-secret"}, "list", "--help"); strings.Contains(r.out, "secret-secret") {
		t.Error("--help prints the token")
	}
}

func TestUpRefusals(t *testing.T) {
	dir := t.TempDir()
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
		{nil, []string{"--store", "redis://x"}, exitUsage, "sqlite:///path/to/file"},
		{nil, []string{"--dri", "x"}, exitUsage, "did you mean --dir?"},
		{nil, []string{"x"}, exitUsage, "takes no arguments"},
	} {
		args := append([]string{"up", "--dir", dir, "--addr", "127.0.0.1:0"}, c.args...)
		if r := cli(t, "", c.env, args...); r.code != c.code || !strings.Contains(r.err, c.text) || r.out != "" {
			t.Errorf("%v %v: %+v, want %d and %q", c.env, c.args, r, c.code, c.text)
		} else if strings.Contains(r.err, "operator-0123456789") {
			t.Errorf("%v: the token is told: %s", c.args, r.err)
		}
	}
	s := start(t, dir)
	r := cli(t, "", nil, "up", "--dir", t.TempDir(), "--addr", strings.TrimPrefix(s.url, "http://"))
	if r.code != exitError || !strings.Contains(r.err, "is in use, perhaps by another piecework") {
		t.Errorf("a port in use: %+v", r)
	}
}

func TestForeignVariablesAreLeftAlone(t *testing.T) {
	c := newConsole(nil, io.Discard, io.Discard, []string{"PIECEWORK_TEST_POSTGRES=x", "PIECEWORK_REQUIRE_SERVERS=1", "PIECEWORK_DIR=x", "HOME=/"})
	if err := c.checkEnv(); err != nil {
		t.Error(err)
	}
}

func TestMisuse(t *testing.T) {
	for _, c := range []struct {
		args []string
		text string
	}{
		{[]string{"sumbit"}, `unknown command "sumbit" for "piecework"; did you mean: submit`},
		{[]string{"list", "--kidn", "x"}, "unknown flag --kidn; did you mean --kind?"},
		{[]string{"list", "--limit", "x"}, `--limit "x": want a number`},
		{[]string{"list", "--state", "hedl"}, `unknown state "hedl"; did you mean "held"?`},
		{[]string{"list", "x"}, "takes no arguments"},
		{[]string{"get"}, "want the ID of a job"},
		{[]string{"get", "a", "b"}, `and not "b" too`},
		{[]string{"submit"}, "want KIND [ARGS]"},
		{[]string{"submit", "demo.echo", "{a:1}"}, "the shell took the quotes away"},
		{[]string{"submit", "demo.echo", "hello"}, `'"hello"'`},
		{[]string{"submit", "demo.echo", "@/none"}, "no such file"},
		{[]string{"submit", "demo.echo", "--at", "tomorrow"}, "--at \"tomorrow\": write it as"},
		{[]string{"submit", "demo.echo", "--at", "2030-01-01", "--in", "5s"}, "not both"},
		{[]string{"wait", "job-x", "--timeout", "-5s"}, "cannot be negative"},
		{[]string{"wait", "job-x", "--timeout", "5"}, "want a duration, as in 90s"},
		{[]string{"list", "--url", "ftp://x"}, "write it as in http://127.0.0.1:7433"},
		{[]string{"fsck", "--dir", "/none"}, "there is no store in /none"},
	} {
		if r := cli(t, "", nil, c.args...); r.code != exitUsage || !strings.Contains(r.err, c.text) || r.out != "" {
			t.Errorf("%v: %+v, want %q", c.args, r, c.text)
		}
	}
}

func TestServersRefusalsInFlags(t *testing.T) {
	s := start(t, t.TempDir())
	for _, c := range []struct {
		args []string
		code int
		text string
	}{
		{[]string{"submit", "demo.ecko"}, exitUsage, `did you mean "demo.echo"?`},
		{[]string{"submit", "demo.sleep", `{"fro":"1s"}`}, exitUsage, `unknown field "fro"; did you mean "for"?`},
		{[]string{"submit", "demo.echo", "--in", "5x"}, exitUsage, `--in: "5x" is not a duration`},
		{[]string{"list", "--limit", "2000"}, exitUsage, "--limit: expected number <= 1000"},
		{[]string{"list", "--cursor", "x"}, exitUsage, "not a cursor"},
		{[]string{"get", "job-none"}, exitNotFound, "no such record"},
		{[]string{"get", "none"}, exitNotFound, "they begin with job-"},
		{[]string{"retry", strings.TrimSpace(s.ask(t, "submit", "demo.echo", "--held").out)}, exitError, "cannot"},
	} {
		if r := s.ask(t, c.args...); r.code != c.code || !strings.Contains(r.err, c.text) {
			t.Errorf("%v: %+v, want %d and %q", c.args, r, c.code, c.text)
		}
	}
	r := s.ask(t, "get", "job-none", "--json")
	var doc struct {
		Error struct {
			ExitStatus int    `json:"exit_status"`
			Code       string `json:"code"`
		} `json:"error"`
	}
	if err := json.Unmarshal([]byte(r.err), &doc); err != nil || doc.Error.ExitStatus != exitNotFound || doc.Error.Code != "not_found" || r.out != "" {
		t.Errorf("--json: %+v, %v", r, err)
	}
}

func TestArgumentsFromFileAndInput(t *testing.T) {
	s := start(t, t.TempDir())
	file := filepath.Join(t.TempDir(), "args.json")
	if err := os.WriteFile(file, []byte("{\"from\":\n\"file\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := s.ask(t, "submit", "demo.echo", "@"+file, "-w"); r.out != "{\"from\":\"file\"}\n" {
		t.Errorf("%+v", r)
	}
	if r := cli(t, `"typed"`, []string{"PIECEWORK_URL=" + s.url}, "submit", "demo.echo", "-", "-w"); r.out != "\"typed\"\n" {
		t.Errorf("%+v", r)
	}
}

func TestNoServer(t *testing.T) {
	r := cli(t, "", []string{"PIECEWORK_URL=http://127.0.0.1:1"}, "list")
	if r.code != exitUnreachable || r.err != "piecework: no Piecework server at http://127.0.0.1:1; start one with: piecework up\n" {
		t.Errorf("%+v", r)
	}
}

func TestParseTime(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-12-01T06:00:00Z": time.Date(2026, 12, 1, 6, 0, 0, 0, time.UTC),
		"2026-12-01 06:00":     time.Date(2026, 12, 1, 6, 0, 0, 0, time.Local),
		"2026-12-01":           time.Date(2026, 12, 1, 0, 0, 0, 0, time.Local),
	} {
		if got, err := parseTime(text); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestHelpAndCompletion(t *testing.T) {
	s := start(t, t.TempDir())
	for _, args := range [][]string{{"--help"}, {"submit", "--help"}, {"completion", "bash"}, {"completion", "fish"}, {"version"}, {"version", "--json"}} {
		if r := s.ask(t, args...); r.code != 0 || r.out == "" {
			t.Errorf("%v: %d, %s", args, r.code, r.err)
		}
	}
	if r := s.ask(t, "__complete", "submit", "demo.e"); !strings.Contains(r.out, "demo.echo") {
		t.Errorf("kinds are not completed: %+v", r)
	}
	if r := s.ask(t, "__complete", "list", "--state", "f"); !strings.Contains(r.out, "failed") {
		t.Errorf("states are not completed: %+v", r)
	}
}

func TestCancelOfARunningJob(t *testing.T) {
	s := start(t, t.TempDir())
	id := strings.TrimSpace(s.ask(t, "submit", "demo.sleep", `{"for":"1h"}`).out)
	for state := ""; state != "running"; {
		state = string(document[functions.Info](t, s.ask(t, "get", id, "--json")).State)
	}
	if r := s.ask(t, "cancel", id); r.code != 0 || r.out != id+" running, told to stop\n" {
		t.Errorf("cancel: %+v", r)
	}
	if r := s.ask(t, "wait", id); r.code != exitCancelled {
		t.Errorf("wait: %+v", r)
	}
}
