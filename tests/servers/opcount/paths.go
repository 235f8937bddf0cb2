package opcount

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/counting"
	"github.com/piecework/piecework/tests/servers/wire"
)

// The names of the paths that limits and costs refer to.
const (
	pathPlain   = "plain job"
	pathBatch   = "1,000 plain jobs in one call, claimed by tens"
	pathIdle    = "idle sweep"
	pathDue     = "sweep with 1 due"
	pathRemoval = "removal of a job by sweep"
)

// path is a way through a job's life.
type path struct {
	name    string
	prepare func(ctx context.Context, b *bench) error // not counted
	walk    func(ctx context.Context, b *bench) error
}

func run(kind string, opts ...functions.SubmitOption) func(ctx context.Context, b *bench) error {
	return func(ctx context.Context, b *bench) error { return b.job(ctx, kind, opts...) }
}

var paths = []path{
	{pathPlain, run("plain"), run("plain")},
	{"job with an output", run("output"), run("output")},
	{"job with one retry at once", run("again"), run("again")},
	{"continuation", run("continue"), run("continue")},
	{"delayed job, one sweep", nil, run("plain", functions.After(time.Minute))},
	{pathBatch, nil, batch},
	{pathIdle, nil, func(ctx context.Context, b *bench) error { return sweep(ctx, b, 0) }},
	{pathDue, func(ctx context.Context, b *bench) error {
		_, err := b.rt.Client().Submit(ctx, "plain", args{}, functions.After(time.Second))
		b.advance(2 * time.Second)
		return err
	}, func(ctx context.Context, b *bench) error { return sweep(ctx, b, 1) }},
	{pathRemoval, func(ctx context.Context, b *bench) error {
		if _, err := b.deliver(ctx); err != nil {
			return err
		}
		if err := b.job(ctx, "kept"); err != nil {
			return err
		}
		b.advance(2 * time.Hour)
		return nil
	}, func(ctx context.Context, b *bench) error { return sweep(ctx, b, 1) }},
}

// sweep sweeps once and must find that many records.
func sweep(ctx context.Context, b *bench, want int) error {
	r, err := b.rt.Sweep(ctx, functions.SweepRequest{})
	if err == nil && r.Looked != want {
		err = fmt.Errorf("sweep looked at %d records, not %d", r.Looked, want)
	}
	return err
}

// batch submits a thousand jobs in one call, and claims them by tens, as a function does that SQS hands ten messages.
func batch(ctx context.Context, b *bench) error {
	subs := make([]functions.Submission, 1000)
	for i := range subs {
		subs[i] = functions.Submission{Kind: "plain", Args: args{Customer: fmt.Sprint(i), Month: "2026-11"}}
	}
	receipts, err := b.rt.Client().SubmitMany(ctx, subs)
	for _, r := range receipts {
		err = errors.Join(err, r.Err)
	}
	if err != nil {
		return err
	}
	msgs := b.take()
	for len(msgs) > 0 {
		n := min(10, len(msgs))
		for _, c := range b.rt.Claim(ctx, msgs[:n]...) {
			if c.Attempt == nil {
				return c.Outcome.Err
			}
			if out := c.Attempt.Execute(ctx); out.Err != nil {
				return out.Err
			}
		}
		msgs = msgs[n:]
	}
	return nil
}

// Measured is what a path asked for.
type Measured struct {
	Driver counting.Counts `json:"driver"`         // at the driver: documents
	Wire   wire.Counts     `json:"wire,omitempty"` // on the wire: requests
	Queue  int             `json:"queue"`          // requests to send messages, of up to ten
}

// measure walks all paths. take, if not nil, gives what was counted on the wire.
func measure(ctx context.Context, b *bench, ttl store.TTL, take func() wire.Counts) (map[string]Measured, error) {
	all := map[string]Measured{}
	for _, p := range paths {
		if p.name == pathRemoval && ttl != store.TTLNone {
			continue // the store does it
		}
		if p.prepare != nil {
			if err := p.prepare(ctx, b); err != nil {
				return nil, fmt.Errorf("prepare %s: %w", p.name, err)
			}
		}
		b.ops.Take()
		b.calls = 0
		if take != nil {
			take()
		}
		if err := p.walk(ctx, b); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		m := Measured{Driver: b.ops.Take(), Queue: b.calls}
		if take != nil {
			m.Wire = take()
		}
		all[p.name] = m
	}
	return all, nil
}

// limits are what the design promises of a path (section 1.6), at the driver.
var limits = map[string]counting.Counts{
	pathPlain: {Reads: 2, Writes: 3, Due: 2, List: 1, Messages: 1},
	pathBatch: {Reads: 2000, Writes: 3000, Due: 2000, List: 1000, Messages: 1000},
	pathIdle:  {Queries: store.DueShards},
	pathDue:   {Reads: 1, Writes: 1, Due: 1, Queries: store.DueShards, Found: 1, Messages: 1},
}
