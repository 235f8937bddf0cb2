package store

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files and the diagram in functions/DESIGN.md again")

// golden compares text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s is not what the code says; if the change is meant, run go test ./store -update\n%s", path, got)
	}
}

func TestMoveTableIsTheGoldenOne(t *testing.T) {
	var b strings.Builder
	for _, s := range States() {
		for _, e := range Events() {
			to, ok := Move(s, e)
			if !ok {
				to = "-"
			}
			fmt.Fprintf(&b, "%-10s %-10s %s\n", s, e, to)
		}
	}
	golden(t, "moves.txt", b.String())
}

func TestMoveTableNamesOnlyStatesAndEventsThatExist(t *testing.T) {
	events := map[Event]bool{}
	for _, e := range Events() {
		events[e] = true
	}
	for from, edges := range moves {
		if !from.Valid() {
			t.Errorf("state %q", from)
		}
		for e, to := range edges {
			if !to.Valid() || !events[e] {
				t.Errorf("got %s: %s -> %s, want to.Valid() && events[e]", from, e, to)
			}
		}
	}
	if State("paused").Valid() {
		t.Error("an unknown state is valid")
	}
}

func TestEveryStateCanBeReachedAndLeft(t *testing.T) {
	reached := map[State]bool{Held: true, Scheduled: true, Queued: true, Blocked: true} // where records start
	for _, edges := range moves {
		for _, to := range edges {
			reached[to] = true
		}
	}
	for _, s := range States() {
		if !reached[s] {
			t.Errorf("nothing leads to %s", s)
		}
		if !s.Final() && len(moves[s]) == 0 {
			t.Errorf("nothing leads out of %s", s)
		}
		if s.Final() {
			for e := range moves[s] {
				if e != EventRequeue {
					t.Errorf("%s is final, but %s leads out of it", s, e)
				}
			}
		}
	}
}

func TestARefusedMoveSpeaksAsUsersDo(t *testing.T) {
	for _, c := range []struct {
		state State
		event Event
		want  string
	}{
		{Succeeded, EventCancel, "cannot cancel a job that is succeeded"},
		{Held, EventRequeue, "cannot retry a job that is held: a retry is for failed and cancelled jobs; release it instead"},
		{Running, EventRequeue, "cannot retry a job that is running: a retry is for failed and cancelled jobs"},
		{Failed, EventRequeue, "cannot retry a job that is failed: its retention has passed, and it is being removed"},
		{Failed, EventRelease, "cannot release a job that is failed: a release is for held jobs; retry it instead"},
		{Skipped, EventDelay, "cannot release a job that is skipped: a release is for held jobs"},
		{Held, EventClaim, "cannot start a job that is held"},
	} {
		err := error(&MoveError{ID: "job-1", State: c.state, Event: c.event})
		if want := "job job-1: " + c.want; !errors.Is(err, ErrMove) || err.Error() != want {
			t.Errorf("error = %q, want %q", err, want)
		}
	}
	j := Job{ID: "job-1", State: Succeeded}
	_, err := j.move(EventCancel)
	if refused, ok := errors.AsType[*MoveError](err); !ok || *refused != (MoveError{"job-1", Succeeded, EventCancel}) {
		t.Errorf("error = %#v, want one with the job, the state and the event", err)
	}
}

// diagram returns the table of moves as a Mermaid state diagram. It is generated from the table
// that the verbs use.
func diagram() string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n")
	for _, s := range []State{Held, Scheduled, Queued, Blocked} {
		fmt.Fprintf(&b, "    [*] --> %s\n", s)
	}
	for _, from := range States() {
		for _, to := range States() {
			var events []string
			for _, e := range Events() {
				if next, ok := Move(from, e); ok && next == to {
					events = append(events, string(e))
				}
			}
			if len(events) > 0 {
				fmt.Fprintf(&b, "    %s --> %s: %s\n", from, to, strings.Join(events, ", "))
			}
		}
	}
	for _, s := range States() {
		if s.Final() {
			fmt.Fprintf(&b, "    %s --> [*]\n", s)
		}
	}
	return b.String()
}

// The lines of a page between which the diagram of states stands.
const (
	diagramBegin = "<!-- states -->"
	diagramEnd   = "<!-- /states -->"
)

// insertDiagram returns the Markdown page with the diagram of states between the lines diagramBegin
// and diagramEnd, and whether the page had these lines. A page that comes back unchanged is up to
// date.
func insertDiagram(page string) (string, bool) {
	lines := strings.Split(page, "\n")
	begin, end := slices.Index(lines, diagramBegin), slices.Index(lines, diagramEnd)
	if begin < 0 || end < begin {
		return page, false
	}
	block := []string{"```mermaid", strings.TrimSuffix(diagram(), "\n"), "```"}
	return strings.Join(slices.Concat(lines[:begin+1], block, lines[end:]), "\n"), true
}

func TestDiagramIsTheGoldenOne(t *testing.T) {
	golden(t, "states.mmd", diagram())
}

func TestDiagramInTheDesign(t *testing.T) {
	const path = "../functions/DESIGN.md"
	page, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return // tests/house demands the page; this only keeps its diagram true
	}
	if err != nil {
		t.Fatal(err)
	}
	want, ok := insertDiagram(string(page))
	if !ok || want == string(page) {
		return
	}
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Error("the diagram of states in functions/DESIGN.md differs from the code's; run go test ./store -run Diagram -update")
}

func TestInsertDiagram(t *testing.T) {
	page := "# T\n\n<!-- states -->\nold\n<!-- /states -->\nend\n"
	got, ok := insertDiagram(page)
	if !ok || !strings.Contains(got, "```mermaid\nstateDiagram-v2\n") || strings.Contains(got, "old") ||
		!strings.HasPrefix(got, "# T\n\n<!-- states -->\n") || !strings.HasSuffix(got, "```\n<!-- /states -->\nend\n") {
		t.Errorf("inserted: %v, page %q; want the diagram between the markers", ok, got)
	}
	if again, _ := insertDiagram(got); again != got {
		t.Error("inserting twice changes the page")
	}
	for _, page := range []string{"", "no markers", "<!-- /states -->\n<!-- states -->"} {
		if got, ok := insertDiagram(page); ok || got != page {
			t.Errorf("%q became %q", page, got)
		}
	}
}
