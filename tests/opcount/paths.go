package main

import (
	"context"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/counting"
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
	{"duplicate message", duplicate, func(ctx context.Context, b *bench) error { return b.Deliver(ctx) }},
	{"lost worker, one sweep, second attempt", nil, lost},
	{"1,000 plain jobs in one call, 100 a claim", nil, func(ctx context.Context, b *bench) error {
		return b.Thousand(ctx, "plain", counting.Some, 100)
	}},
	{"idle sweep", settle, func(ctx context.Context, b *bench) error { return b.Sweep(ctx, 0) }},
	{"sweep with 1 of 100,000 records due", pile, func(ctx context.Context, b *bench) error { return b.Sweep(ctx, 1) }},
}

// keeping is a path over a store that may delete by itself.
type keeping struct {
	path

	ttl store.TTL
}

// retention are the paths of a record that goes. On a store that deletes by itself a plain job costs no more in its life
// than elsewhere, and nothing when it goes.
var retention = []keeping{
	{path{"sweep that removes a plain job", removable, func(ctx context.Context, b *bench) error { return b.Sweep(ctx, 1) }}, store.TTLNone},
	{path{"plain job that the store will delete", warmUp, plain}, store.TTLSeconds},
	{path{"sweep when that job has expired", removable, func(ctx context.Context, b *bench) error { return b.Sweep(ctx, 0) }}, store.TTLSeconds},
}

func plain(ctx context.Context, b *bench) error { return b.job(ctx, "plain", store.Succeeded) }

// removable is a plain job whose retention has passed.
func removable(ctx context.Context, b *bench) error {
	if err := plain(ctx, b); err != nil {
		return err
	}
	b.Clock.Advance(366 * 24 * time.Hour)
	return nil
}

// warmUp submits one job of each kind, so that the kinds are known. None of them is ever due.
func warmUp(ctx context.Context, b *bench) error {
	for _, kind := range b.Runtime.Registry().Kinds() {
		if _, err := b.Runtime.Client().Submit(ctx, kind, counting.Some, functions.Held()); err != nil {
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
	r, err := b.Runtime.Client().Submit(ctx, kind, counting.Some)
	if err != nil {
		return err
	}
	if !runs {
		if _, err := b.Runtime.Client().Cancel(ctx, r.ID, ""); err != nil {
			return err
		}
	}
	if err := b.Deliver(ctx); err != nil {
		return err
	}
	return b.want(ctx, r.ID, store.Cancelled)
}

// duplicate prepares a message for a job that has ended.
func duplicate(ctx context.Context, b *bench) error {
	if _, err := b.Runtime.Client().Submit(ctx, "plain", counting.Some); err != nil {
		return err
	}
	msgs := b.Queue.Take()
	again := func() error { return b.Queue.Send(ctx, "", 0, msgs...) } // past what counts
	if err := again(); err != nil {
		return err
	}
	if err := b.Deliver(ctx); err != nil {
		return err
	}
	return again()
}

// lost is a job whose first worker dies.
func lost(ctx context.Context, b *bench) error {
	r, err := b.Runtime.Client().Submit(ctx, "plain", counting.Some, functions.Retries(functions.Constant(0)))
	if err != nil {
		return err
	}
	if c := b.Runtime.Claim(ctx, b.Queue.Take()...); c[0].Attempt == nil {
		return c[0].Outcome.Err
	}
	b.Clock.Advance(b.Runtime.Timing().Grace + time.Second)
	if _, err := b.Runtime.Sweep(ctx, functions.SweepRequest{}); err != nil {
		return err
	}
	if err := b.Deliver(ctx); err != nil {
		return err
	}
	return b.want(ctx, r.ID, store.Succeeded)
}

// settle ends what is due, so that the next sweep is idle.
func settle(ctx context.Context, b *bench) error {
	_, err := b.Runtime.Sweep(ctx, functions.SweepRequest{})
	b.Queue.Take()
	return err
}

// pile stores many jobs that are due tomorrow, and one that is due now.
func pile(ctx context.Context, b *bench) error {
	for start := 0; start < backlog; start += 10_000 {
		subs := make([]functions.Submission, 10_000)
		for i := range subs {
			subs[i] = functions.Submission{Kind: "plain", Args: counting.Some, Options: []functions.SubmitOption{functions.After(24 * time.Hour)}}
		}
		if start == 0 {
			subs[0].Options = []functions.SubmitOption{functions.After(time.Second)}
		}
		if _, err := b.Runtime.Client().SubmitMany(ctx, subs); err != nil {
			return err
		}
	}
	b.Clock.Advance(2 * time.Second)
	return nil
}
