// Program peers measures Piecework side by side with River and Asynq, over the same servers on the
// same machine, in turns:
//
//	go -C tests/peers run .
//
// It builds a hello world of each, and of Temporal, whose server is not started here: how many
// lines and calls its author writes, how many other modules it links, its size. Then it starts
// PostgreSQL and Redis from the machine's own binaries. What cannot be had is left out, and said.
// The last line is for programs: the speed of Piecework divided by that of each peer, medians of
// all rounds.
//
// # What each promises
//
// Piecework stores each job, its claim and its end in one durable write each, with a lease and a
// fencing token by which a late worker cannot end a job twice. Its messages need not be durable.
//
// River stores the same three in PostgreSQL or SQLite. A job is taken from a worker that died after
// an hour by default, and by the job's age, not by the worker's silence. Ends are collected and
// written every 50 ms or so: a crash runs these jobs again.
//
// Asynq keeps jobs in Redis, here with an append-only file that is flushed every second: a power cut
// loses the last second. A job that has ended is gone, unless it is told to stay.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
)

// peer is a job system over one server.
type peer struct {
	name   string
	server string
	// open starts it with workers that run jobs that do nothing.
	open func(ctx context.Context, at string, workers int) (system, error)
}

// system is a running job system.
type system interface {
	// SubmitMany submits n jobs with arguments of so many bytes, in the way that is fastest.
	SubmitMany(ctx context.Context, n, bytes int) error
	// Submit submits one job.
	Submit(ctx context.Context, bytes int) error
	// Ended is how many jobs have ended, and are known to the store as such.
	Ended(ctx context.Context) (int, error)
	Close(ctx context.Context) error
}

// peers are measured in this order, the pairs over one server one after the other.
var peers = []peer{
	{"piecework", "postgres", openPiecework}, {"river", "postgres", openRiver},
	{"piecework", "sqlite", openPiecework}, {"river", "sqlite", openRiverSQLite},
	{"asynq", "redis", openAsynq},
}

// options are the flags.
type options struct {
	jobs, rounds, workers, submitters int
	short                             bool
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		if err := work(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "peers: worker:", err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.IntVar(&o.jobs, "jobs", 20_000, "jobs of a round")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds")
	flag.IntVar(&o.workers, "workers", 100, "jobs that run at once")
	flag.IntVar(&o.submitters, "submitters", 32, "callers that submit single jobs")
	flag.BoolVar(&o.short, "short", false, "5,000 jobs; takes less than two minutes")
	flag.Parse()
	if o.short {
		o.jobs = min(o.jobs, 5_000)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// run measures all peers and prints what it found.
func run(ctx context.Context, out io.Writer, o options) error {
	if err := compare(ctx, out); err != nil {
		return err
	}
	servers, err := startServers(ctx, out)
	if err != nil {
		return err
	}
	defer servers.stop()
	found := map[string][]figures{}
	for round := range o.rounds {
		for _, p := range peers {
			at, ok := servers.place(ctx, p.server)
			if !ok {
				continue
			}
			f, err := measure(ctx, p, at, o)
			if err != nil {
				return fmt.Errorf("%s over %s: %w", p.name, p.server, err)
			}
			found[p.key()] = append(found[p.key()], f)
			_, _ = fmt.Fprintf(out, "round %d  %-22s %s\n", round+1, p.key(), f)
		}
	}
	report(out, found)
	return nil
}

func (p peer) key() string { return p.name + "/" + p.server }

// figures are what was measured of a peer in one round.
type figures struct {
	pipeline, large, single float64       // jobs a second
	p50, p95                time.Duration // from submission in one process to start in another
}

func (f figures) String() string {
	return fmt.Sprintf("%8.0f jobs/s  %8.0f with 10 KB  %8.0f one by one  %8s p50 %8s p95",
		f.pipeline, f.large, f.single, f.p50.Round(10*time.Microsecond), f.p95.Round(10*time.Microsecond))
}

// measure runs one round of a peer.
func measure(ctx context.Context, p peer, at string, o options) (f figures, err error) {
	s, err := p.open(ctx, at, o.workers)
	if err != nil {
		return f, err
	}
	if f.pipeline, err = pipeline(ctx, s, o.jobs, 0); err == nil {
		f.large, err = pipeline(ctx, s, o.jobs/10, 10_000)
	}
	if err == nil {
		f.single, err = single(ctx, s, o.jobs/4, o.submitters)
	}
	if e := s.Close(ctx); err == nil {
		err = e
	}
	if err == nil {
		f.p50, f.p95, err = latency(ctx, p, at)
	}
	return f, err
}

// pipeline is how many jobs a second go from submission to their end while both happen at once.
func pipeline(ctx context.Context, s system, n, bytes int) (float64, error) {
	before, err := s.Ended(ctx)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := s.SubmitMany(ctx, n, bytes); err != nil {
		return 0, err
	}
	err = until(ctx, s, before+n)
	return float64(n) / time.Since(start).Seconds(), err
}

// single is how many jobs a second many callers submit one by one, while they run.
func single(ctx context.Context, s system, n, callers int) (float64, error) {
	before, err := s.Ended(ctx)
	if err != nil {
		return 0, err
	}
	start, errs := time.Now(), make(chan error, callers)
	for i := range callers {
		go func() {
			for j := i; j < n; j += callers {
				if err := s.Submit(ctx, 0); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range callers {
		if e := <-errs; e != nil {
			err = e
		}
	}
	rate := float64(n) / time.Since(start).Seconds()
	if err == nil {
		err = until(ctx, s, before+n)
	}
	return rate, err
}

// until waits until so many jobs have ended.
func until(ctx context.Context, s system, count int) error {
	limit, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		n, err := s.Ended(limit)
		if err != nil || n >= count {
			return err
		}
		select {
		case <-limit.Done():
			return fmt.Errorf("%d of %d jobs have ended: %w", n, count, limit.Err())
		case <-tick.C:
		}
	}
}

// report prints the medians and the ratios.
func report(out io.Writer, found map[string][]figures) {
	_, _ = fmt.Fprintln(out, "\nmedians")
	mid := map[string]figures{}
	for _, p := range peers {
		all := found[p.key()]
		if len(all) == 0 {
			continue
		}
		f := figures{
			median(all, func(f figures) float64 { return f.pipeline }), median(all, func(f figures) float64 { return f.large }),
			median(all, func(f figures) float64 { return f.single }), median(all, func(f figures) time.Duration { return f.p50 }),
			median(all, func(f figures) time.Duration { return f.p95 }),
		}
		mid[p.key()] = f
		_, _ = fmt.Fprintf(out, "%-22s %s\n", p.key(), f)
	}
	var ratios []string
	for _, pair := range [][3]string{
		{"postgres", "piecework/postgres", "river/postgres"}, {"sqlite", "piecework/sqlite", "river/sqlite"},
		{"asynq", "piecework/sqlite", "asynq/redis"},
	} {
		ours, theirs := mid[pair[1]], mid[pair[2]]
		if ours.pipeline > 0 && theirs.pipeline > 0 {
			ratios = append(ratios, fmt.Sprintf("%s=%.2f", pair[0], ours.pipeline/theirs.pipeline))
		}
	}
	_, _ = fmt.Fprintln(out, "ratios", strings.Join(ratios, " "))
}

func median[T float64 | time.Duration](all []figures, of func(figures) T) T {
	values := make([]T, len(all))
	for i, f := range all {
		values[i] = of(f)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
