package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"weak"
)

// Worlds are small and short-lived, and there are many.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// check plays a seed and fails with what was broken and how to replay it.
func check(t *testing.T, seed uint64) *world {
	t.Helper()
	w := newWorld(seed, "")
	w.play()
	for _, v := range w.oracle.found {
		t.Errorf("seed %d: %s: %s; replay with: go run ./tests/sim -seeds 1 -from %d -v", seed, v.rule, v.text, seed)
	}
	return w
}

func TestRandomHistories(t *testing.T) {
	t.Parallel()
	faults := 0
	for seed := range uint64(100) {
		faults += check(t, seed).faults
	}
	if faults < 1000 {
		t.Errorf("only %d faults were injected", faults)
	}
}

// A million histories must fit in the memory of a few: nothing may keep a world alive once it is closed.
func TestAClosedWorldIsFreed(t *testing.T) {
	t.Parallel()
	var worlds []weak.Pointer[world]
	for seed := range uint64(10) {
		worlds = append(worlds, weak.Make(check(t, seed)))
	}
	held := func(w weak.Pointer[world]) bool { return w.Value() != nil }
	for range 200 { // the finalizers of a collection and its bucket run between two collections, when there is time
		if runtime.GC(); !slices.ContainsFunc(worlds, held) {
			break
		}
	}
	for seed, w := range worlds {
		if w.Value() != nil {
			t.Errorf("the world of seed %d is still reachable, want it collected", seed)
		}
	}
}

func BenchmarkHistories(b *testing.B) {
	for seed := uint64(0); b.Loop(); seed++ {
		w := newWorld(seed, "")
		w.play()
	}
}

// The corpus has the seeds that once found something, each with the generation of worlds that it was played in, and what
// it was. What a seed plays changes with the code under test, so each stands for nothing but itself; together they cost
// little.
func TestHistoriesThatFailedOnce(t *testing.T) {
	t.Parallel()
	f, err := os.Open("testdata/corpus.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		var seed uint64
		var generation int
		if _, err := fmt.Sscan(text, &seed, &generation); err != nil {
			t.Fatalf("corpus line %q: %v", lines.Text(), err)
		}
		w := newWorldOf(generation, seed, "")
		w.play()
		for _, v := range w.oracle.found {
			t.Errorf("seed %d of generation %d: %s: %s", seed, generation, v.rule, v.text)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

func TestASeedIsAHistory(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		a, b := check(t, seed), check(t, seed)
		if a.hash != b.hash || a.events != b.events {
			t.Errorf("seed %d: %d events with hash %x, then %d with hash %x", seed, a.events, a.hash, b.events, b.hash)
		}
	}
}

func TestEveryMutantIsNoticed(t *testing.T) {
	t.Parallel()
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(mutantSeeds) {
				w := newWorld(seed, m.name)
				w.play()
				if w.oracle.broken() {
					return
				}
			}
			t.Errorf("not noticed in %d seeds: %s", mutantSeeds, m.rule)
		})
	}
}

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
