package stage

import (
	"bytes"
	"context"
	"errors"
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

func TestKilledWorkerLeavesNoTraceInTheFiles(t *testing.T) {
	t.Parallel()
	o, out := options(t)
	o.Pace, o.JSON = 2*time.Second, true
	if err := Kill(bounded(t), o); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	var k Killed
	decode(t, out, &k)
	checkFiles(t, o.Dir, k.Killed.Files)
	checkFiles(t, filepath.Join(o.Dir, "undisturbed"), k.Undisturbed.Files)
	if !k.Same || len(k.Differences) > 0 || len(k.Compared) != 2 || !k.Compared[0].Same || !k.Compared[1].Same {
		t.Errorf("compared %+v", k)
	}
	attempts := k.Killed.Attempts
	if len(attempts) != 2 || attempts[0].Outcome != store.OutcomeLost || attempts[1].Outcome != store.OutcomeSuccess {
		t.Fatalf("attempts %+v", attempts)
	}
	f := k.Kill
	if f.Checkpoint < 2 || f.CheckpointRow != f.Checkpoint*demo.DefaultCheckpointEvery || f.WentOnFrom != f.CheckpointRow ||
		f.ReachedRow < int64(f.CheckpointRow) || f.ReachedRow > demo.ZIPCodes {
		t.Errorf("rows %+v", f)
	}
	if f.FirstWorker == f.SecondWorker || attempts[0].Worker == attempts[1].Worker || !strings.Contains(f.Signal, "killed") {
		t.Errorf("workers %+v, %+v", f, attempts)
	}
	if f.NoticedAfter <= 0 || f.WentOnAfter < f.NoticedAfter {
		t.Errorf("times %+v", f)
	}
}

func TestKillTellsItsStory(t *testing.T) {
	t.Parallel()
	o, out := options(t)
	o.Pace, o.CheckpointEvery = 2*time.Second, 5000
	if err := Kill(bounded(t), o); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	at := 0
	for _, want := range []string{
		"left alone, at full speed", "it has succeeded: 42,049 rows, 8 checkpoints", "slowed down to 2s", "worker 1 started",
		"attempt 1 began at row 0", "worker 1 got SIGKILL", "its record: running, checkpoint at row 20,000", "worker 2 started",
		"attempt 1 ended as lost", "attempt 2 began at row 20,000, from checkpoint 4", "attempt 2 won: all 42,049 rows",
		"  1  lost ", "the worker stopped without a word", "  2  success ", "rows not done again  20,000",
		"nearest.csv   1,385,063 bytes  the same, byte for byte", "by-state.csv      1,049 bytes  the same, byte for byte",
		"The kill left no trace",
	} {
		next := strings.Index(out.String()[at:], want)
		if next < 0 {
			t.Fatalf("%q is missing after byte %d of:\n%s", want, at, out)
		}
		at += next
	}
}

func TestKillHitsTheMiddleAtTheShortestPaceAndWithManyCheckpoints(t *testing.T) {
	t.Parallel()
	for _, every := range []int{0, 300} {
		o, out := options(t)
		o.Pace, o.CheckpointEvery, o.JSON = MinKillPace, every, true
		if err := Kill(bounded(t), o); err != nil {
			t.Fatalf("%d rows: %v in %s", every, err, out)
		}
		var k Killed
		decode(t, out, &k)
		if row := k.Kill.CheckpointRow; row < demo.ZIPCodes/3 || row > demo.ZIPCodes*9/10 {
			t.Errorf("%d rows: killed after row %d", every, row)
		}
	}
}

func TestWorkerThatDoesNotStartIsToldOf(t *testing.T) {
	o, _ := options(t)
	o.Pace = 2 * time.Second
	o.Worker = func(ctx context.Context, _ string) *exec.Cmd {
		cmd := testWorker(ctx, filepath.Join(o.Dir, "piecework.db")) // a file
		return cmd
	}
	err := Kill(bounded(t), o)
	if err == nil || !strings.Contains(err.Error(), "ended by itself (exit status 1)") || !strings.Contains(err.Error(), "worker-1.log: ") {
		t.Errorf("error %v", err)
	}
	o.Worker = func(ctx context.Context, dir string) *exec.Cmd {
		return exec.CommandContext(ctx, filepath.Join(dir, "none"))
	}
	if err := Kill(bounded(t), o); err == nil || !strings.Contains(err.Error(), "start worker 1") {
		t.Errorf("error %v", err)
	}
}

// Whatever the second run gets wrong is reported, and is an error.
func TestDifferencesAreReported(t *testing.T) {
	o, out := options(t)
	r := runJSON(t, o, out)
	won := []functions.AttemptInfo{{Number: 1, Outcome: store.OutcomeLost}, {Number: 2, Outcome: store.OutcomeSuccess}}
	fresh := func() *killing {
		killed, undisturbed := r, r
		killed.Attempts = won
		killed.Files = []File{r.Files[0], r.Files[1]}
		killed.Result.FromRow = 6000
		return &killing{Options: o, Killed: Killed{Killed: &killed, Undisturbed: &undisturbed, Kill: KillFigures{CheckpointRow: 6000}}}
	}
	k := fresh()
	if err := k.compare(); err != nil || !k.Same {
		t.Fatalf("error %v, differences %q", err, k.Differences)
	}
	spoilt := filepath.Join(t.TempDir(), "spoilt.csv")
	if err := os.WriteFile(spoilt, []byte("zip_code\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(k *killing){
		"is not, byte for byte,": func(k *killing) { k.Killed.Killed.Files[0].Path = spoilt },
		"has the sum 0123, must": func(k *killing) { k.Killed.Killed.Files[1].SHA256, k.Killed.Killed.Files[1].Known = "0123", false },
		"went on from row 0":     func(k *killing) { k.Killed.Killed.Result.FromRow = 0 },
		"0 attempts were lost":   func(k *killing) { k.Killed.Killed.Attempts = won[1:] },
	} {
		k := fresh()
		spoil(k)
		if err := k.compare(); err != nil || k.Same || len(k.Differences) != 1 || !strings.Contains(k.Differences[0], want) {
			t.Errorf("error %v, differences %q, want %q", err, k.Differences, want)
		}
		k.Out = out
		out.Reset()
		k.tell()
		if !strings.Contains(out.String(), "DIFFERENCE: "+k.Differences[0]) || strings.Contains(out.String(), "no trace") {
			t.Errorf("it tells:\n%s", out)
		}
	}
	if err := unknown([]File{{Name: demo.ByStateFile, SHA256: "0123"}}); !errors.Is(err, ErrDiffers) {
		t.Errorf("error %v", err)
	}
}

func TestStoryTellsOfAttemptsThatCameAndWentUnseen(t *testing.T) {
	o, out := options(t)
	s := newStory(o)
	s.note(view{Job: store.Job{State: store.Running, Saved: 4}, row: 20_000})
	s.see(view{Job: store.Job{State: store.Succeeded, Saved: 8, Attempts: []store.Attempt{
		{Number: 1, Outcome: store.OutcomeLost, Worker: "one"}, {Number: 2, Outcome: store.OutcomeSuccess, Worker: "two"},
	}}, row: 42_000})
	lost, began := strings.Index(out.String(), "attempt 1 ended as lost"),
		strings.Index(out.String(), "attempt 2 began at row 20,000, from checkpoint 4, on two")
	if lost < 0 || began < lost || strings.Index(out.String(), "attempt 2 won") < began {
		t.Errorf("%s", out)
	}
}

func TestBar(t *testing.T) {
	var out bytes.Buffer
	b := newBar(&out, 60, false)
	b.draw(0, 0, "")
	if out.Len() > 0 {
		t.Errorf("it draws without a total: %q", &out)
	}
	b.draw(21_000, 42_000, "a rather long message that must not wrap")
	b.clear()
	b.clear()
	if want := "\r  ███████████████░░░░░░░░░░░░░░░  50 %  21,000 of 42,000 r…\x1b[K\r\x1b[K"; out.String() != want {
		t.Errorf("it draws %q, want %q", &out, want)
	}
	out.Reset()
	b = newBar(&out, 0, false)
	for row := range int64(1001) {
		b.draw(row, 1000, "x")
	}
	b.clear()
	if lines := strings.Count(out.String(), "\n"); lines != 10 || strings.ContainsAny(out.String(), "\r\x1b") {
		t.Errorf("%d lines: %q", lines, &out)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", -999: "-999", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) is %q, want %q", n, got, want)
		}
	}
}
