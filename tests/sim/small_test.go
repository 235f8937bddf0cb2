package main

import (
	"strings"
	"testing"
)

// The command searches all small worlds with more switches; here each is searched with as many as take a moment.
func TestSmallWorldsInEveryOrder(t *testing.T) {
	t.Parallel()
	for _, s := range small[1:] {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			e := &search{scenario: s.scenario, faults: s.faults, switches: 1, visited: map[uint64]bool{}}
			if e.all(&out); e.violations > 0 {
				t.Errorf("%d violations in %d runs:\n%s", e.violations, e.runs, out.String())
			}
			if len(e.visited) < 100 {
				t.Errorf("only %d states", len(e.visited))
			}
		})
	}
}
