package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	seeds := flag.Uint64("seeds", 100, "how many histories to play; with -mutants at most, 500 if it is not given")
	from := flag.Uint64("from", 0, "the first seed")
	verbose := flag.Bool("v", false, "tell each history event by event")
	all := flag.Bool("mutants", false, "break each rule in turn and look for a history in which that is noticed")
	one := flag.String("mutant", "", "play with this rule broken")
	exhaustive := flag.Bool("exhaustive", false, "play every order of events of a small world")
	depth := flag.Int("switches", 1, "with -exhaustive: how often a coroutine may be interrupted by another")
	gen := flag.Int("generation", generation, "play the worlds that seeds had in an earlier generation")
	every := flag.Duration("progress", time.Minute, "how often to tell how far it is")
	workers := flag.Int("workers", runtime.NumCPU(), "how many histories to play at once")
	flag.Parse()
	debug.SetGCPercent(400) // worlds are small and short-lived
	if names, ok := nameOf(*one); *one != "" && !ok {
		fmt.Fprintf(os.Stderr, "sim: there is no mutant %q; mutants are %s\n", *one, names)
		os.Exit(2)
	}
	var ok bool
	switch {
	case *exhaustive:
		ok = explore(os.Stdout, *depth, *workers)
	case *all:
		if !given("seeds") {
			*seeds = mutantSeeds
		}
		ok = playMutants(*seeds, *from, *workers)
	default:
		ok = playSeeds(batch{*seeds, *from, *workers, *gen, *one, *verbose, *every})
	}
	if !ok {
		os.Exit(1)
	}
}

// mutantSeeds is in how many histories a mutant must be noticed. Most are in the first few.
const mutantSeeds = 500

// given reports whether a flag is on the command line.
func given(name string) bool {
	there := false
	flag.Visit(func(f *flag.Flag) { there = there || f.Name == name })
	return there
}

// tally counts over many histories.
type tally struct {
	seeds, jobs, events, faults, broken atomic.Int64

	mu     sync.Mutex
	sweeps int // the most that a history needed
}

// add counts a history.
func (t *tally) add(w *world) {
	t.seeds.Add(1)
	t.jobs.Add(int64(len(w.oracle.jobs)))
	t.events.Add(int64(w.events))
	t.faults.Add(int64(w.faults))
	if w.oracle.broken() {
		t.broken.Add(1)
	}
	t.mu.Lock()
	t.sweeps = max(t.sweeps, w.sweeps)
	t.mu.Unlock()
}

// print tells what was counted.
func (t *tally) print(what string, took time.Duration) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Printf("%s: %d seeds, %d jobs, %d events, %d faults injected, at most %d of %d sweeps to come to rest, %d violations, "+
		"%.1f s, %.0f seeds/s, %d MB of memory\n",
		what, t.seeds.Load(), t.jobs.Load(), t.events.Load(), t.faults.Load(), t.sweeps, maxSweeps, t.broken.Load(),
		took.Seconds(), float64(t.seeds.Load())/took.Seconds(), m.Sys>>20)
}

// each plays many seeds on several workers; every world is its own.
func each(seeds, from uint64, workers int, play func(seed uint64)) {
	next := atomic.Uint64{}
	var wg sync.WaitGroup
	for range max(workers, 1) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < seeds; i = next.Add(1) - 1 {
				play(from + i)
			}
		})
	}
	wg.Wait()
}

// batch is what playSeeds is to play.
type batch struct {
	seeds, from         uint64
	workers, generation int
	mutant              string
	verbose             bool
	every               time.Duration // between two lines that tell how far it is
}

// playSeeds plays histories and prints those that break a rule, how far it is from time to time, and one last line.
func playSeeds(r batch) bool {
	start := time.Now()
	var t tally
	var mu sync.Mutex
	told := start
	each(r.seeds, r.from, r.workers, func(seed uint64) {
		w := newWorldOf(r.generation, seed, r.mutant)
		if r.verbose {
			w.log = &strings.Builder{}
		}
		w.play()
		t.add(w)
		mu.Lock()
		defer mu.Unlock()
		if time.Since(told) >= r.every {
			told = time.Now()
			t.print("so far", time.Since(start))
		}
		if r.verbose {
			fmt.Printf("seed %d: %+v\n%s", seed, w.cfg, w.log)
		}
		for _, v := range w.oracle.found {
			fmt.Printf("seed %d: %s: %s\n", seed, v.rule, v.text)
		}
		if w.oracle.broken() {
			fmt.Printf("seed %d: replay with: go run ./tests/sim -seeds 1 -from %d -v\n", seed, seed)
		}
	})
	t.print("sim", time.Since(start))
	return t.broken.Load() == 0
}

// playMutants plays each broken rule until a history breaks it, in all of the seeds at most.
func playMutants(seeds, from uint64, workers int) bool {
	start, missed := time.Now(), 0
	for _, m := range mutants {
		by := fmt.Sprintf("missed in %d seeds", seeds)
		if first, ok := noticed(seeds, from, workers, m.name); ok {
			by = fmt.Sprintf("noticed in seed %d", first)
		} else {
			missed++
		}
		fmt.Printf("%-22s %-22s %s\n", m.name, by, m.rule)
	}
	fmt.Printf("sim: %d mutants, %d noticed, %d missed, %.1f s\n", len(mutants), len(mutants)-missed, missed, time.Since(start).Seconds())
	return missed == 0
}

// noticed finds the first seed in which a mutant breaks a rule that holds without it.
func noticed(seeds, from uint64, workers int, mutant string) (first uint64, ok bool) {
	var end atomic.Uint64 // no seed from here on is worth playing
	end.Store(from + seeds)
	each(seeds, from, workers, func(seed uint64) {
		if seed >= end.Load() {
			return
		}
		w := newWorld(seed, mutant)
		w.play()
		for is := end.Load(); w.oracle.broken() && seed < is && !end.CompareAndSwap(is, seed); is = end.Load() {
		}
	})
	return end.Load(), end.Load() < from+seeds
}
