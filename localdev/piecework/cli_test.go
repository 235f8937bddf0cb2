package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/localdev"
	"github.com/piecework/piecework/store"
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
		t.Fatalf("up: %v\n%s, want err == nil", err, errs.String())
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

func TestParkedMessages(t *testing.T) {
	s := start(t, t.TempDir())
	beside, err := localdev.OpenStorage(t.Context(), localdev.Config{Dir: s.dir})
	if err != nil {
		t.Fatal(err)
	}
	defer beside.Close()
	records, err := store.New(beside.Records, nil)
	if err != nil {
		t.Fatal(err)
	}
	for id, body := range map[string]string{"parked-good": `{"kind":"demo.echo","args":[1]}`, "parked-bad": "x", "parked-worse": "y"} {
		if _, err := records.Park(t.Context(), store.Parked{ID: id, At: 1, Queue: functions.SubmitQueue, Reason: "why", Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	if r := s.ask(t, "parked"); r.code != 0 || strings.Count(r.out, "why") != 3 {
		t.Errorf("parked: %+v, want three", r)
	}
	r := s.ask(t, "parked", "replay", "parked-good", "parked-bad")
	id, job, _ := strings.Cut(strings.TrimSpace(r.out), " ")
	if r.code != exitUsage || id != "parked-good" || !strings.HasPrefix(job, "job-") || !strings.Contains(r.err, "parked-bad") {
		t.Errorf("replay: %+v, want the job of the good one and the reason of the bad one", r)
	}
	if r := s.ask(t, "wait", job); r.code != 0 || r.out != "[1]\n" {
		t.Errorf(`wait for the replayed job: %+v, want r.code == 0 && r.out == "[1]\n"`, r)
	}
	if r := s.ask(t, "parked", "remove", "parked-bad"); r.code != 0 || r.out != "parked-bad removed\n" {
		t.Errorf(`remove: %+v, want r.code == 0 && r.out == "parked-bad removed\n"`, r)
	}
	if u := document[wire.Unparked](t, s.ask(t, "parked", "remove", "parked-worse", "--json")); u.ID != "parked-worse" {
		t.Errorf(`remove --json: %+v, want "parked-worse"`, u)
	}
	if r := s.ask(t, "parked", "remove", "parked-bad"); r.code != exitNotFound {
		t.Errorf("remove again: %+v, want exit status %d", r, exitNotFound)
	}
	sent := store.Parked{ID: "parked-0123456789abcdef01234567", At: 1, Queue: functions.SubmitQueue, Reason: "why", Body: []byte("x")}
	if _, err := records.Park(t.Context(), sent); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	c := newConsole(strings.NewReader(""), &out, &errs, []string{"PIECEWORK_URL=" + s.url})
	c.columns = 80
	if code := run(t.Context(), []string{"parked"}, c); code != exitOK || !strings.Contains(out.String(), "\n01234567  ") {
		t.Errorf("parked on a terminal = %d, %q, want the end of the id", code, out.String())
	}
	if r := s.ask(t, "parked", "remove", "01234567"); r.code != exitOK || r.out != sent.ID+" removed\n" {
		t.Errorf("remove by the end of an id: %+v, want %s removed", r, sent.ID)
	}
	if page := document[wire.ParkedPage](t, s.ask(t, "parked", "--json")); len(page.Parked) != 0 {
		t.Errorf("left: %+v, want none", page.Parked)
	}
}

func TestCommandsOnAServer(t *testing.T) {
	s := start(t, t.TempDir())
	r := s.ask(t, "submit", "demo.echo", `{"a":1}`, "--wait", "--tag", "x")
	if r.code != 0 || r.out != "{\"a\":1}\n" || !strings.Contains(r.err, "succeeded") {
		t.Fatalf(`submit --wait: %+v, want r.code == 0 && r.out == "{\"a\":1}\n" && strings.Contains(r.err, "succeeded")`, r)
	}
	id := strings.TrimSpace(s.ask(t, "submit", "demo.echo", "[1,2]", "--held").out)
	if !strings.HasPrefix(id, "job-") {
		t.Fatalf(`submit printed %q, want strings.HasPrefix(id, "job-")`, id)
	}
	if r := s.ask(t, "wait", id, "--timeout", "50ms"); r.code != exitTimeout || !strings.Contains(r.err, "is held after 50ms") {
		t.Errorf(`wait for a held job: %+v, want r.code == exitTimeout && strings.Contains(r.err, "is held after 50ms")`, r)
	}
	if r := s.ask(t, "release", id); r.code != 0 || !strings.HasPrefix(r.out, id) {
		t.Errorf("release: %+v, want r.code == 0 && strings.HasPrefix(r.out, id)", r)
	}
	if r := s.ask(t, "wait", id); r.code != 0 || r.out != "[1,2]\n" {
		t.Errorf(`wait: %+v, want r.code == 0 && r.out == "[1,2]\n"`, r)
	}
	if r := s.ask(t, "get", id); r.code != 0 || !strings.Contains(r.out, "state     succeeded") || !strings.Contains(r.out, "result    [1,2]") {
		t.Errorf(`get: %+v, want r.code == 0 && strings.Contains(r.out, "state     succeeded") && strings.Contains(r.out, "result    [1,2]")`, r)
	}
	list := document[functions.List](t, s.ask(t, "list", "--json", "--tag", "x"))
	if len(list.Jobs) != 1 || list.Jobs[0].Kind != "demo.echo" {
		t.Errorf(`list: %+v, want len(list.Jobs) == 1 && list.Jobs[0].Kind == "demo.echo"`, list)
	}
	later := strings.TrimSpace(s.ask(t, "submit", "demo.echo", "--in", "10h").out)
	if r := s.ask(t, "cancel", later, "--reason", "not needed"); r.code != 0 || !strings.Contains(r.out, "cancelled") {
		t.Errorf(`cancel: %+v, want r.code == 0 && strings.Contains(r.out, "cancelled")`, r)
	}
	if r := s.ask(t, "wait", later); r.code != exitCancelled || !strings.Contains(r.err, "not needed") {
		t.Errorf(`wait for a cancelled job: %+v, want r.code == exitCancelled && strings.Contains(r.err, "not needed")`, r)
	}
	if r := s.ask(t, "retry", later, "job-none"); r.code != exitNotFound || !strings.Contains(r.out, later) || !strings.Contains(r.err, "job-none") {
		t.Errorf(`retry: %+v, want r.code == exitNotFound && strings.Contains(r.out, later) && strings.Contains(r.err, "job-none")`, r)
	}
	if r := s.ask(t, "submit", "demo.fail", `{"times":9}`, "--max-attempts", "1", "--wait"); r.code != exitFailed || !strings.Contains(r.err, "attempt 1 of 9 that fail") {
		t.Errorf(`a job that fails: %+v, want r.code == exitFailed && strings.Contains(r.err, "attempt 1 of 9 that fail")`, r)
	}
	if kinds := document[wire.Kinds](t, s.ask(t, "kinds", "--json")); len(kinds.Kinds) != 4 {
		t.Errorf("kinds: %+v, want len(kinds.Kinds) == 4", kinds)
	}
	if r := s.ask(t, "kinds"); !strings.Contains(r.out, "demo.airports  yes        default  5") {
		t.Errorf(`kinds: %s, want strings.Contains(r.out, "demo.airports  yes        default  5")`, r.out)
	}
	if r := s.ask(t, "kinds", "demo.sleep"); r.code != 0 || !strings.Contains(r.out, `"for":{`) {
		t.Errorf("kinds demo.sleep = %+v, want the schema of its arguments", r)
	}
	if r := s.ask(t, "kinds", "demo.slepe"); r.code != exitNotFound || !strings.Contains(r.err, `did you mean "demo.sleep"?`) {
		t.Errorf("kinds demo.slepe = %+v, want exit status %d and the nearest kind", r, exitNotFound)
	}
	if k := document[wire.Kind](t, s.ask(t, "kinds", "demo.sleep", "--json")); k.Name != "demo.sleep" || !json.Valid(k.ArgsSchema) {
		t.Errorf("kinds demo.sleep --json = %+v, want the kind and a schema", k)
	}
	document[functions.SweepResult](t, s.ask(t, "sweep", "--json"))
	document[wire.Stats](t, s.ask(t, "stats", "--json"))
	document[wire.ParkedPage](t, s.ask(t, "parked", "--json"))
	for _, command := range []string{"sweep", "stats", "parked"} {
		if r := s.ask(t, command); r.code != 0 {
			t.Errorf("%s: %+v, want r.code == 0", command, r)
		}
	}
	if code := s.stop(); code != 0 && code != exitInterrupted {
		t.Errorf("up ended with %d, want code == 0 or code == exitInterrupted", code)
	}
	if r := cli(t, "", nil, "fsck", "--dir", s.dir, "--deep", "--repair"); r.code != 0 || !strings.Contains(r.out, "no problems") {
		t.Errorf(`fsck: %+v, want r.code == 0 && strings.Contains(r.out, "no problems")`, r)
	}
}

func TestARetryNumbersAttemptsOn(t *testing.T) {
	s := start(t, t.TempDir())
	job := document[functions.Info](t, s.ask(t, "submit", "demo.fail", `{"times":9}`, "--max-attempts", "1", "--wait", "--json"))
	if r := s.ask(t, "retry", job.ID); r.code != exitOK {
		t.Fatalf("retry = %+v, want exit status 0", r)
	}
	job = document[functions.Info](t, s.ask(t, "wait", job.ID, "--json"))
	if n := len(job.Attempts); n != 2 || job.Attempts[0].Number != 1 || job.Attempts[1].Number != 2 || job.Attempt != 1 {
		t.Errorf("attempts after a retry = %+v with %d used, want the numbers 1 and 2 with 1 used", job.Attempts, job.Attempt)
	}
	if r := s.ask(t, "get", job.ID); !strings.Contains(r.out, "attempt   2 (1/1)\n") {
		t.Errorf("get = %+v, want that the second attempt is the first since the retry", r)
	}
}

func TestOutputs(t *testing.T) {
	s := start(t, t.TempDir())
	r := s.ask(t, "submit", "demo.airports", "{}", "--wait", "--json")
	job := document[functions.Info](t, r)
	if r.code != 0 || len(job.Outputs) != 2 {
		t.Fatalf("job %+v, want r.code == 0 && len(job.Outputs) == 2", job)
	}
	if r := s.ask(t, "output", job.ID); r.code != 0 || !strings.Contains(r.out, "nearest.csv   1.4 MB") {
		t.Errorf(`list: %+v, want r.code == 0 && strings.Contains(r.out, "nearest.csv   1.4 MB")`, r)
	}
	if list := document[wire.Outputs](t, s.ask(t, "output", job.ID, "--json")); len(list.Outputs) != 2 {
		t.Errorf("list: %+v, want len(list.Outputs) == 2", list)
	}
	if r := s.ask(t, "output", job.ID, "by-state.csv"); !strings.HasPrefix(r.out, "state,zip_codes,mean_km,max_km\n") {
		t.Errorf(`to standard output: %.100q %s, want strings.HasPrefix(r.out, "state,zip_codes,mean_km,max_km\n")`, r.out, r.err)
	}
	file := filepath.Join(t.TempDir(), "n.csv")
	got := document[struct {
		Path, SHA256 string
		Size         int64
	}](t, s.ask(t, "output", job.ID, "nearest.csv", "-o", file, "--json"))
	if info, err := os.Stat(file); err != nil || info.Size() != got.Size || got.Path != file {
		t.Errorf("%+v, %v, want err == nil && info.Size() == got.Size && got.Path == file", got, err)
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
		{[]string{"output", "job-none"}, exitNotFound, "no such job"},
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

func TestOutputThatCannotBeReadIsNotAnUnreachableServer(t *testing.T) {
	s := start(t, t.TempDir())
	job := document[functions.Info](t, s.ask(t, "submit", "demo.airports", "{}", "--wait", "--json"))
	if err := os.RemoveAll(filepath.Join(s.dir, "blobs")); err != nil {
		t.Fatal(err)
	}
	want := `output "nearest.csv" cannot be read from the blob store`
	if r := s.ask(t, "output", job.ID, "nearest.csv"); r.code != exitError || r.out != "" || !strings.Contains(r.err, want) {
		t.Errorf("output = %+v, want exit status %d and %q", r, exitError, want)
	}
}

func TestEmptyListsSayThatTheyAreEmpty(t *testing.T) {
	s := start(t, t.TempDir())
	id := strings.TrimSpace(s.ask(t, "submit", "demo.echo", "1", "--held").out)
	for want, args := range map[string][]string{
		"no jobs\n": {"list", "--state", "failed"}, "no parked messages\n": {"parked"},
		"no outputs; they are visible when the job has succeeded\n": {"output", id},
	} {
		if r := s.ask(t, args...); r.code != exitOK || r.out != "" || r.err != want {
			t.Errorf("%v = %+v, want %q on standard error and nothing on standard output", args, r, want)
		}
	}
}

func TestEmptyListsOfAServer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, map[string]string{"/v1/kinds": `{"kinds":[]}`, "/v1/parked": `{"parked":[],"next":"abc"}`}[r.URL.Path])
	}))
	defer server.Close()
	env := []string{"PIECEWORK_URL=" + server.URL}
	if r := cli(t, "", env, "kinds"); r.code != exitOK || r.out != "" || r.err != "no kinds\n" {
		t.Errorf("kinds = %+v, want that there are none", r)
	}
	if r := cli(t, "", env, "parked"); r.code != exitOK || r.out != "more: --cursor abc\n" || r.err != "" {
		t.Errorf("parked = %+v, want how to go on behind an empty page, and not that there are none", r)
	}
}

func TestArgumentsFromFileAndInput(t *testing.T) {
	s := start(t, t.TempDir())
	file := filepath.Join(t.TempDir(), "args.json")
	if err := os.WriteFile(file, []byte("{\"from\":\n\"file\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := s.ask(t, "submit", "demo.echo", "@"+file, "-w"); r.out != "{\"from\":\"file\"}\n" {
		t.Errorf(`%+v, want "{\"from\":\"file\"}\n"`, r)
	}
	if r := cli(t, `"typed"`, []string{"PIECEWORK_URL=" + s.url}, "submit", "demo.echo", "-", "-w"); r.out != "\"typed\"\n" {
		t.Errorf(`%+v, want "\"typed\"\n"`, r)
	}
}

func TestHelpAndCompletion(t *testing.T) {
	s := start(t, t.TempDir())
	for _, args := range [][]string{{"--help"}, {"submit", "--help"}, {"completion", "bash"}, {"completion", "fish"}, {"version"}, {"version", "--json"}} {
		if r := s.ask(t, args...); r.code != 0 || r.out == "" {
			t.Errorf(`%v: %d, %s, want r.code == 0 && r.out != ""`, args, r.code, r.err)
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
		t.Errorf(`cancel: %+v, want r.code == 0 && r.out == id+" running, told to stop\n"`, r)
	}
	if r := s.ask(t, "wait", id); r.code != exitCancelled {
		t.Errorf("wait: %+v, want r.code == exitCancelled", r)
	}
}
