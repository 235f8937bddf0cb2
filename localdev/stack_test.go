package localdev_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// double is a registry with one kind, which doubles a number and writes it to a file.
func double() *functions.Registry {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "double", func(ctx context.Context, job *functions.Job[int]) (int, error) {
		w, err := job.Output(ctx, "n.txt")
		if err != nil {
			return 0, err
		}
		_, err = fmt.Fprintln(w, 2*job.Args)
		return 2 * job.Args, err
	})
	return jobs
}

func start(t *testing.T, jobs *functions.Registry, cfg localdev.Config) *localdev.Stack {
	t.Helper()
	cfg.Log = quiet()
	s, err := localdev.Start(t.Context(), jobs, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *localdev.Stack) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func TestJobRunsOnEveryStore(t *testing.T) {
	dir := t.TempDir()
	for name, cfg := range map[string]localdev.Config{
		"default":       {Dir: filepath.Join(dir, "a b%20")},
		"sqlite memory": {Store: "sqlite::memory:", Blobs: "mem://", Dir: "/nowhere"},
		"gocloud":       {Store: "mem://", Blobs: "mem://"},
		"file urls":     {Store: "sqlite://" + filepath.Join(dir, "x.db"), Blobs: "file://" + filepath.Join(dir, "x blobs")},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, double(), cfg)
			c := s.Client()
			r, err := c.Submit(t.Context(), "double", 21)
			if err != nil {
				t.Fatal(err)
			}
			info, err := c.Wait(t.Context(), r.ID)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := functions.Kind[any, int](info.Kind).Result(info); err != nil || n != 42 {
				t.Errorf("result %d, error %v, want err == nil && n == 42", n, err)
			}
			f, _, err := c.OpenOutput(t.Context(), r.ID, "n.txt", 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(f); err != nil || string(b) != "42\n" {
				t.Errorf(`output %q, error %v, want err == nil && string(b) == "42\n"`, b, err)
			}
		})
	}
}

func TestMessageSubmitsAJob(t *testing.T) {
	s := start(t, double(), localdev.Config{Store: "sqlite::memory:", Blobs: "mem://"})
	if err := s.SubmitMessage(t.Context(), []byte(`{"kind":"double","args":4}`), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Sender().Submit(t.Context(), functions.SubmitQueue, pubsubq.Submission{Kind: "double", Args: []byte("5")}); err != nil {
		t.Fatal(err)
	}
	if err := s.SubmitMessage(t.Context(), []byte(`{"kind":"dubble"}`), nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		stats := s.Runtime().Stats()
		if n, p := stats.Succeeded.Load(), stats.Parked.Load(); n != 2 || p != 1 {
			return fmt.Errorf("%d succeeded, %d parked", n, p)
		}
		return nil
	})
	parked, _, err := s.Client().Parked(t.Context(), 10, "")
	if err != nil || len(parked) != 1 || !strings.Contains(parked[0].Reason, "double") {
		t.Errorf(`parked %+v, error %v, want err == nil && len(parked) == 1 && strings.Contains(parked[0].Reason, "double")`, parked, err)
	}
}

// eventually polls what happens in the background of real time, for at most two minutes.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(2 * time.Minute)
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-limit:
			t.Fatal(err)
		case <-tick.C:
		}
	}
}

// What waited when a process ended runs in the next one, although the queue was in memory;
// scheduled jobs too.
func TestNextProcessTakesUpWhatWaits(t *testing.T) {
	dir := t.TempDir()
	declared := functions.NewRegistry()
	functions.Kind[int, int]("double").Declare(declared)
	s := start(t, declared, localdev.Config{Dir: dir})
	ids := map[string]bool{}
	for i := range 5 {
		r, err := s.Client().Submit(t.Context(), "double", i, functions.After(time.Duration(i)*50*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		ids[r.ID] = true
	}
	stop(t, s)
	s = start(t, double(), localdev.Config{Dir: dir})
	for id := range ids {
		if info, err := s.Client().Wait(t.Context(), id); err != nil || info.State != store.Succeeded {
			t.Errorf("job %s is %s, error %v, want err == nil && info.State == store.Succeeded", id, info.State, err)
		}
	}
}

// A process cannot know whether another one over the same store is alive, and does not say that it
// has died.
func TestTheLogOfASecondProcess(t *testing.T) {
	dir := t.TempDir()
	first := start(t, double(), localdev.Config{Dir: dir, Queues: "mem://"})
	if _, err := first.Client().Submit(t.Context(), "double", 1, functions.After(time.Hour/2)); err != nil {
		t.Fatal(err)
	}
	var log lockedBuffer
	second, err := localdev.Start(t.Context(), double(), localdev.Config{Dir: dir, Queues: "mem://", Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, second)
	eventually(t, func() error {
		if text := log.String(); !strings.Contains(text, "found in the store") || !strings.Contains(text, "waiting=1") {
			return fmt.Errorf("the log says %q, want what was found", text)
		}
		return nil
	})
	if text := log.String(); strings.Contains(text, "left") || strings.Contains(text, "earlier") {
		t.Errorf("the log says %q while the first process is alive", text)
	}
}

// A queue that outlives the process has one message for a job, however often a process starts.
func TestStartingAgainSendsNothingTwice(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		s := start(t, double(), localdev.Config{Dir: dir})
		if i == 0 {
			if _, err := s.Client().Submit(t.Context(), "double", 1, functions.After(time.Hour/2)); err != nil {
				t.Fatal(err)
			}
		}
		stop(t, s)
	}
	var db *sql.DB
	s := start(t, double(), localdev.Config{Dir: dir})
	if !s.Collection().As(&db) {
		t.Fatal("As(*sql.DB) = false, want the store's file")
	}
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM piecework_hints").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d messages, %v, wait after four starts, want 1", n, err)
	}
}

// Two processes may work on one file: each job is done once.
func TestTwoStacksShareAFile(t *testing.T) {
	dir := t.TempDir()
	var mu sync.Mutex
	runs := map[int]int{}
	registry := func() *functions.Registry {
		jobs := functions.NewRegistry()
		functions.Handle(jobs, "count", func(_ context.Context, job *functions.Job[int]) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			runs[job.Args]++
			return runs[job.Args], nil
		})
		return jobs
	}
	a, b := start(t, registry(), localdev.Config{Dir: dir}), start(t, registry(), localdev.Config{Dir: dir})
	var wg sync.WaitGroup
	for n, s := range []*localdev.Stack{a, b} {
		wg.Go(func() {
			subs := make([]functions.Submission, 250)
			for i := range subs {
				subs[i] = functions.Submission{Kind: "count", Args: n*250 + i}
			}
			if _, err := s.Client().SubmitMany(t.Context(), subs); err != nil {
				t.Error(err)
			}
			if _, err := s.Runtime().Recover(t.Context()); err != nil { // hints of the other's jobs too
				t.Error(err)
			}
		})
	}
	wg.Wait()
	eventually(t, func() error {
		if n := a.Runtime().Stats().Succeeded.Load() + b.Runtime().Stats().Succeeded.Load(); n != 500 {
			return fmt.Errorf("%d of 500 jobs succeeded", n)
		}
		return nil
	})
	mu.Lock()
	defer mu.Unlock()
	if len(runs) != 500 {
		t.Errorf("%d jobs ran, want 500", len(runs))
	}
	for arg, n := range runs {
		if n != 1 {
			t.Errorf("job %d ran %d times, want 1", arg, n)
		}
	}
}

func TestStartSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	broken := functions.NewRegistry()
	functions.Handle(broken, "Double", func(context.Context, *functions.Job[int]) (int, error) { return 0, nil })
	for _, c := range []struct {
		name   string
		jobs   *functions.Registry
		cfg    localdev.Config
		want   []string
		config bool
	}{
		{"a file in the way", nil, localdev.Config{Dir: write("file", "x")}, []string{"file of that name", "another directory"}, true},
		{"newer directory", nil, localdev.Config{Dir: filepath.Dir(write("newer/format.json", `{"format":7}`))},
			[]string{"newer version", "format 7", "update"}, true},
		{"strange directory", nil, localdev.Config{Dir: filepath.Dir(write("strange/format.json", `!`))},
			[]string{"format.json", "another directory"}, true},
		{"damaged database", nil, localdev.Config{Dir: filepath.Dir(write("damaged/piecework.db", strings.Repeat("no database", 100)))},
			[]string{"damaged", "backup"}, false},
		{"unknown store", nil, localdev.Config{Store: "mysql://me:hunter2@host/db", Blobs: "mem://"}, []string{"sqlite://", "mysql"}, true},
		{"no such folder", nil, localdev.Config{Store: "sqlite://" + dir + "/none/x.db", Blobs: "mem://"}, []string{"no such directory"}, false},
		{"unknown blobs", nil, localdev.Config{Store: "mem://", Blobs: "ftp://host/x"}, []string{"file://", "driver"}, true},
		{"blobs with parameters", nil, localdev.Config{Store: "mem://", Blobs: "file:///x?create_dir=1"}, []string{`unknown parameter "create_dir"`}, true},
		{"bad queue", nil, localdev.Config{Pull: []string{"No Queue"}}, []string{"No Queue", "lower-case"}, true},
		{"submit queue", nil, localdev.Config{Pull: []string{"submit"}}, []string{"submit"}, true},
		{"bad kind", broken, localdev.Config{Store: "mem://", Blobs: "mem://"}, []string{"Double", "lower-case"}, true},
		{"bad timing", nil, localdev.Config{Store: "mem://", Blobs: "mem://", Timing: store.Timing{Lease: 1}}, []string{"100ms"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.jobs == nil {
				c.jobs = double()
			}
			s, err := localdev.Start(t.Context(), c.jobs, c.cfg)
			if err == nil {
				stop(t, s)
				t.Fatal("it started")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error does not say %q: %v", want, err)
				}
			}
			for _, once := range []string{"open store", "open blobs", functions.ErrConfig.Error()} {
				if n := strings.Count(err.Error(), once); n > 1 {
					t.Errorf("error says %q %d times, want at most once: %v", once, n, err)
				}
			}
			if errors.Is(err, functions.ErrConfig) != c.config {
				t.Errorf("is ErrConfig: %t: %v", !c.config, err)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error tells the password: %v", err)
			}
		})
	}
}
