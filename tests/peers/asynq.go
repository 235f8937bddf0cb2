package main

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/hibiken/asynq"
)

// asynqSystem is Asynq.
type asynqSystem struct {
	client *asynq.Client
	server *asynq.Server
	ended  atomic.Int64
}

func openAsynq(_ context.Context, at string, workers int) (system, error) {
	redis := asynq.RedisClientOpt{Network: "unix", Addr: at, PoolSize: 16}
	a := &asynqSystem{client: asynq.NewClient(redis)}
	if workers == 0 {
		return a, nil
	}
	a.server = asynq.NewServer(redis, asynq.Config{Concurrency: workers, LogLevel: asynq.FatalLevel})
	return a, a.server.Start(asynq.HandlerFunc(func(_ context.Context, t *asynq.Task) error {
		var of args
		if err := json.Unmarshal(t.Payload(), &of); err != nil {
			return err
		}
		of.started()
		a.ended.Add(1) // its removal is one command away: there is no event for that
		return nil
	}))
}

// SubmitMany calls Enqueue from 32 goroutines: there is no call for many.
func (a *asynqSystem) SubmitMany(ctx context.Context, n, bytes int) error {
	const callers = 32
	errs := make([]error, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			for j := i; j < n && errs[i] == nil; j += callers {
				errs[i] = a.Submit(ctx, bytes)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (a *asynqSystem) Submit(ctx context.Context, bytes int) error {
	payload, err := json.Marshal(argsOf(ctx, bytes))
	if err != nil {
		return err
	}
	_, err = a.client.EnqueueContext(ctx, asynq.NewTask("noop", payload))
	return err
}

func (a *asynqSystem) Ended(context.Context) (int, error) { return int(a.ended.Load()), nil }

func (a *asynqSystem) Close(context.Context) error {
	if a.server != nil {
		a.server.Shutdown()
	}
	return a.client.Close()
}
