package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/infra/drivers/sql"
	"github.com/piecework/piecework/infra/embedded"
)

var noop = functions.Kind[args, struct{}]("noop")

// piecework is Piecework with the store and the queues in one database.
type piecework struct {
	*embedded.System

	stop context.CancelFunc
	ran  sync.WaitGroup
	errs error // of Run
}

func openPiecework(ctx context.Context, at string, workers int) (system, error) {
	if !strings.HasPrefix(at, "postgres:") {
		at = "sqlite://" + at
	}
	jobs := functions.NewRegistry()
	noop.Handle(jobs, func(_ context.Context, job *functions.Job[args]) (struct{}, error) {
		job.Args.started()
		return struct{}{}, nil
	})
	cfg := embedded.Config{Config: drivers.Config{Store: at, Blobs: "mem://"}, Log: slog.New(slog.DiscardHandler)}
	cfg.Worker.Concurrency = workers
	sys, err := embedded.Open(ctx, jobs, drivers.New(sql.Register, mem.Register), cfg)
	if err != nil {
		return nil, err
	}
	p := &piecework{System: sys}
	ctx, p.stop = context.WithCancel(ctx)
	if workers > 0 {
		p.ran.Go(func() { p.errs = sys.Run(ctx) })
	}
	return p, nil
}

func (p *piecework) SubmitMany(ctx context.Context, n, bytes int) error {
	subs := make([]functions.Submission, n)
	a := argsOf(ctx, bytes)
	for i := range subs {
		subs[i] = noop.Submission(a)
	}
	_, err := p.Client().SubmitMany(ctx, subs)
	return err
}

func (p *piecework) Submit(ctx context.Context, bytes int) error {
	_, err := noop.Submit(ctx, p.Client(), argsOf(ctx, bytes))
	return err
}

func (p *piecework) Ended(context.Context) (int, error) {
	return int(p.Runtime().Stats().Succeeded.Load()), nil
}

func (p *piecework) Close(ctx context.Context) error {
	p.stop()
	p.ran.Wait()
	return errors.Join(p.errs, p.System.Close(ctx))
}
