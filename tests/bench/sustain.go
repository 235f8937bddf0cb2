package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

const (
	kept   = 2 * time.Second // the retention of the jobs
	ahead  = 2000            // how many jobs may be submitted and not done
	points = 6               // how often the figures are told
)

// sustain makes, runs and removes jobs for that long, and tells how many a second, how many records there are, and how
// long after the end of its lease a dead worker is noticed, without load and with it.
func (p plan) sustain(ctx context.Context, d time.Duration) error {
	for _, name := range p.stores {
		_, err := withStore(ctx, name, func(ctx context.Context, at place) (struct{}, error) {
			s, err := open(ctx, at, store.Timing{Grace: 10 * time.Second}) // a lease and a grace of ten seconds
			if err != nil {
				return struct{}{}, err
			}
			defer s.close()
			return struct{}{}, s.sustain(ctx, name, d)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (s *system) sustain(ctx context.Context, name string, d time.Duration) error {
	idle, err := s.death(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%s: a dead worker is noticed %v after its lease without load\n", name, idle.Round(time.Millisecond))
	load, stop := context.WithTimeout(ctx, d)
	defer stop()
	failed := make(chan error, 1)
	go func() { failed <- s.load(load) }()
	for range points {
		begun, before := time.Now(), s.stack.Runtime().Stats().Succeeded.Load()
		noticed, err := s.death(ctx)
		if err != nil {
			return err
		}
		records, err := s.records(ctx)
		if err != nil {
			return err
		}
		pace := float64(s.stack.Runtime().Stats().Succeeded.Load()-before) / time.Since(begun).Seconds()
		fmt.Printf("%s: %6.0f jobs/s, %7d records, a dead worker noticed after %v\n", name, pace, records, noticed.Round(time.Millisecond))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d/points - time.Since(begun)):
		}
	}
	stop()
	if err := <-failed; !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// load submits jobs until the context ends.
func (s *system) load(ctx context.Context) error {
	for n := s.stack.Runtime().Stats().Succeeded.Load(); ; {
		subs := submissions("bench.plain", 500, functions.Retention(kept))
		if _, err := s.stack.Client().SubmitMany(ctx, subs); err != nil {
			return err
		}
		n += int64(len(subs))
		if err := s.until(ctx, n-ahead); err != nil {
			return err
		}
	}
}

// records counts the records of the store.
func (s *system) records(ctx context.Context) (n int, err error) {
	it := s.coll.Query().Get(ctx, store.IDField)
	defer it.Stop()
	for ; ; n++ {
		if err := it.Next(ctx, map[string]any{}); errors.Is(err, io.EOF) {
			return n, nil
		} else if err != nil {
			return n, err
		}
	}
}

// nowhere is a queue that nobody receives from.
type nowhere struct{}

func (nowhere) Send(context.Context, string, time.Duration, ...pubsubq.Message) error { return nil }
func (nowhere) MaxDelay(string) time.Duration                                         { return 0 }

// death lets a worker of its own claim a job and do nothing more, and returns how long after the lease the job has
// ended.
func (s *system) death(ctx context.Context) (time.Duration, error) {
	jobs := functions.NewRegistry()
	dead := functions.Kind[number, number]("bench.dead", functions.MaxLost(1))
	dead.Handle(jobs, func(context.Context, *functions.Job[number]) (number, error) { return number{}, nil })
	timing := s.stack.Config().Timing
	records, err := store.New(s.coll, &store.Options{Timing: timing})
	if err != nil {
		return 0, err
	}
	rt, err := functions.New(jobs, functions.Backends{Store: records, Queue: nowhere{}, Blobs: s.stack.Blobs()}, functions.Config{})
	if err != nil {
		return 0, err
	}
	job, err := dead.Submit(ctx, rt.Client(), number{})
	if err != nil {
		return 0, err
	}
	if c := rt.Claim(ctx, pubsubq.Message{ID: job.ID})[0]; c.Attempt == nil {
		return 0, fmt.Errorf("claim: %w", c.Outcome.Err)
	}
	end := time.Now().Add(timing.Lease)
	if _, err := dead.Wait(ctx, rt.Client(), job.ID); !errors.As(err, new(*functions.EndedError)) {
		return 0, fmt.Errorf("the job of the dead worker: %w", err)
	}
	return time.Since(end), nil
}
