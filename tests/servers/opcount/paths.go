package opcount

import (
	"context"
	"fmt"
	"time"

	"gocloud.dev/docstore"

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
	prepare func(ctx context.Context, b *counting.Bench) error // not counted
	walk    func(ctx context.Context, b *counting.Bench) error
}

var paths = []path{
	{pathPlain, run("plain"), run("plain")},
	{"job with an output", run("output"), run("output")},
	{"job with one retry at once", run("again"), run("again")},
	{"continuation", run("continue"), run("continue")},
	{"delayed job, one sweep", nil, run("plain", functions.After(time.Minute))},
	{pathBatch, nil, batch},
	{pathIdle, nil, sweep(0)},
	{pathDue, func(ctx context.Context, b *counting.Bench) error {
		_, err := b.Runtime.Client().Submit(ctx, "plain", counting.Args{}, functions.After(time.Second))
		b.Clock.Advance(2 * time.Second)
		return err
	}, sweep(1)},
	{pathRemoval, func(ctx context.Context, b *counting.Bench) error {
		if err := b.Deliver(ctx); err != nil {
			return err
		}
		if err := b.Job(ctx, "kept", counting.Some, store.Succeeded); err != nil {
			return err
		}
		b.Clock.Advance(2 * time.Hour)
		return nil
	}, sweep(1)},
}

// sweep sweeps once and must find that many records.
func sweep(want int) func(ctx context.Context, b *counting.Bench) error {
	return func(ctx context.Context, b *counting.Bench) error { return b.Sweep(ctx, want) }
}

// batch submits a thousand jobs in one call, and claims them by tens, as a function does that SQS hands ten messages.
func batch(ctx context.Context, b *counting.Bench) error {
	return b.Thousand(ctx, "plain", counting.Some, 10)
}

// Measured is what a path asked for.
type Measured struct {
	Driver counting.Counts `json:"driver"`         // at the driver: documents
	Wire   wire.Counts     `json:"wire,omitempty"` // on the wire: requests
	Queue  int             `json:"queue"`          // requests to send messages, of up to ten
}

// measure walks all paths. take, if not nil, gives what was counted on the wire.
func measure(ctx context.Context, b *counting.Bench, ttl store.TTL, take func() wire.Counts) (map[string]Measured, error) {
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
		b.Ops.Take()
		b.Queue.TakeRequests()
		if take != nil {
			take()
		}
		if err := p.walk(ctx, b); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		m := Measured{Driver: b.Ops.Take(), Queue: b.Queue.TakeRequests()}
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
	pathIdle:  {Queries: store.DuePartitions},
	pathDue:   {Reads: 1, Writes: 1, Due: 1, Queries: store.DuePartitions, Found: 1, Messages: 1},
}

func newBench(coll *docstore.Collection, ttl store.TTL) (*counting.Bench, error) {
	jobs := counting.Kinds()
	functions.Handle(jobs, "kept", counting.Plain, functions.Retention(time.Hour))
	return counting.NewBench(coll, ttl, jobs)
}

// run submits a job and lets time pass until it has succeeded.
func run(kind string, opts ...functions.SubmitOption) func(ctx context.Context, b *counting.Bench) error {
	return func(ctx context.Context, b *counting.Bench) error {
		return b.Job(ctx, kind, counting.Some, store.Succeeded, opts...)
	}
}
