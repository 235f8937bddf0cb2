package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"gocloud.dev/docstore"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/infra/drivers/sql"
	"github.com/piecework/piecework/localdev"
	"github.com/piecework/piecework/store"
)

// concurrency is how many jobs run at once.
const concurrency = 100

// system is the whole of Piecework over one store. A file and PostgreSQL have the queues too, as by default.
type system struct {
	stack *localdev.Stack
	coll  *docstore.Collection
	ended atomic.Int64
	start chan time.Time // when the handler of a lone job began
}

type number struct {
	N int `json:"n"`
}

// open starts a system. A zero timing is that of localdev.
func open(ctx context.Context, at place, timing store.Timing) (*system, error) {
	s := &system{start: make(chan time.Time, 1)}
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "bench.plain", func(context.Context, *functions.Job[number]) (struct{}, error) {
		s.ended.Add(1)
		return struct{}{}, nil
	})
	functions.Handle(jobs, "bench.lone", func(context.Context, *functions.Job[number]) (struct{}, error) {
		s.start <- time.Now()
		return struct{}{}, nil
	})
	functions.Handle(jobs, "bench.waiting", func(context.Context, *functions.Job[number]) (struct{}, error) {
		return struct{}{}, nil
	})
	cfg := localdev.Config{Dir: at.dir, Store: at.url, Blobs: "mem://", Timing: timing, Log: slog.New(slog.DiscardHandler)}
	cfg.Worker.Concurrency, cfg.Drivers = concurrency, drivers.New(sql.Register, mem.Register)
	var err error
	if s.stack, err = localdev.Start(ctx, jobs, cfg); err != nil {
		return nil, err
	}
	s.coll = s.stack.Collection()
	return s, nil
}

func (s *system) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_ = s.stack.Stop(ctx)
}

// submissions makes n jobs of a kind.
func submissions(kind string, n int, opts ...functions.SubmitOption) []functions.Submission {
	subs := make([]functions.Submission, n)
	for i := range subs {
		subs[i] = functions.Submission{Kind: kind, Args: number{i}, Options: opts}
	}
	return subs
}

// pipeline is how many jobs a second go from submission to their end, while both happen at once.
func (s *system) pipeline(ctx context.Context, n int) (float64, error) {
	done := s.stack.Runtime().Stats().Succeeded.Load() + int64(n)
	subs := submissions("bench.plain", n)
	start := time.Now()
	if _, err := s.stack.Client().SubmitMany(ctx, subs); err != nil {
		return 0, err
	}
	if err := s.until(ctx, done); err != nil {
		return 0, err
	}
	return float64(n) / time.Since(start).Seconds(), nil
}

// until waits until so many jobs have succeeded.
func (s *system) until(ctx context.Context, count int64) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for s.stack.Runtime().Stats().Succeeded.Load() < count {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// latency is the time from the call of Submit to the first line of the handler, when nothing else is going on.
func (s *system) latency(ctx context.Context, n int) (p50, p99 time.Duration, err error) {
	times := make([]time.Duration, 0, n)
	for i := range n {
		at := time.Now()
		if _, err := s.stack.Client().Submit(ctx, "bench.lone", number{i}); err != nil {
			return 0, 0, err
		}
		select {
		case began := <-s.start:
			times = append(times, began.Sub(at))
		case <-time.After(10 * time.Second):
			return 0, 0, fmt.Errorf("lone job %d did not start within 10 s", i)
		}
	}
	slices.Sort(times)
	return times[n/2], times[n*99/100], nil
}

// backlog compares submit, run and sweep without and with so many waiting records.
func (s *system) backlog(ctx context.Context, name string, waiting, jobs int) (string, error) {
	// Once without looking: a table that has seen few jobs yet is faster than one that has seen many, with or
	// without a backlog.
	if _, err := s.paces(ctx, jobs); err != nil {
		return "", err
	}
	before, err := s.paces(ctx, jobs)
	if err != nil {
		return "", err
	}
	later := submissions("bench.waiting", waiting, functions.After(30*24*time.Hour))
	if _, err := s.stack.Client().SubmitMany(ctx, later); err != nil {
		return "", err
	}
	after, err := s.paces(ctx, jobs)
	if err != nil {
		return "", err
	}
	var line strings.Builder
	fmt.Fprintf(&line, "%-14s", name)
	for i := range before {
		fmt.Fprintf(&line, " %12.2f", float64(after[i])/float64(before[i]))
	}
	return line.String(), nil
}

// paces are the times of a submit of held jobs, of running jobs, and of an idle sweep: the medians of five.
func (s *system) paces(ctx context.Context, jobs int) (paces [3]time.Duration, err error) {
	var runs [3][]time.Duration
	for range 5 {
		start := time.Now()
		if _, err := s.stack.Client().SubmitMany(ctx, submissions("bench.plain", jobs/5, functions.Held())); err != nil {
			return paces, err
		}
		runs[0] = append(runs[0], time.Since(start))
		start = time.Now()
		if _, err := s.pipeline(ctx, jobs/5); err != nil {
			return paces, err
		}
		runs[1] = append(runs[1], time.Since(start))
		start = time.Now()
		for range 20 {
			if _, err := s.stack.Runtime().Sweep(ctx, functions.SweepRequest{}); err != nil {
				return paces, err
			}
		}
		runs[2] = append(runs[2], time.Since(start))
	}
	for i := range runs {
		slices.Sort(runs[i])
		paces[i] = runs[i][len(runs[i])/2]
	}
	return paces, nil
}
