// Command bench measures Piecework on this machine and prints what it saw:
//
//	go run ./tests/bench                 everything
//	go run ./tests/bench -short          a short run
//	go run ./tests/bench -sustain 2m     jobs without a pause that are removed after two seconds, instead
//
// For each store, in one run: jobs per second through submit, execute and finish, beside what the same store does raw
// with the same three writes a job, one hundred to a transaction, and without messages; the time from submit to start
// when nothing else runs; and what a backlog of waiting records does to each. Compare figures of one run only: machines
// differ, and the same machine differs from hour to hour. The ratios are what counts.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/piecework/piecework/store"
)

// plan is what to measure.
type plan struct {
	jobs    int
	backlog int
	lone    int
	stores  []string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := measure(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// measure does what the flags ask for.
func measure(ctx context.Context) error {
	var p plan
	var names string
	flag.IntVar(&p.jobs, "jobs", 20_000, "jobs to run through each store")
	flag.IntVar(&p.backlog, "backlog", 100_000, "waiting records for the backlog's effect; 0: leave it out")
	flag.IntVar(&p.lone, "lone", 500, "jobs submitted one by one for the idle latency")
	flag.StringVar(&names, "stores", strings.Join(storeNames, ","), "stores to measure")
	profile := flag.String("cpuprofile", "", "write a CPU profile of the whole run to this file")
	brief := flag.Bool("short", false, "2,000 jobs, 100 lone ones and a backlog of 10,000")
	sustain := flag.Duration("sustain", 0, "instead of all else, make, run and remove jobs for so long")
	flag.Parse()
	if *brief {
		p.jobs, p.lone, p.backlog = 2000, 100, 10_000
	}
	for name := range strings.SplitSeq(names, ",") {
		if !slices.Contains(storeNames, name) {
			return fmt.Errorf("no store %q; stores are %s", name, strings.Join(storeNames, ", "))
		}
		p.stores = append(p.stores, name)
	}
	slog.SetLogLoggerLevel(slog.LevelError)
	if *profile != "" {
		f, err := os.Create(*profile)
		if err == nil {
			err = pprof.StartCPUProfile(f)
		}
		if err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	if *sustain > 0 {
		return p.sustain(ctx, *sustain)
	}
	return p.run(ctx)
}

// run measures each store and prints its lines as soon as they are known.
func (p plan) run(ctx context.Context) error {
	fmt.Printf("%d jobs a store; ratios are to the raw speed of the same store in this run\n\n", p.jobs)
	fmt.Printf("%-14s %12s %12s %7s %12s %12s\n", "store", "raw jobs/s", "jobs/s", "ratio", "start p50", "start p99")
	var lines []string
	for _, name := range p.stores {
		line, err := p.store(ctx, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		lines = append(lines, line...)
	}
	if p.backlog > 0 {
		fmt.Printf("\nwith %d waiting records beside it, in times of without (higher is slower)\n\n", p.backlog)
		fmt.Printf("%-14s %12s %12s %12s\n", "store", "submit", "run", "idle sweep")
		for _, l := range lines {
			fmt.Println(l)
		}
	}
	return nil
}

// store measures one store; it returns the lines about the backlog.
func (p plan) store(ctx context.Context, name string) ([]string, error) {
	raw, err := withStore(ctx, name, func(ctx context.Context, at place) (float64, error) {
		return rawSpeed(ctx, at, p.jobs)
	})
	if err != nil {
		return nil, fmt.Errorf("raw speed: %w", err)
	}
	type figures struct {
		speed    float64
		p50, p99 time.Duration
		line     string
	}
	f, err := withStore(ctx, name, func(ctx context.Context, at place) (f figures, err error) {
		s, err := open(ctx, at, store.Timing{})
		if err != nil {
			return f, err
		}
		defer s.close()
		if f.p50, f.p99, err = s.latency(ctx, p.lone); err != nil {
			return f, fmt.Errorf("idle latency: %w", err)
		}
		if f.speed, err = s.pipeline(ctx, p.jobs); err != nil {
			return f, fmt.Errorf("pipeline: %w", err)
		}
		if p.backlog > 0 {
			if f.line, err = s.backlog(ctx, name, p.backlog, min(p.jobs, 10_000)); err != nil {
				return f, fmt.Errorf("backlog: %w", err)
			}
		}
		return f, nil
	})
	if err != nil {
		return nil, err
	}
	fmt.Printf("%-14s %12.0f %12.0f %7.2f %12s %12s\n", name, raw, f.speed, f.speed/raw, short(f.p50), short(f.p99))
	return []string{f.line}, nil
}

// short writes a latency with three digits.
func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	default:
		return d.Round(10 * time.Microsecond).String()
	}
}
