package main

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	_ "modernc.org/sqlite"
)

// riverSystem is River, with the intervals of its own benchmark.
type riverSystem[TTx any] struct {
	client *river.Client[TTx]
	ended  atomic.Int64
	works  bool
	close  func()
}

type riverWorker struct {
	river.WorkerDefaults[args]
}

func (riverWorker) Work(_ context.Context, job *river.Job[args]) error {
	job.Args.started()
	return nil
}

func openRiver(ctx context.Context, at string, workers int) (system, error) {
	config, err := pgxpool.ParseConfig(at)
	if err != nil {
		return nil, err
	}
	config.MaxConns = 16 // as many as Piecework has
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return startRiver[pgx.Tx](ctx, riverpgxv5.New(pool), workers, pool.Close)
}

func openRiverSQLite(ctx context.Context, at string, workers int) (system, error) {
	db, err := sql.Open("sqlite", "file:"+at+"?_pragma=journal_mode(wal)&_pragma=busy_timeout(10000)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // as its documentation asks
	return startRiver[*sql.Tx](ctx, riversqlite.New(db), workers, func() { _ = db.Close() })
}

func startRiver[TTx any](ctx context.Context, driver riverdriver.Driver[TTx], workers int, closeDB func()) (system, error) {
	log := slog.New(slog.DiscardHandler)
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: log})
	if err != nil {
		return nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, err
	}
	config := &river.Config{
		Logger: log, FetchCooldown: 2 * time.Millisecond, FetchPollInterval: 20 * time.Millisecond, JobTimeout: -1,
		Workers: river.NewWorkers(),
	}
	river.AddWorker(config.Workers, riverWorker{})
	if workers > 0 {
		config.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workers}}
	}
	r := &riverSystem[TTx]{works: workers > 0, close: closeDB}
	if r.client, err = river.NewClient(driver, config); err != nil {
		return nil, err
	}
	if !r.works {
		return r, nil
	}
	events, _ := r.client.SubscribeConfig(&river.SubscribeConfig{Kinds: []river.EventKind{river.EventKindJobCompleted}, ChanSize: 100_000})
	go func() {
		for range events {
			r.ended.Add(1)
		}
	}()
	return r, r.client.Start(ctx)
}

func (r *riverSystem[TTx]) SubmitMany(ctx context.Context, n, bytes int) error {
	a := argsOf(ctx, bytes)
	for n > 0 {
		params := make([]river.InsertManyParams, min(n, 500))
		for i := range params {
			params[i] = river.InsertManyParams{Args: a}
		}
		if _, err := r.client.InsertManyFast(ctx, params); err != nil {
			return err
		}
		n -= len(params)
	}
	return nil
}

func (r *riverSystem[TTx]) Submit(ctx context.Context, bytes int) error {
	_, err := r.client.Insert(ctx, argsOf(ctx, bytes), nil)
	return err
}

func (r *riverSystem[TTx]) Ended(context.Context) (int, error) { return int(r.ended.Load()), nil }

func (r *riverSystem[TTx]) Close(ctx context.Context) error {
	defer r.close()
	if !r.works {
		return nil
	}
	err := r.client.Stop(context.WithoutCancel(ctx))
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
