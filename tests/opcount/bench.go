package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gocloud.dev/docstore"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers/sql"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/sqldocstore"
	"github.com/piecework/piecework/tests/counting"
)

// bench is a bench over a store in memory.
type bench struct {
	*counting.Bench

	inner *docstore.Collection // which does not count
}

func newBench(ctx context.Context, ttl store.TTL) (*bench, error) {
	b := &bench{}
	var err error
	if b.inner, err = sqldocstore.Open(ctx, "sqlite::memory:", sql.Options()); err != nil {
		return nil, err
	}
	b.Bench, err = counting.NewBench(b.inner, ttl, handlers(b))
	return b, err
}

func (b *bench) close() {
	_ = errors.Join(b.Close(), b.inner.Close()) // all in memory
}

// job submits a job and lets time pass until it has ended.
func (b *bench) job(ctx context.Context, kind string, want store.State, opts ...functions.SubmitOption) error {
	return b.Job(ctx, kind, counting.Some, want, opts...)
}

// want looks, uncounted, whether a job is in that state.
func (b *bench) want(ctx context.Context, id string, want store.State) error {
	s, err := store.New(b.inner, &store.Options{Now: b.Clock.Now})
	if err != nil {
		return err
	}
	if j, err := s.Get(ctx, id); err != nil || j.State != want {
		return fmt.Errorf("job is %s, not %s: %w", j.State, want, err)
	}
	return nil
}

// handlers are the kinds that the paths run.
func handlers(b *bench) *functions.Registry {
	jobs := counting.Kinds()
	functions.Handle(jobs, "fail", func(context.Context, *functions.Job[counting.Args]) (counting.Result, error) {
		return counting.Result{}, functions.Permanent(errors.New("no"))
	})
	functions.Handle(jobs, "later", counting.Once(functions.RetryAfter(time.Minute, errors.New("no"))))
	functions.Handle(jobs, "checkpoint", func(ctx context.Context, job *functions.Job[counting.Args]) (counting.Result, error) {
		return counting.Result{Rows: 1}, job.Checkpoint(ctx, 1)
	})
	functions.Handle(jobs, "cancel", func(ctx context.Context, job *functions.Job[counting.Args]) (counting.Result, error) {
		if _, err := b.Runtime.Client().Cancel(ctx, job.ID, ""); err != nil {
			return counting.Result{}, err
		}
		<-ctx.Done()
		return counting.Result{}, ctx.Err()
	})
	return jobs
}
