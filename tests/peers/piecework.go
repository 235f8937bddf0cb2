package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/worker"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/files"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/infra/drivers/sql"
	"github.com/piecework/piecework/pubsubq"
)

var noop = functions.Kind[args, struct{}]("noop")

// piecework is Piecework as a deployment opens it: store and queues in one database.
type piecework struct {
	opened *drivers.Opened
	rt     *functions.Runtime
	stop   func()
	ran    sync.WaitGroup
}

func openPiecework(ctx context.Context, at string, workers int) (system, error) {
	if !strings.HasPrefix(at, "postgres:") {
		at = "sqlite://" + at
	}
	set := drivers.New(sql.Register, mem.Register, files.Register)
	opened, err := set.Open(ctx, drivers.Config{Store: at, Blobs: "mem://"})
	if err != nil {
		return nil, err
	}
	jobs := functions.NewRegistry()
	noop.Handle(jobs, func(_ context.Context, job *functions.Job[args]) (struct{}, error) {
		job.Args.started()
		return struct{}{}, nil
	})
	p := &piecework{opened: opened}
	if p.rt, err = functions.New(jobs, opened.Backends, functions.Config{Log: slog.New(slog.DiscardHandler)}); err != nil {
		return nil, errors.Join(err, opened.Close(ctx))
	}
	ctx, p.stop = context.WithCancel(ctx)
	if workers == 0 {
		return p, nil
	}
	w, err := worker.New(p.rt, map[string]*pubsubq.Receiver{functions.DefaultQueue: opened.Queues.Receiver(functions.DefaultQueue)}, nil,
		&worker.Options{Concurrency: workers})
	if err != nil {
		return nil, err
	}
	p.ran.Go(func() { _ = w.Run(ctx) })
	return p, nil
}

func (p *piecework) SubmitMany(ctx context.Context, n, bytes int) error {
	subs := make([]functions.Submission, n)
	a := argsOf(ctx, bytes)
	for i := range subs {
		subs[i] = noop.Submission(a)
	}
	_, err := p.rt.Client().SubmitMany(ctx, subs)
	return err
}

func (p *piecework) Submit(ctx context.Context, bytes int) error {
	_, err := noop.Submit(ctx, p.rt.Client(), argsOf(ctx, bytes))
	return err
}

func (p *piecework) Ended(context.Context) (int, error) { return int(p.rt.Stats().Succeeded.Load()), nil }

func (p *piecework) Close(ctx context.Context) error {
	p.stop()
	p.ran.Wait()
	return errors.Join(p.rt.Close(), p.opened.Close(context.WithoutCancel(ctx)))
}
