package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/fsck"
	"github.com/piecework/piecework/store"
)

var update = flag.Bool("update", false, "write the golden files in testdata")

// noon is the present of these tests.
var noon = time.Date(2026, 11, 21, 13, 0, 0, 0, time.FixedZone("", 3600)) // 12:00 UTC

func ago(d time.Duration) time.Time { return noon.Add(-d) }

// jobs are one of each kind of thing that can be said of a job.
func jobs() []functions.Info {
	limits := functions.Limits{MaxAttempts: 5}
	return []functions.Info{
		{ID: "job-1", Kind: "a.b", State: store.Running, Attempt: 1, Limits: limits, Created: ago(90 * time.Second), Started: ago(5 * time.Second),
			Progress: &functions.ProgressInfo{Done: 25, Total: 100, Message: "row 25"}},
		{ID: "job-22", Kind: "a.longer-name", State: store.Retrying, Attempt: 2, Limits: limits, Created: ago(3 * time.Hour),
			Waiting: "for attempt 3, in 5s", Error: "no connection"},
		{ID: "job-3", Kind: "a.b", State: store.Failed, Attempt: 14, Created: ago(50 * time.Hour), Error: "disk\nis \x1b[31mfull"},
		{ID: "job-4", Kind: "a.b", State: store.Cancelled, Limits: limits, Created: ago(400 * time.Millisecond), Reason: "not needed"},
		{ID: "job-5", Kind: "a.b", Queue: "default", State: store.Succeeded, Attempt: 2, Limits: limits, Created: ago(time.Hour),
			Started: ago(50 * time.Minute), Ended: ago(45 * time.Minute), Expires: noon.Add(14 * 24 * time.Hour), Key: "k", Tags: []string{"x", "y"},
			Args: json.RawMessage("{\n \"a\": 1\n}"), Result: json.RawMessage(`"done"`),
			Attempts: []functions.AttemptInfo{
				{Number: 1, Start: ago(55 * time.Minute), End: ago(54 * time.Minute), Outcome: store.OutcomePanic, Error: "nil map", Stack: "main.go:1"},
				{Number: 2, Start: ago(50 * time.Minute), End: ago(45 * time.Minute), Outcome: store.OutcomeSuccess},
			},
			OutputCount: 2, Outputs: []functions.OutputInfo{{Name: "a/b.csv", Size: 1_234_567, ContentType: "text/csv"}, {Name: "c", Size: 12}}},
		{ID: "job-6", Kind: "a.b", State: store.Succeeded, Attempt: 1, Created: ago(10 * time.Minute), Result: json.RawMessage(`{"n": 1}`)},
	}
}

// golden compares what is printed with a file.
func golden(t *testing.T, name string, show func(c *console)) {
	t.Helper()
	var out bytes.Buffer
	c := newConsole(nil, &out, &out, nil)
	c.Now = func() time.Time { return noon }
	show(c)
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("%s: printed\n%s\nwant\n%s", name, out.String(), want)
	}
}

func TestWhatIsShown(t *testing.T) {
	golden(t, "list", func(c *console) { c.list(functions.List{Jobs: jobs(), Next: "abc"}) })
	golden(t, "list-in-colour", func(c *console) {
		c.colours = true
		c.list(functions.List{Jobs: jobs()})
	})
	golden(t, "job", func(c *console) { c.job(jobs()[4]) })
	golden(t, "job-running", func(c *console) { c.job(jobs()[0]) })
	golden(t, "sweep", func(c *console) {
		c.printSweep(functions.SweepResult{})
		c.printSweep(functions.SweepResult{Looked: 1, Started: 1})
		c.printSweep(functions.SweepResult{Looked: 7, Started: 3, Resent: 2, Failures: 2, More: true})
	})
	golden(t, "fsck", func(c *console) {
		c.fsck(fsck.Report{})
		c.fsck(fsck.Report{Records: 3, Jobs: 2, Blobs: 1, Bytes: 5_000, ByState: map[store.State]int{"queued": 1, "failed": 1},
			Problems: []fsck.Problem{{ID: "job-1", Rule: fsck.RuleLease, Text: "it is running without a lease"}}})
	})
}

// At 80 columns each row is a line, on which the job can be named, and its state and the beginning of its note be read.
func TestListOnANarrowTerminal(t *testing.T) {
	list := jobs()
	for i := range list {
		list[i].ID = fmt.Sprintf("job-%026d", i)
		list[i].Kind = "banking.statements.of-the-quarter"
		list[i].Error = strings.Repeat("x", 200)
	}
	var out bytes.Buffer
	c := newConsole(nil, &out, &out, nil)
	c.Now, c.columns = func() time.Time { return noon }, 80
	c.list(functions.List{Jobs: list})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != len(list)+1 {
		t.Fatalf("%d lines, want %d:\n%s", len(lines), len(list)+1, out.String())
	}
	for i, text := range lines[1:] {
		words := strings.Fields(text)
		if n := utf8.RuneCountInString(text); n > 80 || words[0] != fmt.Sprintf("%08d", i) || words[1] != "banking.statements.…" || words[2] != string(list[i].State) {
			t.Errorf("row %q has %d characters, want at most 80, with the end of the id, the kind cut to 20 and the state", text, n)
		}
	}
	if !strings.Contains(lines[3], "xxxxxxxx") {
		t.Errorf("row %q, want the beginning of the error in it", lines[3])
	}
}

func TestProgressInLines(t *testing.T) {
	golden(t, "progress", func(c *console) {
		p := newProgress(c)
		for _, j := range jobs() {
			p.see(j)
			p.see(j) // says nothing new
		}
		p.clear()
	})
}

func TestProgressBar(t *testing.T) {
	c := newConsole(nil, nil, nil, nil)
	c.Now = func() time.Time { return noon }
	p := newProgress(c)
	if got := p.line(jobs()[0]); got != "running ██████░░░░░░░░░░░░░░░░░░ 25 %  row 25  5s" {
		t.Errorf(`%q, want "running ██████░░░░░░░░░░░░░░░░░░ 25 %%  row 25  5s"`, got)
	}
	if got := p.line(jobs()[1]); got != "retrying  attempt 2/5  waits for attempt 3, in 5s" {
		t.Errorf(`%q, want "retrying  attempt 2/5  waits for attempt 3, in 5s"`, got)
	}
	for _, done := range []int64{-5, 500} { // whatever a handler reports
		i := functions.Info{State: store.Running, Progress: &functions.ProgressInfo{Done: done, Total: 100}}
		if got := p.line(i); strings.Count(got, "█")+strings.Count(got, "░") != cells {
			t.Errorf(`%q, want strings.Count(got, "█")+strings.Count(got, "░") == cells`, got)
		}
	}
}

func TestWhenOfTimesThatAreCenturiesAway(t *testing.T) {
	c := newConsole(nil, nil, nil, nil)
	c.Now = func() time.Time { return noon }
	for year, want := range map[int]string{1: "106751d ago", 9999: "in 106751d"} { // as far as durations reach
		if got := c.when(time.Date(year, 12, 31, 23, 59, 59, 0, time.UTC)); got != want {
			t.Errorf("year %d: %q, want %q", year, got, want)
		}
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 1500 * time.Microsecond: "2ms", 59 * time.Second: "59s", 90 * time.Second: "1m30s", 2 * time.Minute: "2m", 15*time.Minute + time.Second: "15m",
		90 * time.Minute: "1h30m", 2 * time.Hour: "2h", 47 * time.Hour: "47h", 49 * time.Hour: "2d",
	} {
		if got := short(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
