package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

// path is a way through a job's life.
type path struct {
	name    string
	prepare func(ctx context.Context, b *bench) error // not counted
	walk    func(ctx context.Context, b *bench) error
}

// backlog is how many records the last path sweeps among.
const backlog = 100_000

var paths = []path{
	{"plain job", warmUp, plain},
	{"job with an output", nil, func(ctx context.Context, b *bench) error { return b.job(ctx, "output", store.Succeeded) }},
	{"job that fails for good", nil, func(ctx context.Context, b *bench) error { return b.job(ctx, "fail", store.Failed) }},
	{"job with one retry at once", nil, func(ctx context.Context, b *bench) error { return b.job(ctx, "again", store.Succeeded) }},
	{"job with one retry later, one sweep", nil, func(ctx context.Context, b *bench) error { return b.job(ctx, "later", store.Succeeded) }},
	{"continuation", nil, func(ctx context.Context, b *bench) error { return b.job(ctx, "continue", store.Succeeded) }},
	{"job with one checkpoint", nil, func(ctx context.Context, b *bench) error { return b.job(ctx, "checkpoint", store.Succeeded) }},
	{"delayed job, one sweep", nil, func(ctx context.Context, b *bench) error {
		return b.job(ctx, "plain", store.Succeeded, functions.After(time.Minute))
	}},
	{"cancelled job, while it waits", nil, func(ctx context.Context, b *bench) error { return cancelled(ctx, b, false) }},
	{"cancelled job, while it runs", nil, func(ctx context.Context, b *bench) error { return cancelled(ctx, b, true) }},
	{"duplicate message", duplicate, func(ctx context.Context, b *bench) error { return b.deliver(ctx) }},
	{"lost worker, one sweep, second attempt", nil, lost},
	{"1,000 plain jobs in one call, 100 a claim", nil, many},
	{"idle sweep", settle, func(ctx context.Context, b *bench) error { return b.sweep(ctx, 0) }},
	{"sweep with 1 of 100,000 records due", pile, func(ctx context.Context, b *bench) error { return b.sweep(ctx, 1) }},
}

// keeping is a path over a store that may delete by itself.
type keeping struct {
	path

	ttl store.TTL
}

// retention are the paths of a record that goes. On a store that deletes by itself a plain job costs no more in its life
// than elsewhere, and nothing when it goes.
var retention = []keeping{
	{path{"sweep that removes a plain job", removable, func(ctx context.Context, b *bench) error { return b.sweep(ctx, 1) }}, store.TTLNone},
	{path{"plain job that the store will delete", warmUp, plain}, store.TTLSeconds},
	{path{"sweep when that job has expired", removable, func(ctx context.Context, b *bench) error { return b.sweep(ctx, 0) }}, store.TTLSeconds},
}

func plain(ctx context.Context, b *bench) error { return b.job(ctx, "plain", store.Succeeded) }

// removable is a plain job whose retention has passed.
func removable(ctx context.Context, b *bench) error {
	if err := plain(ctx, b); err != nil {
		return err
	}
	b.clock.advance(366 * 24 * time.Hour)
	return nil
}

// warmUp submits one job of each kind, so that the kinds are known. None of them is ever due.
func warmUp(ctx context.Context, b *bench) error {
	for _, kind := range b.rt.Registry().Kinds() {
		if _, err := b.rt.Client().Submit(ctx, kind, struct{}{}, functions.Held()); err != nil {
			return err
		}
	}
	return nil
}

// cancelled submits a job and cancels it.
func cancelled(ctx context.Context, b *bench, runs bool) error {
	kind := "plain"
	if runs {
		kind = "cancel" // its handler cancels its own job
	}
	r, err := b.rt.Client().Submit(ctx, kind, struct{}{})
	if err != nil {
		return err
	}
	if !runs {
		if _, err := b.rt.Client().Cancel(ctx, r.ID, ""); err != nil {
			return err
		}
	}
	if err := b.deliver(ctx); err != nil {
		return err
	}
	return b.want(ctx, r.ID, store.Cancelled)
}

// duplicate prepares a message for a job that has ended.
func duplicate(ctx context.Context, b *bench) error {
	if _, err := b.rt.Client().Submit(ctx, "plain", struct{}{}); err != nil {
		return err
	}
	msgs := b.queue.take()
	b.queue.put(msgs)
	if err := b.deliver(ctx); err != nil {
		return err
	}
	b.queue.put(msgs)
	return nil
}

// lost is a job whose first worker dies.
func lost(ctx context.Context, b *bench) error {
	r, err := b.rt.Client().Submit(ctx, "plain", struct{}{}, functions.Retries(functions.Constant(0)))
	if err != nil {
		return err
	}
	if c := b.rt.Claim(ctx, b.queue.take()...); c[0].Attempt == nil {
		return c[0].Outcome.Err
	}
	b.clock.advance(b.rt.Timing().Grace + time.Second)
	if _, err := b.rt.Sweep(ctx, functions.SweepRequest{}); err != nil {
		return err
	}
	if err := b.deliver(ctx); err != nil {
		return err
	}
	return b.want(ctx, r.ID, store.Succeeded)
}

// many submits a thousand jobs in one call, and claims them by hundreds.
func many(ctx context.Context, b *bench) error {
	subs := make([]functions.Submission, 1000)
	for i := range subs {
		subs[i] = functions.Submission{Kind: "plain", Args: struct{}{}}
	}
	if _, err := b.rt.Client().SubmitMany(ctx, subs); err != nil {
		return err
	}
	msgs := b.queue.take()
	for start := 0; start < len(msgs); start += 100 {
		for _, c := range b.rt.Claim(ctx, msgs[start:start+100]...) {
			if c.Attempt == nil {
				return c.Outcome.Err
			}
			if out := c.Attempt.Execute(ctx); out.Err != nil {
				return out.Err
			}
		}
	}
	return nil
}

// settle ends what is due, so that the next sweep is idle.
func settle(ctx context.Context, b *bench) error {
	_, err := b.rt.Sweep(ctx, functions.SweepRequest{})
	b.queue.take()
	return err
}

// pile stores many jobs that are due tomorrow, and one that is due now.
func pile(ctx context.Context, b *bench) error {
	for start := 0; start < backlog; start += 10_000 {
		subs := make([]functions.Submission, 10_000)
		for i := range subs {
			subs[i] = functions.Submission{Kind: "plain", Args: struct{}{}, Options: []functions.SubmitOption{functions.After(24 * time.Hour)}}
		}
		if start == 0 {
			subs[0].Options = []functions.SubmitOption{functions.After(time.Second)}
		}
		if _, err := b.rt.Client().SubmitMany(ctx, subs); err != nil {
			return err
		}
	}
	b.clock.advance(2 * time.Second)
	return nil
}

// handlers are the kinds that the paths run.
func handlers(b *bench) *functions.Registry {
	reg := functions.NewRegistry()
	functions.Handle(reg, "plain", func(context.Context, *functions.Job[struct{}]) (int, error) { return 1, nil })
	functions.Handle(reg, "output", func(ctx context.Context, job *functions.Job[struct{}]) (int, error) {
		w, err := job.Output(ctx, "a.txt")
		if err != nil {
			return 0, err
		}
		_, err = fmt.Fprintln(w, "text")
		return 1, err
	})
	functions.Handle(reg, "fail", func(context.Context, *functions.Job[struct{}]) (int, error) {
		return 0, functions.Permanent(errors.New("no"))
	})
	once := func(err error) func(context.Context, *functions.Job[struct{}]) (int, error) {
		return func(_ context.Context, job *functions.Job[struct{}]) (int, error) {
			if job.Attempt == 1 {
				return 0, err
			}
			return 1, nil
		}
	}
	functions.Handle(reg, "again", once(functions.RetryAfter(0, errors.New("no"))))
	functions.Handle(reg, "later", once(functions.RetryAfter(time.Minute, errors.New("no"))))
	functions.Handle(reg, "continue", func(ctx context.Context, job *functions.Job[struct{}]) (int, error) {
		if found, err := job.LoadCheckpoint(ctx, new(int)); err != nil || found {
			return 1, err
		}
		return 0, functions.Continue(1)
	})
	functions.Handle(reg, "checkpoint", func(ctx context.Context, job *functions.Job[struct{}]) (int, error) {
		return 1, job.Checkpoint(ctx, 1)
	})
	functions.Handle(reg, "cancel", func(ctx context.Context, job *functions.Job[struct{}]) (int, error) {
		if _, err := b.rt.Client().Cancel(ctx, job.ID, ""); err != nil {
			return 0, err
		}
		<-ctx.Done()
		return 0, ctx.Err()
	})
	return reg
}
