package store

import (
	"fmt"
	"slices"
	"strings"
)

// Diagram returns the table of moves as a Mermaid state diagram, for people. It is generated from the table that
// the verbs use, so it cannot say anything else.
func Diagram() string {
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

// InsertDiagram returns the Markdown page with the diagram of states between its lines "<!-- states -->" and
// "<!-- /states -->", and whether the page had these lines. A page that comes back as it was is up to date.
func InsertDiagram(page string) (string, bool) {
	lines := strings.Split(page, "\n")
	begin, end := slices.Index(lines, diagramBegin), slices.Index(lines, diagramEnd)
	if begin < 0 || end < begin {
		return page, false
	}
	block := []string{"```mermaid", strings.TrimSuffix(Diagram(), "\n"), "```"}
	return strings.Join(slices.Concat(lines[:begin+1], block, lines[end:]), "\n"), true
}
