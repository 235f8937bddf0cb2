package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

// killedDir is set in a process that Kill kills: it is the directory of its demo.
const killedDir = "PIECEWORK_TEST_DEMO_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(killedDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := Run(context.Background(), Options{Dir: dir, Pace: 2 * time.Second, Out: os.Stdout}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func process(ctx context.Context, dir string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), killedDir+"="+dir)
	return cmd
}

// options returns the options of a test, and what the demo prints.
func options(t *testing.T) (Options, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	return Options{Dir: filepath.Join(t.TempDir(), "demo"), Out: &out, Program: "piecework"}, &out
}

// bounded is the test's context with a limit far above the time of a demo.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// decode reads the one document that was printed, and checks its files.
func decode(t *testing.T, o Options, out *bytes.Buffer) Report {
	t.Helper()
	var r Report
	d := json.NewDecoder(out)
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil || d.More() {
		t.Fatalf("error = %v, want one document; the rest is %s", err, out)
	}
	if r.State != store.Succeeded || r.Result.Rows != zipCodes || r.Result.Airports != airports || r.Result.States != 59 || len(r.Files) != 2 {
		t.Errorf("report = %+v, want %d rows, %d airports, 59 states and 2 files", r, zipCodes, airports)
	}
	for _, f := range r.Files {
		text, err := os.ReadFile(filepath.Join(o.Dir, f.Name))
		if err != nil || int64(len(text)) != f.Size || f.Path != filepath.Join(o.Dir, f.Name) || f.SHA256 != f.Want {
			t.Errorf("file %+v has %d bytes, error %v; want the size and the sum", f, len(text), err)
		}
	}
	return r
}

func TestRunPrintsOneDocumentAndCanBeRepeated(t *testing.T) {
	o, out := options(t)
	o.JSON = true
	jobs := map[string]bool{}
	for range 2 {
		if err := Run(bounded(t), o); err != nil {
			t.Fatal(err)
		}
		r := decode(t, o, out)
		if len(r.Attempts) != 1 || r.Result.Checkpoints != 21 || r.Kill != nil {
			t.Errorf("report = %+v, want 1 attempt and 21 checkpoints", r)
		}
		jobs[r.Job] = true
	}
	if len(jobs) != 2 {
		t.Errorf("jobs = %v, want another job in each run", jobs)
	}
}

func TestRunTellsInPlainLines(t *testing.T) {
	o, out := options(t)
	o.Pace = 400 * time.Millisecond
	if err := Run(bounded(t), o); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{
		"nearest of 3,376 airports", "slowed down to 400ms", " of 42,049 rows", "42,049 rows, attempts: 1, checkpoints: 21",
		filepath.Join(o.Dir, "nearest.csv") + "  1,385,063 bytes", filepath.Join(o.Dir, "by-state.csv") + "  1,049 bytes",
		"sha256 " + nearestSHA256, "as an independent program computed it", "piecework get job-",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	if strings.ContainsAny(text, "\r\x1b") {
		t.Errorf("output %q has characters of a terminal", text)
	}
}

// stopper ends the demo, as ctrl-C does, when the demo prints a text.
type stopper struct {
	text   string
	cancel context.CancelCauseFunc
}

var errStopped = errors.New("ctrl-C")

func (s *stopper) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(s.text)) {
		s.cancel(errStopped)
	}
	return len(p), nil
}

func TestRunGoesOnWithAJobThatWasInterrupted(t *testing.T) {
	o, out := options(t)
	ctx, cancel := context.WithCancelCause(bounded(t))
	defer cancel(nil)
	o.Pace = 3 * time.Second
	o.Out = &stopper{text: " of 42,049 rows", cancel: cancel} // the first tenth
	if err := Run(ctx, o); !errors.Is(err, errStopped) {
		t.Fatalf("error = %v, want %v", err, errStopped)
	}
	if _, err := os.Stat(filepath.Join(o.Dir, nearestFile)); err == nil {
		t.Error("the file is there before the job has ended")
	}
	o.Out, o.Pace, o.JSON = out, 0, true
	if err := Run(bounded(t), o); err != nil {
		t.Fatal(err)
	}
	if r := decode(t, o, out); r.LeftAt == 0 || r.Result.FromRow == 0 || r.PaceMS != 3000 || len(r.Attempts) != 1 {
		t.Errorf("report = %+v, want the same job and attempt at a pace of 3000", r)
	}
}

func TestKilledWorkerLeavesNoTraceInTheFiles(t *testing.T) {
	t.Parallel()
	o, out := options(t)
	o.JSON, o.Pace = true, 2*time.Second
	if err := Kill(bounded(t), o, process(t.Context(), o.Dir)); err != nil {
		t.Fatal(err)
	}
	r := decode(t, o, out)
	if r.Kill == nil || !strings.Contains(r.Kill.Signal, "killed") || r.LeftAt < zipCodes/2 || r.LeftAt > zipCodes*9/10 {
		t.Errorf("kill = %+v at row %d, want one in the middle", r.Kill, r.LeftAt)
	}
	if r.Result.FromRow < 20_000 || r.Result.FromRow%DefaultCheckpointEvery != 0 {
		t.Errorf("it went on from row %d, want a checkpoint at row 20000 or later", r.Result.FromRow)
	}
	if len(r.Attempts) != 2 || r.Attempts[0].Outcome != store.OutcomeLost || r.Attempts[1].Outcome != store.OutcomeSuccess ||
		r.Attempts[0].Worker == r.Attempts[1].Worker {
		t.Errorf("attempts = %+v, want one lost and one success, on two workers", r.Attempts)
	}
}

func TestKillTellsItsStory(t *testing.T) {
	t.Parallel()
	o, out := options(t)
	o.Pace = 2 * time.Second
	if err := Kill(bounded(t), o, process(t.Context(), o.Dir)); err != nil {
		t.Fatal(err)
	}
	rest := out.String()
	for _, want := range []string{
		"Worker 1 is process ", "nearest of 3,376 airports", "slowed down to 2s", " of 42,049 rows", "Worker 1 got SIGKILL (signal: killed)",
		": it goes on", "100 %  42,049 of 42,049 rows", "attempts: 2, checkpoints: 21", "  1  lost ", "  2  success ",
		"s after the kill", "attempt 2 went on from row 2", "sha256 " + nearestSHA256,
	} {
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			t.Fatalf("%q is missing in the rest %q of:\n%s", want, rest, out)
		}
		rest = after
	}
}

func TestWorkerThatCannotBeKilledIsReported(t *testing.T) {
	o, _ := options(t)
	o.Pace = time.Minute
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		cmd  *exec.Cmd
		want string
	}{
		"ends by itself": {process(t.Context(), file), "(exit status 1); use a longer pace than 1m0s: the demo cannot use its directory"},
		"does not start": {exec.CommandContext(t.Context(), filepath.Join(file, "none")), "start worker 1: "},
	} {
		t.Run(name, func(t *testing.T) {
			if err := Kill(bounded(t), o, test.cmd); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestDifferencesAreReported(t *testing.T) {
	good := func() Report {
		return Report{
			LeftAt: 6100, Kill: &Killed{}, Result: Result{FromRow: 6000}, Files: []File{{Name: nearestFile, SHA256: "0123", Want: "0123"}},
			Attempts: []functions.AttemptInfo{{Number: 1, Outcome: store.OutcomeLost}, {Number: 2, Outcome: store.OutcomeSuccess}},
		}
	}
	if r := good(); r.compare(Args{}) != nil {
		t.Errorf("error = %v, want none", r.compare(Args{}))
	}
	for want, spoil := range map[string]func(r *Report){
		"has the sum 4567, must have 0123": func(r *Report) { r.Files[0].SHA256 = "4567" },
		"went on from row 4000":            func(r *Report) { r.Result.FromRow = 4000 },
		"1 attempts, the first not lost":   func(r *Report) { r.Attempts = r.Attempts[1:] },
	} {
		t.Run(want, func(t *testing.T) {
			r := good()
			spoil(&r)
			if err := r.compare(Args{}); !errors.Is(err, ErrDiffers) || !strings.Contains(err.Error(), want) {
				t.Errorf("error = %v, want ErrDiffers with %q", err, want)
			}
		})
	}
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"pace_ms is -1000":       func(o *Options) { o.Pace = -time.Second },
		"checkpoint_every is -1": func(o *Options) { o.CheckpointEvery = -1 },
		"has no name":            func(o *Options) { o.Dir = "" },
	} {
		t.Run(want, func(t *testing.T) {
			o, out := options(t)
			dir := o.Dir
			change(&o)
			if err := Run(t.Context(), o); !errors.Is(err, functions.ErrInvalid) || !strings.Contains(err.Error(), want) || out.Len() > 0 {
				t.Errorf("error = %v, want ErrInvalid with %q; output %q, want none", err, want, out)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("the directory was made")
			}
		})
	}
}

func TestDirectoriesOfOthersAreLeftAlone(t *testing.T) {
	full := t.TempDir()
	precious := filepath.Join(full, nearestFile)
	if err := os.WriteFile(precious, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		full:                             "is not empty",
		precious:                         "not a directory",
		filepath.Join(precious, "below"): "not a directory",
	} {
		o, _ := options(t)
		o.Dir = dir
		if err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("directory %s: error = %v, want one with %q", dir, err, want)
		}
	}
	if text, err := os.ReadFile(precious); err != nil || string(text) != "mine" {
		t.Errorf("the user's file = %q, error %v, want it unchanged", text, err)
	}
	if found, err := os.ReadDir(full); err != nil || len(found) != 1 {
		t.Errorf("the directory holds %v, error %v, want one file", found, err)
	}
}

func TestProgressOnATerminalIsOneLine(t *testing.T) {
	o, out := options(t)
	o.Width = 60
	p := newProgress(o)
	p.show(functions.Info{})
	p.show(functions.Info{Progress: &functions.ProgressInfo{Done: 21_000, Total: 42_000, Message: "a rather long message"}})
	p.line.Clear()
	if want := "\r  ███████████████░░░░░░░░░░░░░░░  50 %  21,000 of 42,000 r…\x1b[K\r\x1b[K"; out.String() != want {
		t.Errorf("output = %q, want %q", out, want)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", -999: "-999", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %q, want %q", n, got, want)
		}
	}
}
