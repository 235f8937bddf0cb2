package store

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files, and the README's diagram, anew")

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
		t.Errorf("%s differs from the code; if the change is meant, run go test ./store -update; want\n%s", path, got)
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
			t.Errorf("moves from the state %q, want only known states", from)
		}
		for e, to := range edges {
			if !to.Valid() || !events[e] {
				t.Errorf("%s: %s -> %s, want known events and states", from, e, to)
			}
		}
	}
	if State("paused").Valid() {
		t.Error("an unknown state is valid, want it to be invalid")
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
			t.Errorf("no move leads to %s, want one", s)
		}
		if !s.Final() && len(moves[s]) == 0 {
			t.Errorf("no move leads out of %s, want one", s)
		}
		if s.Final() {
			for e := range moves[s] {
				if e != EventRequeue {
					t.Errorf("%s is final, but %s leads out of it, want only %s to", s, e, EventRequeue)
				}
			}
		}
	}
}

func TestARefusedMoveNamesJobStateAndEvent(t *testing.T) {
	j := Job{ID: "job-1", State: Succeeded}
	_, err := j.move(EventCancel)
	if !errors.Is(err, ErrMove) || err.Error() != "job job-1: cannot cancel a job that is succeeded" {
		t.Errorf("error %v, want %v that names job, event and state", err, ErrMove)
	}
}

func TestDiagramIsTheGoldenOne(t *testing.T) {
	golden(t, "states.mmd", Diagram())
}

func TestDiagramInREADME(t *testing.T) {
	const path = "../README.md"
	page, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return // tests/house demands the page; this only keeps its diagram true
	}
	if err != nil {
		t.Fatal(err)
	}
	want, ok := InsertDiagram(string(page))
	if !ok || want == string(page) {
		return
	}
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Error("the diagram of states in README.md differs, want the code's; run go test ./store -run Diagram -update")
}

func TestInsertDiagram(t *testing.T) {
	page := "# T\n\n<!-- states -->\nold\n<!-- /states -->\nend\n"
	got, ok := InsertDiagram(page)
	if !ok || !strings.Contains(got, "```mermaid\nstateDiagram-v2\n") || strings.Contains(got, "old") ||
		!strings.HasPrefix(got, "# T\n\n<!-- states -->\n") || !strings.HasSuffix(got, "```\n<!-- /states -->\nend\n") {
		t.Errorf("page %q (found %v), want the diagram between the lines", got, ok)
	}
	if again, _ := InsertDiagram(got); again != got {
		t.Error("inserting the diagram twice changes the page, want it unchanged")
	}
	for _, page := range []string{"", "no markers", "<!-- /states -->\n<!-- states -->"} {
		if got, ok := InsertDiagram(page); ok || got != page {
			t.Errorf("%q became %q, want it unchanged", page, got)
		}
	}
}
