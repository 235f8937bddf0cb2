package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev/piecework/internal/demo"
	"github.com/piecework/piecework/store"
)

// workerDir is set for a process that is a worker, and not the test.
const workerDir = "PIECEWORK_TEST_WORKER_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(workerDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := Worker(context.Background(), dir, os.Stdin, slog.Default()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// testWorker calls the test's own program as a worker.
func testWorker(ctx context.Context, dir string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), workerDir+"="+dir)
	return cmd
}

// options are those of a test, and what the show prints.
func options(t *testing.T) (Options, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	return Options{Dir: filepath.Join(t.TempDir(), "demo"), Out: &out, Program: "piecework", Worker: testWorker}, &out
}

// bounded is the test's context with a limit far above what a show takes.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// runJSON runs the show and returns its document.
func runJSON(t *testing.T, o Options, out *bytes.Buffer) Report {
	t.Helper()
	o.JSON = true
	out.Reset()
	if err := Run(bounded(t), o); err != nil {
		t.Fatal(err)
	}
	var r Report
	decode(t, out, &r)
	return r
}

// decode reads the one document that was printed.
func decode(t *testing.T, out *bytes.Buffer, v any) {
	t.Helper()
	d := json.NewDecoder(out)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if d.More() {
		t.Fatalf("more than one document: %s", out)
	}
}

func checkFiles(t *testing.T, dir string, files []File) {
	t.Helper()
	if len(files) != 2 {
		t.Fatalf("files %+v", files)
	}
	for _, f := range files {
		if text, err := os.ReadFile(filepath.Join(dir, f.Name)); err != nil || int64(len(text)) != f.Size {
			t.Errorf("%s has %d bytes, error %v; want %d", f.Name, len(text), err, f.Size)
		}
		if f.Path != filepath.Join(dir, f.Name) || !f.Known || f.SHA256 != known()[f.Name] {
			t.Errorf("%+v", f)
		}
	}
}

func TestRunPrintsOneDocumentAndCanBeRepeated(t *testing.T) {
	o, out := options(t)
	first, second := runJSON(t, o, out), runJSON(t, o, out)
	for _, r := range []Report{first, second} {
		checkFiles(t, o.Dir, r.Files)
		if r.State != store.Succeeded || r.Kind != demo.Kind || len(r.Attempts) != 1 || r.Result.Rows != demo.ZIPCodes ||
			len(r.Result.Remotest) != 10 || r.Seconds <= 0 {
			t.Errorf("%+v", r)
		}
	}
	if first.Job == second.Job {
		t.Errorf("both runs show job %s", first.Job)
	}
	left, err := filepath.Glob(filepath.Join(o.Dir, "*.csv.*"))
	if err != nil || len(left) > 0 {
		t.Errorf("unfinished files are left: %v, %v", left, err)
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
		"nearest of 3,376 airports", "slowed down to 400ms", " of 42,049 rows", "42,049 rows, 1 attempt, 21 checkpoints",
		filepath.Join(o.Dir, "nearest.csv") + "   1,385,063 bytes  as an independent program found",
		filepath.Join(o.Dir, "by-state.csv") + "      1,049 bytes  as an independent program found",
		"sha256 " + demo.NearestSHA256, "2382.0 km  96799  Pago Pago, AS", "faults of the tables", "piecework get job-",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.ContainsAny(text, "\r\x1b") || t.Failed() {
		t.Errorf("it prints:\n%s", text)
	}
}

// stopper ends the demo, as ctrl-C does, when it has printed a text.
type stopper struct {
	bytes.Buffer

	text   string
	cancel context.CancelCauseFunc
}

var errStopped = errors.New("ctrl-C")

func (s *stopper) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(s.text)) {
		s.cancel(errStopped)
	}
	return s.Buffer.Write(p)
}

func TestRunGoesOnWithAJobThatWasInterrupted(t *testing.T) {
	o, out := options(t)
	ctx, cancel := context.WithCancelCause(bounded(t))
	defer cancel(nil)
	o.Pace = 3 * time.Second
	o.Out = &stopper{text: " of 42,049 rows", cancel: cancel} // the first tenth
	err := Run(ctx, o)
	if !errors.Is(err, errStopped) || !strings.Contains(err.Error(), "the same command goes on") {
		t.Fatalf("error %v", err)
	}
	if _, err := os.Stat(filepath.Join(o.Dir, demo.NearestFile)); err == nil {
		t.Error("there is a file already")
	}
	o.Out, o.Pace = out, 0
	r := runJSON(t, o, out)
	checkFiles(t, o.Dir, r.Files)
	if r.Result.FromRow == 0 || r.PaceMS != 3000 || len(r.Attempts) != 1 {
		t.Errorf("it did not go on: %+v", r)
	}
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	tests := map[string]struct {
		change func(*Options)
		kill   bool
		want   string
	}{
		"pace below zero":      {func(o *Options) { o.Pace = -time.Second }, false, "pace_ms is -1000"},
		"checkpoint below 0":   {func(o *Options) { o.CheckpointEvery = -1 }, false, "checkpoint_every is -1"},
		"no directory":         {func(o *Options) { o.Dir = "" }, false, "has no name"},
		"kill at full speed":   {func(o *Options) { o.Pace = 0 }, true, "use 1s or more"},
		"too few checkpoints":  {func(o *Options) { o.CheckpointEvery = 10_000 }, true, "use 8,409 or fewer"},
		"checkpoint below 0 k": {func(o *Options) { o.CheckpointEvery = -1 }, true, "checkpoint_every is -1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o, out := options(t)
			o.Pace = 2 * time.Second
			dir := o.Dir
			test.change(&o)
			show := Run
			if test.kill {
				show = Kill
			}
			err := show(t.Context(), o)
			if !errors.Is(err, functions.ErrInvalid) || !strings.Contains(err.Error(), test.want) || out.Len() > 0 {
				t.Errorf("error %v, want one with %q; it prints %q", err, test.want, out)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("the directory was made all the same")
			}
		})
	}
}

func TestDirectoriesOfOthersAreLeftAlone(t *testing.T) {
	full := t.TempDir()
	precious := filepath.Join(full, demo.NearestFile)
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
		if err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "directory") {
			t.Errorf("%s: error %v, want one with %q", dir, err, want)
		}
	}
	if text, err := os.ReadFile(precious); err != nil || string(text) != "mine" {
		t.Errorf("the file is now %q, %v", text, err)
	}
	if found, err := os.ReadDir(full); err != nil || len(found) != 1 {
		t.Errorf("the directory holds %v, %v", found, err)
	}
}
