package opcount

import (
	"context"
	"time"

	"gocloud.dev/docstore"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/counting"
)

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
